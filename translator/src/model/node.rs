//! [`Node`]: the fields of a Node that matter for the proxies and endpoints on it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Problem;

/// A Node: its zone, region, addresses and pod ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The name of the Node.
    pub name: Arc<str>,
    /// Label `topology.kubernetes.io/zone`; empty is none.
    pub zone: Option<Arc<str>>,
    /// Label `topology.kubernetes.io/region`; empty is none.
    pub region: Option<Arc<str>>,
    /// The IP addresses of `status.addresses`, internal ones first, else in their order.
    pub addresses: Box<[IpAddr]>,
    /// The ranges of `spec.podCIDRs`, from which the Node's pods have their addresses.
    pub pod_cidrs: Box<[IpNet]>,
    /// Whether the Node is being deleted, or the cluster autoscaler is about to: the proxy's health
    /// then tells load balancers (Service rule 35).
    pub leaving: bool,
    /// The problems found while the Node was read.
    pub problems: Box<[Problem]>,
}
