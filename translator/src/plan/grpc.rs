//! The plan of what gRPC clients find by the names of a Service: the cluster behind each name. What
//! a name leads to is what it leads to at mesh proxies, ExternalNames and aliases included (xDS
//! rules 178, 184), and so are the routes for it, as far as gRPC knows what they ask for.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::Context;
use super::clusters::{find, speaks_grpc};
use super::host::{Action, Age, RoutePlan, Share, routed_for};
use super::hosts::{self};
use crate::model::{BackendPort, HashBy, HeaderChanges, Kind, Match, Rule, Service, ServiceKey};
use crate::names::ClusterName;
use crate::{Problem, Reason};

/// What one name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The name as clients ask for it.
    pub name: Arc<str>,
    /// The number of the Service port that it stands for.
    pub port: NonZeroU16,
    /// The cluster to which RPCs go.
    pub cluster: Arc<str>,
    /// What RPCs that go to one endpoint have in common. With session affinity it is the channel
    /// (Service rule 103).
    pub hash: Option<HashBy>,
}

/// What the names of a Service lead to that clients ask for.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    /// Each name.
    pub routes: Vec<Route>,
    /// The routes of the ports that have some, in the order in which they are tried; an RPC that
    /// none of them takes fails.
    pub ruled: BTreeMap<NonZeroU16, Vec<RpcRoute<'a>>>,
    /// What of those gRPC clients do not do.
    pub problems: Vec<Problem>,
}

/// A match of a rule, and what becomes of the RPCs that it takes.
#[derive(Debug)]
pub(crate) struct RpcRoute<'a> {
    /// The object that has the rule, by age.
    pub by: &'a Age,
    /// The field of the object that the rule is.
    pub field: &'a Arc<str>,
    /// What an RPC looks like: its path and its headers.
    pub matches: &'a Match,
    /// How many of a million RPCs fail, since what is behind the rule cannot be used.
    pub failing: u32,
    /// The clusters that the others go to, each with its weight; none if all fail.
    pub shares: Vec<(Arc<str>, u32)>,
    /// What RPCs that go to one endpoint have in common.
    pub hash: Option<HashBy>,
    /// The most milliseconds that an RPC may take.
    pub deadline: Option<u32>,
    /// How often it is sent again where its server is unavailable, and the milliseconds before the
    /// first time.
    pub retries: Option<(u32, u32)>,
}

/// All of the RPCs that a route takes.
pub(crate) const ALL: u32 = 1_000_000;
/// The first pause between two tries, in milliseconds, where a rule says none: Envoy's own.
const PAUSE: u32 = 25;
/// The status codes of HTTP that a gRPC client takes for `UNAVAILABLE`.
const UNAVAILABLE: [u16; 4] = [429, 502, 503, 504];

/// Plans the names of a Service that clients ask for; those of a port that it does not have lead
/// nowhere.
pub(crate) fn names<'a>(context: &Context<'a>, key: &ServiceKey) -> Names<'a> {
    let Some(service) = context.index.service(key) else {
        return Names::default();
    };
    let mut names = context.targets.of(key).peekable();
    if names.peek().is_none() {
        return Names::default();
    }
    let hosts = hosts::of_any(context, service);
    let default = hosts::default_port(&hosts);
    let (ruled, problems) = ruled(context, service);
    let route = |(name, port): (&Arc<str>, Option<NonZeroU16>)| {
        let number = port.or(default)?;
        let host = hosts.iter().find(|host| host.port.number == number)?;
        // What rules send RPCs to is another matter.
        let is_served = ruled.contains_key(&number) || is_for_grpc(context, &host.cluster);
        is_served.then(|| Route {
            name: name.clone(),
            port: number,
            cluster: host.cluster.clone(),
            hash: host.hash.clone(),
        })
    };
    Names {
        routes: names.filter_map(route).collect(),
        ruled,
        problems,
    }
}

/// Whether this is a cluster that gRPC clients have, too.
pub(crate) fn is_for_grpc(context: &Context<'_>, cluster: &str) -> bool {
    let Ok(ClusterName { port, .. }) = cluster.parse() else {
        return false;
    };
    let behind = context.index.service(&port.service);
    behind.is_some_and(|service: &Arc<Service>| {
        matches!(service.kind, Kind::ExternalName(_))
            || find(service, &BackendPort::Number(port.number))
                .is_some_and(|port| speaks_grpc(service, port))
    })
}

/// The routes of a Service, by the numbers of the ports that have some, and what of them gRPC
/// clients do not do. They are in no namespace, so those of its own are meant.
pub(crate) fn ruled<'a>(
    context: &Context<'a>,
    service: &Service,
) -> (BTreeMap<NonZeroU16, Vec<RpcRoute<'a>>>, Vec<Problem>) {
    let mut problems = Vec::new();
    let ports = routed_for(context, service, None).into_iter();
    let ports = ports.map(|(number, plans)| {
        let mut routes = Vec::with_capacity(plans.len());
        for plan in &plans {
            problems.extend(unsupported(plan));
            if may_take(plan.matches) {
                routes.push(rpc_route(context, plan));
            }
        }
        (number, routes)
    });
    let ports = ports.collect();
    problems.sort();
    problems.dedup();
    (ports, problems)
}

/// Whether a match may take an RPC, which is a POST without a query, and of which a client compares
/// no host.
fn may_take(matches: &Match) -> bool {
    let is_post = matches
        .method
        .as_deref()
        .is_none_or(|method| method == "POST");
    is_post && matches.query.is_empty() && !asks_for_host(matches)
}

fn asks_for_host(matches: &Match) -> bool {
    matches.headers.iter().any(|header| &*header.name == "host")
}

/// What becomes of the RPCs that a route of mesh proxies takes.
fn rpc_route<'a>(context: &Context<'a>, plan: &RoutePlan<'a>) -> RpcRoute<'a> {
    let rule = plan.rule;
    let nothing = Vec::new();
    let all = match &plan.action {
        Action::Forward(shares) if refused(plan).is_none() => shares,
        _ => &nothing,
    };
    let cluster = |share: &Share<'_>| {
        let upstream = share.to.as_ref().ok();
        let usable = upstream.filter(|upstream| is_for_grpc(context, &upstream.cluster));
        usable.map(|upstream| (upstream.cluster.clone(), share.weight))
    };
    let shares: Vec<_> = all.iter().filter_map(cluster).collect();
    let total: u64 = all.iter().map(|share| u64::from(share.weight)).sum();
    let good: u64 = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let failing = match total {
        0 => ALL,
        total => u32::try_from((total - good) * u64::from(ALL) / total).unwrap_or(ALL),
    };
    let upstreams = all.iter().filter_map(|share| share.to.as_ref().ok());
    let mut hashes = upstreams.filter_map(|upstream| upstream.hash.clone());
    RpcRoute {
        by: plan.by,
        field: &rule.field,
        matches: plan.matches,
        failing,
        shares,
        hash: hashes.next(),
        deadline: deadline(rule),
        retries: retries(rule),
    }
}

/// The most milliseconds that an RPC may take; one try is all that there is without retries.
fn deadline(rule: &Rule) -> Option<u32> {
    let single = rule.timeouts.backend_request;
    let single = single.filter(|_| rule.retry.is_none());
    let deadline = rule.timeouts.request.or(single);
    deadline.filter(|time| *time > 0)
}

/// How often an RPC is sent again, as gRPC has it.
fn retries(rule: &Rule) -> Option<(u32, u32)> {
    let retry = rule.retry.as_ref().filter(|retry| retry.attempts > 0)?;
    let any = retry.codes.iter().any(|code| UNAVAILABLE.contains(code));
    any.then(|| {
        (
            retry.attempts,
            retry.pause.map_or(PAUSE, |pause| pause.get()),
        )
    })
}

/// Why gRPC clients cannot do at all what a rule asks for: the field, and what is in it.
fn refused(plan: &RoutePlan<'_>) -> Option<(&'static str, &'static str)> {
    let none = HeaderChanges::default();
    let filters = &plan.rule.filters;
    let changes =
        |request: &HeaderChanges, response: &HeaderChanges| *request != none || *response != none;
    let mut backends = plan.rule.backends.iter();
    if filters.redirect.is_some() {
        Some(("filters", "follow no redirects"))
    } else if filters.rewrite.is_some() {
        Some(("filters", "rewrite no paths and hosts"))
    } else if changes(&filters.request_headers, &filters.response_headers) {
        Some(("filters", "change no headers"))
    } else if backends
        .any(|one| one.hostname.is_some() || changes(&one.request_headers, &one.response_headers))
    {
        Some(("backendRefs", "have no filters of single backends"))
    } else {
        None
    }
}

/// What of a rule gRPC clients do not do.
fn unsupported(plan: &RoutePlan<'_>) -> Vec<Problem> {
    let (object, rule) = (plan.by.object(), plan.rule);
    let problem = |field: &str, what: &str, then: &str| {
        let message = format!("gRPC clients {what}; {then}");
        let field = format!("{}.{field}", rule.field);
        Problem::warning(&object, field, Reason::UnsupportedField, message)
    };
    if asks_for_host(plan.matches) {
        let then = "the match is not tried by them";
        return vec![problem("matches", "compare no hosts", then)];
    }
    if !may_take(plan.matches) {
        return Vec::new();
    }
    if let Some((field, what)) = refused(plan) {
        return vec![problem(field, what, "their RPCs that the rule takes fail")];
    }
    let others = "all else of the rule holds for them";
    let mut problems = Vec::new();
    if !rule.filters.mirrors.is_empty() {
        problems.push(problem("filters", "make no copies of RPCs", others));
    }
    if rule.timeouts.backend_request.is_some_and(|time| time > 0)
        && (rule.retry.is_some() || rule.timeouts.request.is_some())
    {
        let what = "have no timeout for a single try";
        problems.push(problem("timeouts.backendRequest", what, others));
    }
    let codes = rule.retry.iter().flat_map(|retry| &retry.codes);
    if { codes }.any(|code| !UNAVAILABLE.contains(code)) {
        let what = "send RPCs again for the codes 429, 502, 503 and 504 alone (UNAVAILABLE)";
        problems.push(problem("retry.codes", what, others));
    }
    problems
}
