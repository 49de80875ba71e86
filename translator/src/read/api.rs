//! The objects of the API, as far as they are used: whatever else an object holds is never looked
//! at, so it cannot make the object unreadable, however wrong it is.
//!
//! Fields are called as in the API, and `null` means unset, as everywhere in Kubernetes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decode::{self, Text};

/// Who an object is, and what else of `metadata` is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    pub name: Option<String>,
    /// Its namespace, where it has one.
    pub namespace: Option<String>,
    /// What tells it from an earlier object of its name.
    #[serde(deserialize_with = "decode::text_or_nothing")]
    pub uid: Option<String>,
    /// Its version.
    #[serde(deserialize_with = "decode::text_or_nothing")]
    pub resource_version: Option<String>,
    #[serde(deserialize_with = "decode::used_texts")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "decode::used_texts")]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) creation_timestamp: Option<Text>,
    #[serde(deserialize_with = "decode::is_there")]
    pub(super) deletion_timestamp: bool,
}

impl Metadata {
    /// Of an object of which nothing else is known.
    pub fn of(
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
    ) -> Metadata {
        Metadata {
            name,
            namespace,
            uid,
            resource_version,
            ..Metadata::default()
        }
    }
}

/// An object of one of the kinds that are used.
pub trait Described {
    /// Who it is.
    fn metadata(&self) -> &Metadata;

    /// Whether it says that it is of another version or kind than these. Items of a list say
    /// neither.
    fn is_foreign(&self, api_version: &str, kind: &str) -> bool;
}

fn is_other(said: &Option<String>, expected: &str) -> bool {
    said.as_deref()
        .is_some_and(|said| !said.is_empty() && said != expected)
}

/// An object says of itself what it is in the same fields, whatever it is.
macro_rules! described {
    ($($object:ident),*) => {
        $(impl Described for $object {
            fn metadata(&self) -> &Metadata {
                &self.metadata
            }

            fn is_foreign(&self, api_version: &str, kind: &str) -> bool {
                is_other(&self.api_version, api_version) || is_other(&self.kind, kind)
            }
        })*
    };
}
described!(Service, EndpointSlice, Node);

/// A Service (`v1`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    #[serde(rename = "apiVersion", deserialize_with = "decode::text_or_nothing")]
    api_version: Option<String>,
    #[serde(deserialize_with = "decode::text_or_nothing")]
    kind: Option<String>,
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) metadata: Metadata,
    pub(super) spec: Option<ServiceSpec>,
    pub(super) status: Option<ServiceStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    #[serde(rename = "type")]
    pub(super) type_: Option<String>,
    pub(super) external_name: Option<String>,
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs", deserialize_with = "decode::list")]
    pub(super) cluster_ips: Option<Vec<String>>,
    #[serde(deserialize_with = "decode::list")]
    pub(super) ip_families: Option<Vec<String>>,
    #[serde(rename = "externalIPs", deserialize_with = "decode::list")]
    pub(super) external_ips: Option<Vec<String>>,
    pub(super) internal_traffic_policy: Option<String>,
    pub(super) external_traffic_policy: Option<String>,
    #[serde(deserialize_with = "decode::list")]
    pub(super) load_balancer_source_ranges: Option<Vec<String>>,
    #[serde(deserialize_with = "decode::integer")]
    pub(super) health_check_node_port: Option<i32>,
    #[serde(deserialize_with = "decode::list")]
    pub(super) ports: Option<Vec<ServicePort>>,
    pub(super) session_affinity: Option<String>,
    pub(super) session_affinity_config: Option<SessionAffinityConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServicePort {
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "decode::number")]
    pub(super) port: i32,
    pub(super) protocol: Option<String>,
    #[serde(deserialize_with = "decode::integer")]
    pub(super) node_port: Option<i32>,
    pub(super) app_protocol: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SessionAffinityConfig {
    #[serde(rename = "clientIP")]
    pub(super) client_ip: Option<ClientIpConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ClientIpConfig {
    #[serde(deserialize_with = "decode::integer")]
    pub(super) timeout_seconds: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServiceStatus {
    pub(super) load_balancer: Option<LoadBalancerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancerStatus {
    #[serde(deserialize_with = "decode::list")]
    pub(super) ingress: Option<Vec<LoadBalancerIngress>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LoadBalancerIngress {
    pub(super) ip: Option<String>,
    pub(super) ip_mode: Option<String>,
}

/// An EndpointSlice (`discovery.k8s.io/v1`).
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointSlice {
    #[serde(rename = "apiVersion", deserialize_with = "decode::text_or_nothing")]
    api_version: Option<String>,
    #[serde(deserialize_with = "decode::text_or_nothing")]
    kind: Option<String>,
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) address_type: String,
    #[serde(deserialize_with = "decode::list")]
    pub(super) ports: Option<Vec<EndpointPort>>,
    #[serde(deserialize_with = "decode::list")]
    pub(super) endpoints: Option<Vec<Endpoint>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointPort {
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "decode::integer")]
    pub(super) port: Option<i32>,
    pub(super) protocol: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Endpoint {
    #[serde(deserialize_with = "decode::list")]
    pub(super) addresses: Option<Vec<String>>,
    pub(super) conditions: Option<EndpointConditions>,
    pub(super) hints: Option<EndpointHints>,
    pub(super) node_name: Option<String>,
    pub(super) zone: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointConditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EndpointHints {
    #[serde(deserialize_with = "decode::list")]
    pub(super) for_zones: Option<Vec<Hint>>,
    #[serde(deserialize_with = "decode::list")]
    pub(super) for_nodes: Option<Vec<Hint>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Hint {
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) name: String,
}

/// A Node (`v1`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    #[serde(rename = "apiVersion", deserialize_with = "decode::text_or_nothing")]
    api_version: Option<String>,
    #[serde(deserialize_with = "decode::text_or_nothing")]
    kind: Option<String>,
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) metadata: Metadata,
    pub(super) spec: Option<NodeSpec>,
    pub(super) status: Option<NodeStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pub(super) pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs", deserialize_with = "decode::list")]
    pub(super) pod_cidrs: Option<Vec<String>>,
    #[serde(deserialize_with = "decode::list")]
    pub(super) taints: Option<Vec<Taint>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Taint {
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    #[serde(deserialize_with = "decode::list")]
    pub(super) addresses: Option<Vec<NodeAddress>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAddress {
    #[serde(rename = "type", deserialize_with = "decode::or_default")]
    pub(super) type_: String,
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) address: String,
}
