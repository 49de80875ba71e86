//! What is read out of clusters and routes about the use of endpoints: how one is chosen, what
//! leaves one out, how much there may be at a time, and how long requests may take.

use seaway_proto::envoy::cluster::cluster::LbPolicy;
use seaway_proto::envoy::cluster::{Cluster, OutlierDetection};
use seaway_proto::envoy::route::route_action::hash_policy::PolicySpecifier;
use seaway_proto::envoy::route::{RetryPolicy, RouteAction};
use seaway_proto::google::protobuf::{Duration, UInt32Value};

use super::facts::{Facts, time};
use super::settings::Field;
use crate::model::Protocol;
use crate::names::ClusterName;

/// What a cluster says of the use of its endpoints.
pub(super) fn of_cluster(cluster: &Cluster) -> Facts {
    let mut facts = Facts::new();
    let balance = match cluster.lb_policy() {
        LbPolicy::Maglev => (Field::Affinity, "ClientIP"),
        LbPolicy::RingHash => (Field::Balance, "hash"),
        LbPolicy::LeastRequest => (Field::Balance, "least-request"),
        LbPolicy::Random => (Field::Balance, "random"),
        _ => (Field::Balance, "round-robin"),
    };
    facts.insert(balance.0, balance.1.to_owned());
    if let Some(detection) = &cluster.outlier_detection {
        facts.extend(of_detection(detection));
    }
    let name = cluster.name.parse::<ClusterName>();
    let connections = match name.is_ok_and(|name| name.port.protocol == Protocol::Udp) {
        true => Field::MaxUdpFlows,
        false => Field::MaxConnections,
    };
    let thresholds = cluster.circuit_breakers.iter().flat_map(|b| &b.thresholds);
    for limits in thresholds {
        for (field, limit) in [
            (connections, limits.max_connections),
            (Field::MaxPending, limits.max_pending_requests),
            (Field::MaxRequests, limits.max_requests),
        ] {
            let limit = limit.filter(|limit| limit.value != u32::MAX);
            facts.extend(limit.map(|limit| (field, limit.value.to_string())));
        }
    }
    facts
}

fn of_detection(detection: &OutlierDetection) -> Facts {
    let number = |field, number: Option<UInt32Value>| Some((field, number?.value.to_string()));
    let ejection = detection.base_ejection_time.as_ref();
    let all = [
        number(
            Field::OutlierDetection,
            detection.consecutive_local_origin_failure,
        ),
        number(Field::Errors, detection.consecutive_5xx),
        number(Field::MaxEjected, detection.max_ejection_percent),
        ejection.map(|ejection| (Field::EjectionTime, time(ejection))),
    ];
    all.into_iter().flatten().collect()
}

/// What a route of mesh proxies says of its requests.
pub(super) fn of_route(action: &RouteAction) -> Facts {
    let hash = action.hash_policy.first();
    let hash = match hash.and_then(|hash| hash.policy_specifier.as_ref()) {
        Some(PolicySpecifier::ConnectionProperties(_)) => {
            Some((Field::Affinity, "ClientIP".to_owned()))
        }
        Some(PolicySpecifier::Header(header)) => {
            Some((Field::HashedBy, format!("header {}", header.header_name)))
        }
        Some(PolicySpecifier::Cookie(cookie)) => {
            Some((Field::HashedBy, format!("cookie {}", cookie.name)))
        }
        _ => None,
    };
    let policy = action.retry_policy.as_ref();
    let limited = |field, limit: Option<&Duration>| {
        let limit = limit.filter(|limit| **limit != Duration::default());
        limit.map(|limit| (field, time(limit)))
    };
    let all = [
        hash,
        limited(Field::Timeout, action.timeout.as_ref()),
        limited(
            Field::TryTimeout,
            policy.and_then(|policy| policy.per_try_timeout.as_ref()),
        ),
        policy.and_then(retry).map(|retry| (Field::Retry, retry)),
    ];
    all.into_iter().flatten().collect()
}

/// When a request is sent again, beside where nothing of it has reached a server.
fn retry(policy: &RetryPolicy) -> Option<String> {
    if policy.retry_on == "connect-failure" {
        return None;
    }
    let attempts = policy.num_retries.map_or(1, |attempts| attempts.value);
    let mut parts = vec![format!("attempts={attempts}")];
    let codes: Vec<String> = policy
        .retriable_status_codes
        .iter()
        .map(ToString::to_string)
        .collect();
    if !codes.is_empty() {
        parts.push(format!("codes={}", codes.join(",")));
    }
    let pause = policy.retry_back_off.as_ref();
    let pause = pause.and_then(|pause| pause.base_interval.as_ref());
    parts.extend(pause.map(|pause| format!("backoff={}", time(pause))));
    Some(parts.join("; "))
}
