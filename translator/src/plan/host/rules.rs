//! The rules that are for one host, in the order in which they are tried: those of the host itself,
//! then those of what covers it (Gateway rule 54).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::backends::{Refused, resolve, resolve_in_mesh};
use super::{Action, Asked, Context, RoutePlan, Share, Upstream};
use crate::index::routing::{Hosts, ListenerId};
use crate::model::{Backend, Hostname, IngressSettings, Match, Rule, Target};
use crate::policy::route_order::{Age, MatchRank};
use crate::{ObjectId, ObjectKind, Problem, Reason, Role};

/// The most matches that a host has of rules for wider host names. Such rules are repeated for each
/// host under them, and there may be many of both.
pub(super) const INHERITED: usize = 200;

/// The most matches that a Service port has at mesh proxies. They are repeated for each of its
/// names and addresses, and routes of any number may be for it.
pub(super) const OF_PORT: usize = 1_000;

/// Where rules are tried, as far as what becomes of requests depends on it.
pub(super) struct At<'s> {
    /// The role of the proxies.
    pub(super) role: Role,
    /// The host or the Service port, for problems.
    pub(super) name: &'s dyn fmt::Display,
    /// Whether clients speak TLS.
    pub(super) tls: bool,
    /// The port that clients connect to.
    pub(super) port: u16,
}

/// The rules of one width of host name, or for one Service port: they compete with one another, and
/// with no others.
pub(super) struct Group<'a> {
    pub(super) rules: Vec<(&'a Age, &'a [Rule], Option<&'a IngressSettings>)>,
    pub(super) one_label: bool,
    /// Why the number of matches has a bound, if it has.
    pub(super) bound: Option<Bound>,
}

/// Why the matches of a [`Group`] are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// The rules are for a wider host name, and repeated for this one.
    Inherited,
    /// The rules are for a Service port.
    OfPort,
}

impl At<'_> {
    /// The cluster behind a backend or a mirror of an object.
    fn resolve(
        &self,
        context: &Context<'_>,
        from: &ObjectId,
        target: &Target,
    ) -> Result<Upstream, Refused> {
        match self.role {
            Role::Ingress => resolve(context, from, target),
            Role::Node | Role::Mesh | Role::Grpc => resolve_in_mesh(context, target),
        }
    }
}

impl<'a> Group<'a> {
    /// The routes of the group in the order in which they are tried, and a problem for each that
    /// never takes a request, since an older object has an equal match (Gateway rule 58, Service
    /// rule 139). `left` is how many matches that have a bound there may still be.
    pub(super) fn routes(
        &self,
        context: &Context<'a>,
        at: &At<'_>,
        (left, problems): (&mut usize, &mut Vec<Problem>),
    ) -> Vec<RoutePlan<'a>> {
        let mut ranked: Vec<(MatchRank<'a>, _, &'a Age, &'a Rule, &'a Match)> = Vec::new();
        for (age, rules, settings) in &self.rules {
            for (index, rule) in rules.iter().enumerate() {
                for (position, matches) in rule.matches.iter().enumerate() {
                    let rank = MatchRank::new(matches, age, index, position);
                    ranked.push((rank, settings, age, rule, matches));
                }
            }
        }
        ranked.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut first: HashMap<&Match, &Age> = HashMap::new();
        let mut routes = Vec::with_capacity(ranked.len());
        for (_, settings, age, rule, matches) in ranked {
            let winner = *first.entry(matches).or_insert(age);
            if winner != age {
                problems.push(duplicate(age, rule, winner, at.name));
                continue;
            }
            if let Some(bound) = self.bound {
                if *left == 0 {
                    problems.push(too_many(age, rule, bound, at.name));
                    break;
                }
                *left -= 1;
            }
            routes.push(RoutePlan {
                by: age,
                rule,
                matches,
                one_label: self.one_label,
                action: match settings {
                    Some(settings) if settings.redirect_to_https && !at.tls => Action::ToHttps,
                    _ => action(context, (age, rule), at),
                },
                mirrors: mirrors(context, (age, rule), at),
                asked: settings.map_or_else(Asked::default, |settings| asked(at, age, settings)),
            });
        }
        routes
    }
}

/// What the annotations of an Ingress ask for at this port.
fn asked<'a>(at: &At<'_>, age: &Age, settings: &'a IngressSettings) -> Asked<'a> {
    let object = age.object();
    let shared = |rate| (format!("{}/{}", object.namespace, object.name), rate);
    Asked {
        hsts: settings.hsts.as_ref().filter(|_| at.tls),
        sources: settings.sources.as_deref(),
        cors: settings.cors.as_ref(),
        max_body: settings.max_body,
        rate: settings.rate.map(shared),
    }
}

/// The problem of the first of the matches that are too many: for the hosts under theirs, where it
/// names no host, so that it is there once, or for a Service port.
fn too_many(age: &Age, rule: &Rule, bound: Bound, name: &dyn fmt::Display) -> Problem {
    let message = match bound {
        Bound::Inherited => format!(
            "a host is given at most {INHERITED} matches of rules for wider host names; this one \
             and those after it are tried for their own host name alone"
        ),
        Bound::OfPort => format!(
            "{name} is given at most {OF_PORT} matches; this one and those after it are not tried"
        ),
    };
    Problem::warning(age.object(), &*rule.field, Reason::TooLarge, message)
}

fn duplicate(age: &Age, rule: &Rule, winner: &Age, name: &dyn fmt::Display) -> Problem {
    let message = format!(
        "{} has an equal match for {name} and is older",
        winner.object()
    );
    Problem::error(age.object(), &*rule.field, Reason::DuplicateMatch, message)
}

/// The rules for a host of Ingresses: its own, then those without a host, then the default backend
/// of the oldest Ingress that has one (Service rules 133, 134 and 141). `None`: the host has none
/// of its own.
pub(super) fn of_ingresses<'a>(
    context: &Context<'a>,
    hosts: &'a Hosts,
    claimed: &Hostname,
    host: &Hostname,
) -> Option<Vec<Group<'a>>> {
    if claimed != host {
        return None;
    }
    let group = |of: &Hostname| {
        let ages = hosts.rules(of, &ListenerId::Ingresses);
        let rules = ages.flat_map(|age| {
            let ingress = context.index.routing().ingress(&age.object());
            let all = ingress.into_iter().flat_map(|ingress| &ingress.hosts);
            let of_host: Vec<_> = all.filter(|(named, _)| named == of).collect();
            let settings = ingress.map(|ingress| &ingress.settings);
            of_host
                .into_iter()
                .map(move |(_, rules)| (age, &**rules, settings))
        });
        Group {
            rules: rules.collect(),
            one_label: matches!(of, Hostname::Wildcard(_)),
            bound: (of != host).then_some(Bound::Inherited),
        }
    };
    let mut groups = vec![group(host)];
    let holder = hosts.holder(&Hostname::Any);
    if holder.is_none_or(|holder| holder.listener != ListenerId::Ingresses) {
        return Some(groups);
    }
    if *host != Hostname::Any {
        groups.push(group(&Hostname::Any));
    }
    groups.extend(default_backend(context, hosts));
    Some(groups)
}

/// The rules for a host of a Gateway's listener: those of the host itself, then those of wider host
/// names that are of this listener too. `None`: neither the listener nor a route names this host.
pub(super) fn of_gateway<'a>(
    context: &Context<'a>,
    hosts: &'a Hosts,
    (claimed, listener): (&Hostname, &'a ListenerId),
    host: &Hostname,
) -> Option<Vec<Group<'a>>> {
    let group = |of: &Hostname| {
        let rules = hosts.rules(of, listener).filter_map(|age| {
            let route = context.index.routing().http_route(&age.object())?;
            Some((age, &*route.rules, None))
        });
        Group {
            rules: rules.collect(),
            one_label: false,
            bound: (of != host).then_some(Bound::Inherited),
        }
    };
    let covering = host.covering().take_while(|wider| claimed.covers(wider));
    let groups: Vec<Group<'a>> = covering.map(|host| group(&host)).collect();
    let is_named = claimed == host || groups.first().is_some_and(|own| !own.rules.is_empty());
    is_named.then_some(groups)
}

fn default_backend<'a>(context: &Context<'a>, hosts: &'a Hosts) -> Option<Group<'a>> {
    let age = hosts.default_backend()?;
    let ingress = context.index.routing().ingress(&age.object())?;
    let rule = ingress.default_backend.as_deref()?;
    Some(Group {
        rules: vec![(age, std::slice::from_ref(rule), Some(&ingress.settings))],
        one_label: false,
        bound: None,
    })
}

/// What becomes of the requests of a rule.
fn action<'a>(context: &Context<'a>, (age, rule): (&Age, &'a Rule), at: &At<'_>) -> Action<'a> {
    // What is not served is answered as each API asks (Service rule 142, Gateway rule 82).
    let object = age.object();
    let missing = match object.kind {
        ObjectKind::Ingress => 503,
        _ => 500,
    };
    if rule.broken {
        return Action::Answer(500);
    }
    if let Some(redirect) = &rule.filters.redirect {
        return Action::Redirect(redirect, at.port);
    }
    let share = |backend: &'a Backend| Share {
        backend,
        to: at
            .resolve(context, &object, &backend.target)
            .map_err(|_| missing),
        weight: backend.weight,
    };
    let weighed = rule.backends.iter().filter(|backend| backend.weight > 0);
    let shares: Vec<Share<'a>> = weighed.map(share).collect();
    match shares.iter().any(|share| share.to.is_ok()) {
        true => Action::Forward(shares),
        false if rule.backends.is_empty() => Action::Answer(500),
        false => Action::Answer(missing),
    }
}

/// The clusters that get copies of the requests of a rule; one that is not served gets none
/// (Gateway rule 73).
fn mirrors(context: &Context<'_>, (age, rule): (&Age, &Rule), at: &At<'_>) -> Vec<(Arc<str>, u32)> {
    let mirrors = rule.filters.mirrors.iter();
    let served = mirrors.filter_map(|mirror| {
        let found = at.resolve(context, &age.object(), &mirror.target);
        let Upstream { cluster, .. } = found.ok()?;
        Some((cluster, mirror.per_million))
    });
    served.collect()
}
