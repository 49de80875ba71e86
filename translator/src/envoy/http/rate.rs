//! How many requests for a host a proxy takes, as Envoy's local rate limit.
//!
//! The limits of a host are one policy on its virtual host, with a bucket for each Ingress; its
//! routes say whose bucket a request is taken from. So all paths of an Ingress share one, and none
//! of another's.

use std::collections::BTreeMap;

use seaway_proto::any;
use seaway_proto::envoy::core::RuntimeFractionalPercent;
use seaway_proto::envoy::local_rate_limit::LocalRateLimit;
use seaway_proto::envoy::rate_limit::LocalRateLimitDescriptor;
use seaway_proto::envoy::rate_limit::rate_limit_descriptor::Entry;
use seaway_proto::envoy::route::RateLimit as Limit;
use seaway_proto::envoy::route::rate_limit::Action;
use seaway_proto::envoy::route::rate_limit::action::{ActionSpecifier, GenericKey};
use seaway_proto::envoy::types::fractional_percent::DenominatorType;
use seaway_proto::envoy::types::{FractionalPercent, TokenBucket};
use seaway_proto::google::protobuf::Any;

use crate::envoy::{number, seconds};
use crate::model::RateLimit;
use crate::plan::host::HostPlan;

/// The name of the filter, which does nothing on hosts without a policy.
pub(super) const FILTER: &str = "envoy.filters.http.local_ratelimit";
/// What the statistics of the filter begin with.
const STATISTICS: &str = "limited";
/// The key of the descriptors.
const KEY: &str = "ingress";

/// The filter itself.
pub(super) fn filter() -> Any {
    any(&LocalRateLimit {
        stat_prefix: STATISTICS.to_owned(),
        ..Default::default()
    })
}

/// The policy of a host; `None` where no route has a limit.
pub(super) fn policy(host: &HostPlan<'_>) -> Option<Any> {
    let limits = host
        .routes
        .iter()
        .filter_map(|plan| plan.asked.rate.as_ref());
    let limits: BTreeMap<&str, RateLimit> = limits
        .map(|(name, limit)| (name.as_str(), *limit))
        .collect();
    if limits.is_empty() {
        return None;
    }
    let always = || {
        Some(RuntimeFractionalPercent {
            default_value: Some(FractionalPercent {
                numerator: 100,
                denominator: DenominatorType::Hundred as i32,
            }),
            ..Default::default()
        })
    };
    let descriptor = |(name, limit): (&str, RateLimit)| LocalRateLimitDescriptor {
        entries: vec![Entry {
            key: KEY.to_owned(),
            value: name.to_owned(),
        }],
        token_bucket: Some(bucket(limit.requests.get(), limit.seconds.get())),
        ..Default::default()
    };
    Some(any(&LocalRateLimit {
        stat_prefix: STATISTICS.to_owned(),
        // Of routes without a limit: there has to be a bucket, and it is never empty.
        token_bucket: Some(bucket(u32::MAX, 1)),
        filter_enabled: always(),
        filter_enforced: always(),
        descriptors: limits.into_iter().map(descriptor).collect(),
        ..Default::default()
    }))
}

fn bucket(requests: u32, time: u32) -> TokenBucket {
    TokenBucket {
        max_tokens: requests,
        tokens_per_fill: Some(number(requests)),
        fill_interval: Some(seconds(time.into())),
    }
}

/// What a route says of the bucket that its requests are taken from.
pub(super) fn of_route(name: &str) -> Limit {
    let key = GenericKey {
        descriptor_value: name.to_owned(),
        descriptor_key: KEY.to_owned(),
        ..Default::default()
    };
    Limit {
        actions: vec![Action {
            action_specifier: Some(ActionSpecifier::GenericKey(key)),
        }],
        ..Default::default()
    }
}
