//! What a request looks like, as Envoy's `RouteMatch` (Gateway rules 66 and 67).

use seaway_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use seaway_proto::envoy::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use seaway_proto::envoy::route::route_match::PathSpecifier;
use seaway_proto::envoy::route::{HeaderMatcher, QueryParameterMatcher, RouteMatch};
use seaway_proto::envoy::text_matcher::StringMatcher;
use seaway_proto::envoy::text_matcher::string_matcher::MatchPattern;

use super::{LISTENER_HEADER, quoted, regex, text};
use crate::model::{Hostname, Match, NamedMatch, PathMatch, TextMatch};
use crate::plan::host::RoutePlan;

/// The match of a route of this host.
pub(super) fn matcher(host: &Hostname, route: &RoutePlan) -> RouteMatch {
    let Match {
        path,
        method,
        query,
        ..
    } = route.matches;
    let one_label = match host {
        Hostname::Wildcard(suffix) if route.one_label => Some(one_label(suffix)),
        _ => None,
    };
    let method = method.as_ref();
    let method = method.map(|method| header(":method", MatchPattern::Exact(method.to_string())));
    let named = named_headers(route.matches);
    RouteMatch {
        path_specifier: Some(path_specifier(path)),
        headers: one_label.into_iter().chain(method).chain(named).collect(),
        query_parameters: query.iter().map(query_parameter).collect(),
        ..Default::default()
    }
}

/// The match of all requests.
pub(super) fn everything() -> RouteMatch {
    RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
        ..Default::default()
    }
}

/// The match of all requests on connections that another listener took (Gateway rule 64).
pub(super) fn of_other_listeners(names: impl Iterator<Item = String>) -> RouteMatch {
    let other_than = |name| HeaderMatcher {
        invert_match: true,
        ..header(LISTENER_HEADER, MatchPattern::Exact(name))
    };
    RouteMatch {
        headers: names.map(other_than).collect(),
        ..everything()
    }
}

pub(in crate::envoy) fn path_specifier(path: &PathMatch) -> PathSpecifier {
    match path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.to_string()),
        PathMatch::Regex(pattern) => PathSpecifier::SafeRegex(regex(pattern)),
        PathMatch::Prefix(prefix) => match prefix.trim_end_matches('/') {
            // What is separated from the rest has to have two characters.
            "" => PathSpecifier::Prefix("/".to_owned()),
            prefix => PathSpecifier::PathSeparatedPrefix(prefix.to_owned()),
        },
    }
}

/// The names with one label before the suffix, in any case, with or without a port (Service rule
/// 133).
fn one_label(suffix: &str) -> HeaderMatcher {
    let pattern = format!("(?i)[^.:]+\\.{}(:[0-9]+)?", quoted(suffix));
    header(":authority", MatchPattern::SafeRegex(regex(&pattern)))
}

/// The headers that a match asks for.
pub(in crate::envoy) fn named_headers(matches: &Match) -> Vec<HeaderMatcher> {
    matches.headers.iter().map(named_header).collect()
}

fn named_header(named: &NamedMatch) -> HeaderMatcher {
    // Envoy keeps the host of both versions of HTTP under the name of the newer one.
    let name = match &*named.name {
        "host" => ":authority",
        name => name,
    };
    header(name, pattern(&named.value))
}

fn header(name: &str, pattern: MatchPattern) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(text(pattern))),
        ..Default::default()
    }
}

fn query_parameter(named: &NamedMatch) -> QueryParameterMatcher {
    let value: StringMatcher = text(pattern(&named.value));
    QueryParameterMatcher {
        name: named.name.to_string(),
        query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(value)),
    }
}

fn pattern(value: &TextMatch) -> MatchPattern {
    match value {
        TextMatch::Exact(value) => MatchPattern::Exact(value.to_string()),
        TextMatch::Regex(pattern) => MatchPattern::SafeRegex(regex(pattern)),
    }
}
