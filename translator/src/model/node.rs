//! A Node, reduced to what it means for the proxies and endpoints on it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Problem;

/// A Node as the translation sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Label `topology.kubernetes.io/zone`; empty is none.
    pub zone: Option<Arc<str>>,
    /// Label `topology.kubernetes.io/region`; empty is none.
    pub region: Option<Arc<str>>,
    /// The IP addresses of `status.addresses`, internal ones first, else in their order.
    pub addresses: Box<[IpAddr]>,
    /// The ranges of `spec.podCIDRs`, from which the pods on it have their addresses.
    pub pod_cidrs: Box<[IpNet]>,
    /// Whether it is being deleted, or the cluster autoscaler is about to: load balancers are told
    /// (Service rule 35).
    pub leaving: bool,
    /// Problems found while reading it.
    pub problems: Box<[Problem]>,
}
