//! What happens to the routes of a host: of ingress proxies, and of mesh proxies by the names of a
//! Service.

use std::collections::BTreeSet;
use std::sync::Arc;

use seaway_proto::Resource;
use seaway_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use seaway_proto::envoy::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use seaway_proto::envoy::route::redirect_action::RedirectResponseCode;
use seaway_proto::envoy::route::route::Action;
use seaway_proto::envoy::route::route_action::ClusterSpecifier;
use seaway_proto::envoy::route::route_match::PathSpecifier;
use seaway_proto::envoy::route::{
    HeaderMatcher, QueryParameterMatcher, RedirectAction, Route, RouteAction, RouteMatch,
    ScopedRouteConfiguration, VirtualHost,
};
use seaway_proto::envoy::text_matcher::string_matcher::MatchPattern;

use super::Both;
use super::changes::Change;
use super::effect::{Effect, Fate, Harm, What};
use super::facts::{Facts, decode};
use super::places::places;
use super::settings::Field;
use super::use_of_endpoints;
use crate::names::ClusterName;

/// What a scope of a mesh proxy says.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub facts: Facts,
    /// The cluster of its first route.
    pub cluster: Option<ClusterName>,
}

/// What a scope of a mesh proxy says.
pub(super) fn mesh(resource: &Resource) -> Scope {
    let mut scope = Scope::default();
    for host in hosts(resource) {
        for route in host.routes {
            let Some(Action::Route(action)) = route.action else {
                continue;
            };
            scope.facts.extend(use_of_endpoints::of_route(&action));
            let Some(ClusterSpecifier::Cluster(cluster)) = &action.cluster_specifier else {
                continue;
            };
            let Ok(name) = cluster.parse::<ClusterName>() else {
                continue;
            };
            if name.local {
                scope.facts.insert(Field::Policy, "Local".to_owned());
            }
            if name.tls {
                scope.facts.insert(Field::AppProtocol, "TLS".to_owned());
            }
            scope.cluster = Some(name);
        }
    }
    scope
}

/// Whether rules decide what a scope of a mesh proxy makes of requests, and not its Service alone.
pub(super) fn is_routed(resource: &Resource) -> bool {
    let is_plain = |host: &VirtualHost| match host.routes.as_slice() {
        [only] => matches!(only.action, Some(Action::Route(_))),
        _ => false,
    };
    !hosts(resource).iter().all(is_plain)
}

/// What it means that rules decide otherwise on the requests for a Service port, decide at all, or
/// no more.
pub(super) fn rerouted(both: Both<'_>, port: &Arc<str>, change: &Change<'_>) -> Vec<Effect> {
    let replaced = change.replaced();
    let routed = replaced.filter(|(old, new, _)| is_routed(old) || is_routed(new));
    let effects = routed.map(|(old, new, views)| {
        let (harm, loses, views, what) = differing(old, new, views.to_vec());
        Effect {
            harm,
            port: Some(port.clone()),
            loses,
            places: places(both.to, &views, &change.seen_by),
            what,
        }
    });
    effects.collect()
}

fn hosts(resource: &Resource) -> Vec<VirtualHost> {
    let scope: ScopedRouteConfiguration = decode(resource);
    scope.route_configuration.unwrap_or_default().virtual_hosts
}

/// What the changed scopes of a host of ingress proxies mean.
pub(super) fn effects(both: Both<'_>, changes: &[&Change<'_>]) -> Vec<Effect> {
    let of_change = |change: &&Change<'_>| {
        let address = change.name.split_once('/');
        let address = address.map_or(&*change.name, |(_, host)| host).to_owned();
        let (removed, added) = (change.removed_from(), change.added_to());
        let gone = (!removed.is_empty()).then(|| {
            let addresses = vec![address.clone()];
            let what = What::Gone {
                addresses,
                fate: Fate::NotFound,
                flows: false,
            };
            (Harm::Gone, true, removed, what)
        });
        let new = (!added.is_empty()).then(|| {
            let (addresses, endpoints) = (vec![address], 0);
            let what = What::New {
                addresses,
                endpoints,
            };
            (Harm::New, false, added, what)
        });
        let others = change
            .replaced()
            .map(|(old, new, views)| differing(old, new, views.to_vec()));
        let all: Vec<_> = gone.into_iter().chain(new).chain(others).collect();
        let effects = all.into_iter().map(|(harm, loses, views, what)| Effect {
            harm,
            port: None,
            loses,
            places: places(both.to, &views, &change.seen_by),
            what,
        });
        effects.collect::<Vec<_>>()
    };
    changes.iter().flat_map(of_change).collect()
}

/// What the routes of a host that became others mean.
fn differing(old: &Resource, new: &Resource, views: Vec<usize>) -> (Harm, bool, Vec<usize>, What) {
    let (was, is) = (routes(old), routes(new));
    let without = |one: &[Described], other: &[Described]| -> Vec<Described> {
        let known: BTreeSet<&Described> = other.iter().collect();
        let own = one.iter().filter(|route| !known.contains(route));
        own.cloned().collect()
    };
    let (before, after) = (without(&was, &is), without(&is, &was));
    // A path that was forwarded and is answered here, or by nobody.
    let fails = |route: &Described| {
        route.forwards && !is.iter().any(|now| now.on == route.on && now.forwards)
    };
    let loses = before.iter().any(fails);
    let harm = if loses { Harm::Refused } else { Harm::Settings };
    let shown = |all: Vec<Described>| all.iter().map(Described::shown).collect();
    let what = What::Routes {
        before: shown(before),
        after: shown(after),
    };
    (harm, loses, views, what)
}

/// A route in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Described {
    /// Which requests it is for.
    on: String,
    /// What becomes of them.
    to: String,
    forwards: bool,
}

impl Described {
    fn shown(&self) -> String {
        format!("{} -> {}", self.on, self.to)
    }
}

/// The routes that a host's own rules make, in order, each once.
fn routes(resource: &Resource) -> Vec<Described> {
    let mut all: Vec<Described> = Vec::new();
    for route in hosts(resource).iter().flat_map(|host| &host.routes) {
        let described = described(route);
        if !all.contains(&described) {
            all.push(described);
        }
    }
    all
}

fn described(route: &Route) -> Described {
    let on = route.r#match.as_ref().map_or_else(String::new, requests);
    let (to, forwards) = match &route.action {
        Some(Action::Route(action)) => clusters(action),
        Some(Action::Redirect(redirect)) => (format!("redirect {}", code(redirect)), false),
        Some(Action::DirectResponse(answer)) => (format!("status {}", answer.status), false),
        _ => ("nothing".to_owned(), false),
    };
    Described { on, to, forwards }
}

fn code(redirect: &RedirectAction) -> u16 {
    match redirect.response_code() {
        RedirectResponseCode::MovedPermanently => 301,
        RedirectResponseCode::Found => 302,
        RedirectResponseCode::SeeOther => 303,
        RedirectResponseCode::TemporaryRedirect => 307,
        RedirectResponseCode::PermanentRedirect => 308,
    }
}

fn requests(requests: &RouteMatch) -> String {
    let path = match &requests.path_specifier {
        Some(PathSpecifier::Prefix(path)) => format!("{path}*"),
        Some(PathSpecifier::PathSeparatedPrefix(path)) => format!("{path}/*"),
        Some(PathSpecifier::Path(path)) => path.clone(),
        Some(PathSpecifier::SafeRegex(regex)) => format!("~ {}", regex.regex),
        _ => "any path".to_owned(),
    };
    let headers = requests.headers.iter().map(header);
    let parameters = requests.query_parameters.iter().map(parameter);
    let conditions: Vec<String> = headers.chain(parameters).collect();
    match conditions.is_empty() {
        true => path,
        false => format!("{path} ({})", conditions.join(", ")),
    }
}

/// A condition on a header: those of two routes that differ in the value alone have to be told
/// apart.
fn header(header: &HeaderMatcher) -> String {
    let value = match &header.header_match_specifier {
        Some(HeaderMatchSpecifier::StringMatch(value)) => value.match_pattern.as_ref(),
        _ => None,
    };
    let not = if header.invert_match { "not " } else { "" };
    format!("{not}{}", condition(&header.name, ": ", value))
}

fn parameter(parameter: &QueryParameterMatcher) -> String {
    let value = match &parameter.query_parameter_match_specifier {
        Some(QueryParameterMatchSpecifier::StringMatch(value)) => value.match_pattern.as_ref(),
        _ => None,
    };
    condition(&parameter.name, "=", value)
}

fn condition(name: &str, is: &str, value: Option<&MatchPattern>) -> String {
    match value {
        Some(MatchPattern::Exact(value)) => format!("{name}{is}{value}"),
        Some(MatchPattern::SafeRegex(value)) => format!("{name} ~ {}", value.regex),
        _ => name.to_owned(),
    }
}

/// Where requests go, and whether they go to a cluster that there may be.
fn clusters(action: &RouteAction) -> (String, bool) {
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(cluster)) => (cluster.clone(), true),
        Some(ClusterSpecifier::WeightedClusters(weighted)) => {
            let shares = weighted.clusters.iter().map(|share| {
                let weight = share.weight.map_or(0, |weight| weight.value);
                format!("{} {weight}", share.name)
            });
            let known = |name: &str| name.parse::<ClusterName>().is_ok();
            let forwards = weighted.clusters.iter().any(|share| known(&share.name));
            (shares.collect::<Vec<_>>().join(" + "), forwards)
        }
        _ => ("nothing".to_owned(), false),
    }
}

/// What the changed secrets of a certificate mean.
pub(super) fn of_certificate(both: Both<'_>, changes: &[&Change<'_>]) -> Vec<Effect> {
    let of_change = |change: &&Change<'_>| {
        let variants = change.variants.iter().map(|variant| {
            let (before, after) = (variant.old.is_some(), variant.new.is_some());
            let harm = if before { Harm::Settings } else { Harm::New };
            let what = What::Certificate { before, after };
            Effect {
                harm,
                port: None,
                loses: false,
                places: places(both.to, &variant.views, &change.seen_by),
                what,
            }
        });
        variants.collect::<Vec<_>>()
    };
    changes.iter().flat_map(of_change).collect()
}
