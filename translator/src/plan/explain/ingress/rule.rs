//! Which rule takes a request, and where that sends it.

use std::collections::BTreeSet;
use std::fmt;

use super::Saying;
use crate::model::{Match, PathMatch, TextMatch};
use crate::names::ClusterName;
use crate::plan::explain::answer::Fact;
use crate::plan::explain::asker::{Asker, listed};
use crate::plan::explain::draft::Draft;
use crate::plan::explain::object::{concerns, target};
use crate::plan::explain::question::Request;
use crate::plan::explain::viewpoint::Client;
use crate::plan::host::{Action, RoutePlan, Share};

/// How many rules that may take a request first are named.
const NAMED: usize = 4;

/// The first route that takes the request, of those that can be told by its host and path. `name`
/// is what the routes are for.
pub(in crate::plan::explain) fn route<'p, 'a>(
    routes: &'p [RoutePlan<'a>],
    is_for: impl Fn(&RoutePlan<'a>) -> bool,
    name: &dyn fmt::Display,
    request: &Request,
    said: &mut Saying<'_>,
) -> Option<&'p RoutePlan<'a>> {
    let mut maybe = Vec::new();
    let found = routes.iter().find(|route| {
        if !is_for(route) {
            return false;
        }
        match takes(route.matches, &request.path) {
            Takes::No => false,
            Takes::Yes => true,
            Takes::If(condition) => {
                let (field, object) = (&route.rule.field, route.by.object());
                maybe.push(format!("{field} of {object}, if {condition}"));
                false
            }
        }
    });
    if !maybe.is_empty() {
        said.fact("first", listed(&maybe, "and", NAMED));
    }
    if let Some(route) = found {
        let object = route.by.object();
        let path = path(&route.matches.path);
        said.facts.push(Fact::by(
            "rule",
            &*route.rule.field,
            format!("{} of {object}, for {name}, {path}", route.rule.field),
        ));
        said.draft.concerns(object);
    }
    found
}

/// Whether a match takes a GET request for a path.
enum Takes {
    Yes,
    No,
    /// If this holds, too.
    If(String),
}

fn takes(matches: &Match, path: &str) -> Takes {
    let mut conditions = Vec::new();
    match &matches.path {
        PathMatch::Exact(wanted) if **wanted != *path => return Takes::No,
        PathMatch::Prefix(prefix) if !is_below(path, prefix) => return Takes::No,
        PathMatch::Regex(pattern) => conditions.push(format!("the path matches {pattern}")),
        PathMatch::Exact(_) | PathMatch::Prefix(_) => {}
    }
    if let Some(method) = matches.method.as_ref().filter(|method| ***method != *"GET") {
        conditions.push(format!("the method is {method}"));
    }
    let named = matches.headers.iter().map(|one| ("header", one));
    let named = named.chain(matches.query.iter().map(|one| ("query parameter", one)));
    conditions.extend(named.map(|(what, one)| match &one.value {
        TextMatch::Exact(value) => format!("{what} {} is {value}", one.name),
        TextMatch::Regex(pattern) => format!("{what} {} matches {pattern}", one.name),
    }));
    match conditions.is_empty() {
        true => Takes::Yes,
        false => Takes::If(conditions.join(" and ")),
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

/// A path match in words.
pub(in crate::plan::explain) fn path(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => format!("{path} exactly"),
        PathMatch::Prefix(prefix) if prefix.is_empty() => "every path".to_owned(),
        PathMatch::Prefix(prefix) => format!("{prefix} and below"),
        PathMatch::Regex(pattern) => format!("paths that match {pattern}"),
    }
}

/// Says what becomes of a request that a route takes.
pub(in crate::plan::explain) fn act(
    asker: &Asker<'_>,
    request: &Request,
    route: &RoutePlan<'_>,
    (is_secured, said): (bool, &mut Saying<'_>),
    clusters: &mut BTreeSet<ClusterName>,
) {
    if let Some(sources) = route.asked.sources {
        let ranges: Vec<String> = sources.iter().map(ToString::to_string).collect();
        said.fact(
            "clients",
            format!("only from {}", listed(&ranges, "and", 4)),
        );
        if let Client::Address(ip) = asker.client
            && !sources.iter().any(|range| range.contains(&ip))
        {
            said.refuse(format!("A request from {ip} is answered with 403."));
            return;
        }
    }
    match &route.action {
        Action::Answer(status) => {
            let why: Vec<String> = refused(asker, route, said.draft);
            let why = match why.is_empty() {
                true if route.rule.broken => "part of the rule cannot be served".to_owned(),
                true => "the rule has no backend".to_owned(),
                false => listed(&why, "and", 3),
            };
            said.fact("backends", why.clone());
            said.refuse(format!("The request is answered with {status}: {why}."));
        }
        Action::ToHttps => {
            let sentence = format!("The request is redirected to https://{}.", request.host);
            said.verdicts.say(true, 1, sentence);
        }
        Action::Redirect(redirect, _) => {
            let scheme = redirect.scheme.as_deref().unwrap_or("the same scheme");
            let host = redirect.hostname.as_deref().unwrap_or(&request.host);
            let sentence = format!(
                "The request is redirected ({}) to {host} by {scheme}.",
                redirect.status
            );
            said.verdicts.say(true, 1, sentence);
        }
        Action::Forward(shares) => {
            let total: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
            for share in shares {
                forward(share, (is_secured, total, asker, route), said, clusters);
            }
        }
    }
}

/// Says where a share of the requests goes.
fn forward(
    share: &Share<'_>,
    (is_secured, total, asker, route): (bool, u64, &Asker<'_>, &RoutePlan<'_>),
    said: &mut Saying<'_>,
    clusters: &mut BTreeSet<ClusterName>,
) {
    let part = match u64::from(share.weight) == total {
        true => "The request".to_owned(),
        false => format!("Of {total} requests {}", share.weight),
    };
    let (goes, is) = match (u64::from(share.weight) == total, share.weight) {
        (true, _) | (false, 1) => ("goes", "is"),
        (false, _) => ("go", "are"),
    };
    match &share.to {
        Ok(upstream) => {
            let to = match &upstream.hostname {
                Some(name) => format!("{name}, which the proxy looks up in DNS"),
                None => format!("cluster {}", upstream.cluster),
            };
            said.facts
                .push(Fact::by("backend", &*share.backend.field, to.clone()));
            if upstream.hostname.is_none() && is_secured {
                clusters.extend(upstream.cluster.parse::<ClusterName>().ok());
            }
            if is_secured {
                said.verdicts
                    .say(true, 1, format!("{part} {goes} to {to}."));
            }
        }
        Err(status) => {
            let object = route.by.object();
            let why = asker.resolve(&object, &share.backend.target).err();
            let why = why.map(|why| why.to_string()).unwrap_or_default();
            let why = format!("{}, but {why}", target(&share.backend.target));
            concerns(&share.backend.target, said.draft);
            said.facts
                .push(Fact::by("backend", &*share.backend.field, why.clone()));
            said.refuse(format!("{part} {is} answered with {status}: {why}."));
        }
    }
}

/// Why the backends of a rule are not served.
fn refused(asker: &Asker<'_>, route: &RoutePlan<'_>, draft: &mut Draft) -> Vec<String> {
    let object = route.by.object();
    let backends = route.rule.backends.iter();
    let refused = backends.filter_map(|backend| {
        let why = asker.resolve(&object, &backend.target).err()?;
        concerns(&backend.target, draft);
        Some(format!("{}, but {why}", target(&backend.target)))
    });
    refused.collect()
}
