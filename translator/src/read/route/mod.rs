//! Reads an HTTPRoute from its API object: what its CRD's schema would refuse is found here, too,
//! for manifests that no API server has seen (Gateway rules 3 and 4).
//!
//! A rule of which a match cannot be used is left out; one with a filter that cannot be served is
//! kept as broken, and answers its requests with 500 (Gateway rules 94 and 95).
//!
//! The lists have the bounds of the CRD: [`PARENTS`], [`HOSTNAMES`], [`RULES`], and in
//! [`mod@matches`], [`backend`] and [`filters`] those of their own. Every match of a
//! rule becomes a route with all that the rule has, once for each host name; together they may have
//! [`EXPANDED`] bytes. What is beyond a bound is left out, with the problem `TooLarge`.

mod backend;
pub(super) mod cors;
mod filters;
mod headers;
pub(super) mod matches;
mod mirror;
pub(super) mod parent;
mod redirect;
pub(super) mod retry;
pub(super) mod rule;
mod timeouts;

use super::api as k8s;
use super::field::Field;
use super::http::hostname;
use super::report::Identity;
use super::report::Report;
use crate::model::{HTTPRoute, Hostname, Rule};
use crate::{Problem, Reason};

/// How many parents a route may have.
const PARENTS: usize = 32;
/// How many host names a route may have.
const HOSTNAMES: usize = 16;
/// How many rules a route may have.
const RULES: usize = 16;
/// How many bytes all rules of a route may have, each as often as it becomes one of Envoy's.
const EXPANDED: usize = 16 << 20;
/// How many bytes the words have that say which rules are left out or broken.
const DROPPED: usize = 1_024;

/// Reads an HTTPRoute, with the problems found on the way.
pub(super) fn read(route: &k8s::HTTPRoute) -> Result<HTTPRoute, Problem> {
    let (identity, mut report) = Identity::namespaced("HTTPRoute", &route.metadata)?;
    let spec = Field::top("spec", &route.spec);
    // A `spec` of a wrong type is reported, and asks for nothing.
    let _ = spec.has_fields(&mut report);
    let parents = parent::read(&spec.get("parentRefs"), &mut report);
    let hostnames = hostnames(&spec.get("hostnames"), &mut report);
    let rules = rules(
        &spec.get("rules"),
        &identity.namespace,
        hostnames.len(),
        &mut report,
    );
    Ok(HTTPRoute {
        namespace: identity.namespace,
        name: identity.name,
        generation: identity.generation,
        created: identity.created,
        parents: parents.into(),
        hostnames: hostnames.into(),
        rules: rules.served.into(),
        declared_rules: rules.declared,
        dropped: rules.dropped.into(),
        incompatible_filters: rules.incompatible,
        problems: report.finish(),
    })
}

/// The host names. One that cannot be read is left out; if none is left, the route is for no host,
/// not for all.
fn hostnames(list: &Field<'_>, report: &mut Report) -> Vec<Hostname> {
    let mut hosts: Vec<Hostname> = Vec::new();
    let Ok(items) = list.first_items(HOSTNAMES, report) else {
        return hosts;
    };
    if items.is_empty() {
        return vec![Hostname::Any];
    }
    for item in items {
        match hostname::read(&item, report) {
            Ok(Some(host)) if !hosts.contains(&host) => hosts.push(host),
            Ok(None) => report.error(&item, Reason::InvalidHostname, "it is empty"),
            Ok(Some(_)) | Err(_) => {}
        }
    }
    hosts
}

/// What is read of the rules of a route.
#[derive(Default)]
struct Rules {
    served: Vec<Rule>,
    declared: usize,
    dropped: String,
    /// Whether some rule has a redirect beside a rewrite.
    incompatible: bool,
}

fn rules(list: &Field<'_>, namespace: &str, hostnames: usize, report: &mut Report) -> Rules {
    let mut rules = Rules::default();
    if !list.is_set() {
        // The CRD's default: a rule for every request, which nothing is behind.
        rules.served.push(rule::for_everything(&list.to_string()));
        rules.declared = 1;
        return rules;
    }
    let Ok(items) = list.first_items(RULES, report) else {
        return rules;
    };
    rules.declared = items.count_all();
    let mut reader = rule::Reader::new(namespace, EXPANDED / hostnames.max(1));
    for item in items {
        let before = report.mark();
        let rule = reader.read(&item, report);
        if rule.as_ref().is_none_or(|rule| rule.broken) {
            note(
                &mut rules.dropped,
                item.position(),
                report.first_since(before),
            );
        }
        rules.served.extend(rule);
    }
    rules.incompatible = reader.found_incompatible;
    rules
}

/// Adds a rule to those that are left out or broken; the first of them begins as Gateway rule 94
/// has it.
fn note(dropped: &mut String, rule: usize, why: Option<&Problem>) {
    if dropped.len() >= DROPPED {
        return;
    }
    let begin = if dropped.is_empty() {
        "Dropped Rule"
    } else {
        "; Rule"
    };
    *dropped += &format!("{begin} {rule}");
    if let Some(problem) = why {
        let text = format!(" ({}: {})", problem.field, problem.message);
        let room = DROPPED.saturating_sub(dropped.len());
        if text.len() <= room {
            *dropped += &text;
        }
    }
}

#[cfg(test)]
mod tests;
