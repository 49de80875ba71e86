//! What keeps a proxy from using endpoints too much, or at all: circuit breakers and outlier
//! detection.

use std::num::NonZeroU32;

use seaway_proto::envoy::cluster::circuit_breakers::Thresholds;
use seaway_proto::envoy::cluster::{CircuitBreakers, OutlierDetection};

use super::{milliseconds, number, seconds};
use crate::model::{Ejection, Limits};

/// The base ejection time of outlier detection in milliseconds; each further ejection is longer by
/// this.
const EJECTION_TIME: NonZeroU32 = NonZeroU32::MIN.saturating_add(4_999);
/// So many times the base ejection time is the longest.
const LONGER: NonZeroU32 = NonZeroU32::MIN.saturating_add(5);
/// The interval at which Envoy looks for ejected endpoints that may come back: it walks through all
/// endpoints.
const SWEEP_SECONDS: i64 = 2;
/// The most endpoints that are ejected at a time. Envoy rounds down, so that of up to 100 endpoints
/// one always stays, and a hundredth of more.
const MOST_EJECTED_PERCENT: NonZeroU32 = NonZeroU32::MIN.saturating_add(98);

/// Circuit breakers that open at these limits alone: kube-proxy has none; Envoy's default is 1024
/// of each, and 3 retries at a time (Service rule 96).
pub(super) fn breakers(limits: Limits) -> CircuitBreakers {
    let most = |limit: Option<NonZeroU32>| Some(number(limit.map_or(u32::MAX, NonZeroU32::get)));
    CircuitBreakers {
        thresholds: vec![Thresholds {
            max_connections: most(limits.connections),
            max_pending_requests: most(limits.pending),
            max_requests: most(limits.requests),
            max_retries: Some(number(u32::MAX)),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The outlier detection for connect failures, and for answers of endpoints where the Service asks
/// for that; otherwise those do not count. All endpoints of a priority are ejected if need be,
/// since then the next one is there, but never all there are.
pub(super) fn outlier_detection(
    failures: Option<NonZeroU32>,
    ejection: Ejection,
) -> Option<OutlierDetection> {
    let Ejection { errors, time, most } = ejection;
    let enforcing = |wanted: bool| Some(number(if wanted { 100 } else { 0 }));
    let count = |wanted: Option<NonZeroU32>| wanted.map(|count| number(count.get()));
    let time = time.unwrap_or(EJECTION_TIME);
    (failures.is_some() || errors.is_some()).then(|| OutlierDetection {
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: count(failures),
        enforcing_consecutive_local_origin_failure: enforcing(failures.is_some()),
        consecutive_5xx: count(errors),
        enforcing_consecutive_5xx: enforcing(errors.is_some()),
        enforcing_consecutive_gateway_failure: enforcing(false),
        enforcing_success_rate: enforcing(false),
        enforcing_local_origin_success_rate: enforcing(false),
        interval: Some(seconds(SWEEP_SECONDS)),
        base_ejection_time: Some(milliseconds(time)),
        max_ejection_time: Some(milliseconds(time.saturating_mul(LONGER))),
        max_ejection_percent: count(most.or(Some(MOST_EJECTED_PERCENT))),
        ..Default::default()
    })
}
