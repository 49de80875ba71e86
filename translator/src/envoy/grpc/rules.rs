//! The routes that gRPC clients have of the rules of HTTPRoutes (xDS rules 182, 183 and 223).

use std::num::NonZeroU32;
use std::sync::Arc;

use seaway_proto::envoy::core::RuntimeFractionalPercent;
use seaway_proto::envoy::route::retry_policy::RetryBackOff;
use seaway_proto::envoy::route::route::Action;
use seaway_proto::envoy::route::route_action::{ClusterSpecifier, MaxStreamDuration};
use seaway_proto::envoy::route::route_match::PathSpecifier;
use seaway_proto::envoy::route::weighted_cluster::ClusterWeight;
use seaway_proto::envoy::route::{
    NonForwardingAction, RetryPolicy, Route, RouteAction, RouteMatch, WeightedCluster,
};
use seaway_proto::envoy::types::FractionalPercent;
use seaway_proto::envoy::types::fractional_percent::DenominatorType;
use seaway_proto::google::protobuf::Duration;

use super::hash_policy;
use crate::envoy::http::route_match;
use crate::envoy::{milliseconds, number, seconds};
use crate::model::PathMatch;
use crate::plan::grpc::{ALL, RpcRoute};

/// So many times the first pause between tries the longest may be.
const LONGER: u32 = 10;

/// What one match of a rule becomes. RPCs of shares that lead nowhere fail by a route of their own
/// before the other: a client would wait for a cluster that there is not.
pub(super) fn routes(plan: &RpcRoute<'_>) -> Vec<Route> {
    let mut all = Vec::new();
    for path in paths(&plan.matches.path) {
        let matches = RouteMatch {
            path_specifier: Some(path),
            headers: route_match::named_headers(plan.matches),
            ..Default::default()
        };
        if plan.failing > 0 {
            all.push(Route {
                r#match: Some(RouteMatch {
                    runtime_fraction: fraction(plan.failing),
                    ..matches.clone()
                }),
                // What is for servers is no route to a client, which fails such RPCs.
                action: Some(Action::NonForwardingAction(NonForwardingAction {})),
                ..Default::default()
            });
        }
        if !plan.shares.is_empty() {
            all.push(Route {
                r#match: Some(matches),
                action: Some(Action::Route(action(plan))),
                ..Default::default()
            });
        }
    }
    all
}

/// The clusters to which the RPCs of a route go.
pub(super) fn clusters<'p>(plan: &'p RpcRoute<'_>) -> impl Iterator<Item = &'p Arc<str>> {
    plan.shares.iter().map(|(cluster, _)| cluster)
}

/// So many of a million; `None` for all.
fn fraction(per_million: u32) -> Option<RuntimeFractionalPercent> {
    (per_million < ALL).then(|| RuntimeFractionalPercent {
        default_value: Some(FractionalPercent {
            numerator: per_million,
            denominator: DenominatorType::Million as i32,
        }),
        ..Default::default()
    })
}

/// The paths of a match: gRPC has no prefixes of whole elements.
fn paths(path: &PathMatch) -> Vec<PathSpecifier> {
    match path {
        PathMatch::Prefix(prefix) => match prefix.trim_end_matches('/') {
            "" => vec![PathSpecifier::Prefix(String::new())],
            prefix => vec![
                PathSpecifier::Path(prefix.to_owned()),
                PathSpecifier::Prefix(format!("{prefix}/")),
            ],
        },
        PathMatch::Exact(_) | PathMatch::Regex(_) => vec![route_match::path_specifier(path)],
    }
}

fn action(plan: &RpcRoute<'_>) -> RouteAction {
    let clusters = match plan.shares.as_slice() {
        [(only, _)] => ClusterSpecifier::Cluster(only.to_string()),
        shares => ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: shares.iter().map(weighted).collect(),
            ..Default::default()
        }),
    };
    let deadline = plan.deadline.map(time).map(|time| MaxStreamDuration {
        max_stream_duration: Some(time),
        // A client that says less is held to that.
        grpc_timeout_header_max: Some(time),
        ..Default::default()
    });
    RouteAction {
        cluster_specifier: Some(clusters),
        hash_policy: hash_policy(plan.hash.as_ref()),
        max_stream_duration: deadline,
        retry_policy: plan.retries.map(again),
        ..Default::default()
    }
}

fn weighted((cluster, weight): &(Arc<str>, u32)) -> ClusterWeight {
    ClusterWeight {
        name: cluster.to_string(),
        weight: Some(number(*weight)),
        ..Default::default()
    }
}

fn again((attempts, pause): (u32, u32)) -> RetryPolicy {
    RetryPolicy {
        retry_on: "unavailable".to_owned(),
        num_retries: Some(number(attempts)),
        retry_back_off: Some(RetryBackOff {
            base_interval: Some(time(pause)),
            max_interval: Some(time(pause.saturating_mul(LONGER))),
        }),
        ..Default::default()
    }
}

fn time(milliseconds_: u32) -> Duration {
    NonZeroU32::new(milliseconds_).map_or(seconds(0), milliseconds)
}
