//! Which filter chain a connection is for by the name that its client asks for, as a matcher beside
//! the chains. A name that the matcher gets or loses ends no connection, since no chain changes by
//! that; with the names in the chains those of the chain would end.

use std::collections::HashMap;

use seaway_proto::any;
use seaway_proto::envoy::listener::Listener;
use seaway_proto::envoy::network_inputs::ServerNameInput;
use seaway_proto::google::protobuf::StringValue;
use seaway_proto::xds::core::TypedExtensionConfig;
use seaway_proto::xds::matcher::matcher::matcher_list::predicate::single_predicate::Matcher as With;
use seaway_proto::xds::matcher::matcher::matcher_list::predicate::{MatchType, SinglePredicate};
use seaway_proto::xds::matcher::matcher::matcher_list::{FieldMatcher, Predicate};
use seaway_proto::xds::matcher::matcher::matcher_tree::{MatchMap, TreeType};
use seaway_proto::xds::matcher::matcher::{
    MatcherList, MatcherTree, MatcherType, OnMatch, on_match,
};
use seaway_proto::xds::matcher::regex_matcher::{EngineType, GoogleRe2};
use seaway_proto::xds::matcher::string_matcher::MatchPattern;
use seaway_proto::xds::matcher::{Matcher, RegexMatcher, StringMatcher};

use super::on_demand;
use crate::envoy::http::tls;
use crate::model::Hostname;
use crate::plan::certificates::{ChainPlan, OnDemand};

/// What may be a host name. Envoy shows it in lower case.
const HOST_NAME: &str = r"[a-z0-9-]+(\.[a-z0-9-]+)*";

/// Leads the connections of a listener to its chains: names with chains of their own to those, the
/// narrowest wildcard first, then what can be a host name to the chain on demand. All others are
/// closed, if there is no chain for all names.
pub(in super::super) fn lead(
    listener: &mut Listener,
    chains: &[ChainPlan<'_>],
    names: &OnDemand<'_>,
) {
    for chain in &mut listener.filter_chains {
        chain.filter_chain_match = None;
    }
    let mut exact = HashMap::new();
    let mut wild = Vec::new();
    let mut any_name = None;
    for chain in chains {
        for name in &chain.names {
            let on_match = to(&tls::chain_name(chain));
            match name {
                Hostname::Exact(name) => _ = exact.insert(name.to_string(), on_match),
                Hostname::Wildcard(suffix) => wild.push((suffix, on_match)),
                Hostname::Any => any_name = Some(on_match),
            }
        }
    }
    let on_demand = names.covered.iter();
    exact.extend(on_demand.map(|name| (name.to_string(), to(on_demand::CHAIN))));
    // A wildcard under another one is longer.
    wild.sort_by(|(one, _), (other, _)| (other.len(), one).cmp(&(one.len(), other)));
    let mut list: Vec<FieldMatcher> = wild
        .into_iter()
        .map(|(suffix, on_match)| {
            let pattern = MatchPattern::Suffix(format!(".{suffix}"));
            field(pattern, on_match)
        })
        .collect();
    if names.has_others {
        list.push(field(
            MatchPattern::SafeRegex(host_name()),
            to(on_demand::CHAIN),
        ));
    }
    listener.filter_chain_matcher = Some(matcher(exact, list, any_name));
}

/// A matcher that tries exact names, then a list, and then leads to what is for the rest.
fn matcher(
    exact: HashMap<String, OnMatch>,
    list: Vec<FieldMatcher>,
    rest: Option<OnMatch>,
) -> Matcher {
    let rest = rest.map(Box::new);
    let after = match list.is_empty() {
        true => Matcher {
            on_no_match: rest,
            ..Default::default()
        },
        false => Matcher {
            matcher_type: Some(MatcherType::MatcherList(MatcherList { matchers: list })),
            on_no_match: rest,
        },
    };
    if exact.is_empty() {
        return after;
    }
    let tree = MatcherTree {
        input: Some(input()),
        tree_type: Some(TreeType::ExactMatchMap(MatchMap { map: exact })),
    };
    let on_no_match = match after.matcher_type {
        Some(_) => Some(Box::new(OnMatch {
            on_match: Some(on_match::OnMatch::Matcher(Box::new(after))),
            ..Default::default()
        })),
        None => after.on_no_match,
    };
    Matcher {
        matcher_type: Some(MatcherType::MatcherTree(tree)),
        on_no_match,
    }
}

fn field(pattern: MatchPattern, on_match: OnMatch) -> FieldMatcher {
    let matcher = StringMatcher {
        match_pattern: Some(pattern),
        ..Default::default()
    };
    let predicate = SinglePredicate {
        input: Some(input()),
        matcher: Some(With::ValueMatch(matcher)),
    };
    FieldMatcher {
        predicate: Some(Predicate {
            match_type: Some(MatchType::SinglePredicate(predicate)),
        }),
        on_match: Some(on_match),
    }
}

fn host_name() -> RegexMatcher {
    RegexMatcher {
        engine_type: Some(EngineType::GoogleRe2(GoogleRe2 {})),
        regex: HOST_NAME.to_owned(),
    }
}

fn input() -> TypedExtensionConfig {
    TypedExtensionConfig {
        name: "server name".to_owned(),
        typed_config: Some(any(&ServerNameInput::default())),
    }
}

/// The filter chain of this name.
fn to(chain: &str) -> OnMatch {
    let action = TypedExtensionConfig {
        name: "chain".to_owned(),
        typed_config: Some(any(&StringValue {
            value: chain.to_owned(),
        })),
    };
    OnMatch {
        on_match: Some(on_match::OnMatch::Action(action)),
        ..Default::default()
    }
}
