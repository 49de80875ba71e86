//! Reads the rules of an Ingress: the paths of each host (Service rules 133 to 140).

use std::collections::HashMap;

use super::super::field::{Field, Wrong};
use super::super::http::{hostname, path};
use super::super::report::Report;
use super::{HOSTLESS_BYTES, HOSTLESS_PATHS, HOSTS, LONGEST_PATH, PATHS, backend};
use crate::Reason;
use crate::model::{Filters, Hostname, Match, PathMatch, Rule, Timeouts};

/// The rules of every host, in the order in which the hosts are first named. Rules for one host are
/// one after another, as the Ingress has them.
#[derive(Default)]
struct Hosts {
    rules: Vec<(Hostname, Vec<Rule>)>,
    /// Where in the list a host is. Only looked up, never iterated.
    positions: HashMap<Hostname, usize>,
    /// How many rules there are.
    count: usize,
    /// How many bytes the paths without a host have.
    hostless: usize,
    /// As how many routes each path counts.
    weight: usize,
}

/// Reads `spec.rules`, in which each path counts as `weight` routes.
pub(super) fn read(
    rules: &Field<'_>,
    weight: usize,
    namespace: &str,
    report: &mut Report,
) -> Box<[(Hostname, Box<[Rule]>)]> {
    let mut hosts = Hosts {
        weight,
        ..Hosts::default()
    };
    let items = rules.items(report);
    for rule in items.into_iter().flatten() {
        // A rule that is wrong is reported, and left out alone.
        let _ = hosts.read_rule(&rule, namespace, report);
    }
    let rules = hosts.rules.into_iter();
    rules.map(|(host, rules)| (host, rules.into())).collect()
}

impl Hosts {
    fn read_rule(
        &mut self,
        rule: &Field<'_>,
        namespace: &str,
        report: &mut Report,
    ) -> Result<(), Wrong> {
        rule.has_fields(report)?;
        let host = hostname::read(&rule.get("host"), report)?.unwrap_or(Hostname::Any);
        let http = rule.get("http");
        let paths = http.get("paths");
        let has_http = http.has_fields(report)?;
        let items = paths.items(report)?;
        let at = self.position(host, rule, report)?;
        if has_http && items.is_empty() {
            let message = "it has none: all requests for the host go to the default backend";
            report.warning(&paths, Reason::InvalidValue, message);
        }
        for item in items {
            if self.is_full(at) {
                let message = "the Ingress has more paths than are served; this one and those \
                               after it in the rule are left out";
                return Err(item.error(Reason::TooLarge, message, report));
            }
            if let Ok(rule) = read_path(&item, namespace, report) {
                if self.rules[at].0 == Hostname::Any {
                    self.hostless += length(&rule);
                }
                self.rules[at].1.push(rule);
                self.count += self.weight;
            }
        }
        Ok(())
    }

    /// Where the rules of a host are.
    fn position(
        &mut self,
        host: Hostname,
        rule: &Field<'_>,
        report: &mut Report,
    ) -> Result<usize, Wrong> {
        if let Some(at) = self.positions.get(&host) {
            return Ok(*at);
        }
        let at = self.rules.len();
        if at >= HOSTS {
            let message = format!("the Ingress has more than {HOSTS} hosts; this one is left out");
            return Err(rule.error(Reason::TooLarge, message, report));
        }
        self.positions.insert(host.clone(), at);
        self.rules.push((host, Vec::new()));
        Ok(at)
    }

    fn is_full(&self, at: usize) -> bool {
        let (host, rules) = &self.rules[at];
        let is_hostless = *host == Hostname::Any;
        let much = rules.len() * self.weight >= HOSTLESS_PATHS || self.hostless >= HOSTLESS_BYTES;
        self.count >= PATHS || is_hostless && much
    }
}

/// How many bytes the path of a rule has.
fn length(rule: &Rule) -> usize {
    let paths = rule.matches.iter().map(|one| match &one.path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) | PathMatch::Regex(path) => path.len(),
    });
    paths.sum()
}

/// Reads an item of `paths`, as a rule of its own.
fn read_path(item: &Field<'_>, namespace: &str, report: &mut Report) -> Result<Rule, Wrong> {
    item.has_fields(report)?;
    let path = read_match(item, report)?;
    Ok(rule(item, path, &item.get("backend"), namespace, report))
}

/// The rule that sends a path to a backend.
pub(super) fn rule(
    field: &Field<'_>,
    path: PathMatch,
    backend: &Field<'_>,
    namespace: &str,
    report: &mut Report,
) -> Rule {
    Rule {
        field: field.to_string().into(),
        matches: Box::new([Match {
            path,
            method: None,
            headers: Box::default(),
            query: Box::default(),
        }]),
        filters: Filters::default(),
        backends: Box::new([backend::read(backend, namespace, report)]),
        timeouts: Timeouts::default(),
        retry: None,
        broken: false,
    }
}

fn read_match(item: &Field<'_>, report: &mut Report) -> Result<PathMatch, Wrong> {
    let (field, kind) = (item.get("path"), item.get("pathType"));
    let text = field.text(report)?.unwrap_or_default();
    let text = match kind.filled(report)? {
        Some("Exact" | "Prefix") => text,
        Some("ImplementationSpecific") if text.is_empty() => "/",
        Some("ImplementationSpecific") => text,
        None => {
            let message = "it is missing, and read as Prefix";
            report.warning(&kind, Reason::InvalidValue, message);
            if text.is_empty() { "/" } else { text }
        }
        Some(other) => {
            let message = format!("{other:?} is none of Exact, Prefix, ImplementationSpecific");
            return Err(kind.error(Reason::InvalidValue, message, report));
        }
    };
    if let Some(why) = path::fault(text, LONGEST_PATH) {
        return Err(field.error(Reason::InvalidPath, why, report));
    }
    Ok(match kind.text(report)? {
        Some("Exact") => PathMatch::Exact(text.into()),
        _ => path::prefix(text),
    })
}
