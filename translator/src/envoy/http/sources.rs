//! Which clients a route serves, as a policy of Envoy's RBAC filter.

use std::collections::HashMap;

use seaway_proto::any;
use seaway_proto::envoy::http_rbac::{Rbac as Filter, RbacPerRoute};
use seaway_proto::envoy::rbac::rbac::Action;
use seaway_proto::envoy::rbac::{Permission, Policy, Principal, Rbac, permission, principal};
use seaway_proto::google::protobuf::Any;

use crate::IpNet;
use crate::envoy::cidr;

/// The name of the filter, which does nothing on routes without a policy.
pub(super) const FILTER: &str = "envoy.filters.http.rbac";

/// The filter itself.
pub(super) fn filter() -> Any {
    any(&Filter::default())
}

/// The policy of a route that serves clients of these ranges; all others are answered with 403.
pub(super) fn policy(ranges: &[IpNet]) -> Any {
    let principal = |range: &IpNet| Principal {
        identifier: Some(principal::Identifier::RemoteIp(cidr(range))),
    };
    let policy = Policy {
        permissions: vec![Permission {
            rule: Some(permission::Rule::Any(true)),
        }],
        principals: ranges.iter().map(principal).collect(),
        ..Default::default()
    };
    // Without a policy nobody is allowed.
    let policies = (!ranges.is_empty()).then(|| ("sources".to_owned(), policy));
    let rules = Rbac {
        action: Action::Allow as i32,
        policies: policies.into_iter().collect::<HashMap<_, _>>(),
        ..Default::default()
    };
    any(&RbacPerRoute {
        rbac: Some(Filter {
            rules: Some(rules),
            ..Default::default()
        }),
    })
}
