//! The Kubernetes API types, reduced to the fields that are used: any other field is skipped, so it
//! cannot make the object unreadable, however wrong it is.
//!
//! Fields are called as in the API, and `null` means unset, as everywhere in Kubernetes.

mod secret;
mod specs;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decode::{self, Text};
use super::field::Value;
pub(super) use secret::Content;
pub use secret::Secret;
pub use specs::{
    Gateway, GatewayClass, HTTPRoute, Ingress, IngressClass, Namespace, ReferenceGrant,
};

/// The `metadata` of an object: its identity, and the other fields of it that are used.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The name of the object.
    pub name: Option<String>,
    /// The namespace of the object, where it has one.
    pub namespace: Option<String>,
    /// The unique id, which tells the object from an earlier one of its name.
    #[serde(deserialize_with = "decode::text_or_nothing")]
    pub uid: Option<String>,
    /// The `resourceVersion` of the object.
    #[serde(deserialize_with = "decode::text_or_nothing")]
    pub resource_version: Option<String>,
    #[serde(deserialize_with = "decode::used_texts")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "decode::used_texts")]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) creation_timestamp: Option<Text>,
    #[serde(deserialize_with = "decode::number_or_nothing")]
    pub(super) generation: Option<i64>,
    #[serde(deserialize_with = "decode::is_there")]
    pub(super) deletion_timestamp: bool,
}

impl Metadata {
    /// The metadata of an object of which only this is known.
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

/// An API object, whose identity can be read whatever its kind.
pub trait Described {
    /// The metadata of the object.
    fn metadata(&self) -> &Metadata;

    /// Whether the object names another `apiVersion` or `kind` than these. Items of a list name
    /// neither.
    fn is_foreign(&self, api_version: &str, kind: &str) -> bool;
}

fn is_other(said: &Option<String>, expected: &str) -> bool {
    said.as_deref()
        .is_some_and(|said| !said.is_empty() && said != expected)
}

/// Implements [`Described`] for an API type: all have these fields in common.
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
use described;
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

/// The `spec` of a Service.
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
    pub(super) selector: Value,
    pub(super) session_affinity: Option<String>,
    pub(super) session_affinity_config: Option<SessionAffinityConfig>,
}

/// An item of a Service's `spec.ports`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServicePort {
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "decode::number")]
    pub(super) port: i32,
    pub(super) protocol: Option<String>,
    pub(super) target_port: Value,
    #[serde(deserialize_with = "decode::integer")]
    pub(super) node_port: Option<i32>,
    pub(super) app_protocol: Option<String>,
}

/// The `spec.sessionAffinityConfig` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SessionAffinityConfig {
    #[serde(rename = "clientIP")]
    pub(super) client_ip: Option<ClientIpConfig>,
}

/// The `clientIP` of a `sessionAffinityConfig`, with the timeout.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ClientIpConfig {
    #[serde(deserialize_with = "decode::integer")]
    pub(super) timeout_seconds: Option<i32>,
}

/// The `status` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServiceStatus {
    pub(super) load_balancer: Option<LoadBalancerStatus>,
}

/// The `status.loadBalancer` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancerStatus {
    #[serde(deserialize_with = "decode::list")]
    pub(super) ingress: Option<Vec<LoadBalancerIngress>>,
}

/// An item of a Service's `status.loadBalancer.ingress`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LoadBalancerIngress {
    pub(super) ip: Option<String>,
    #[serde(deserialize_with = "decode::text_or_nothing")]
    pub(super) hostname: Option<String>,
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

/// An item of an EndpointSlice's `ports`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointPort {
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "decode::integer")]
    pub(super) port: Option<i32>,
    pub(super) protocol: Option<String>,
}

/// An item of an EndpointSlice's `endpoints`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Endpoint {
    #[serde(deserialize_with = "decode::list")]
    pub(super) addresses: Option<Vec<String>>,
    pub(super) conditions: Option<EndpointConditions>,
    pub(super) hints: Option<EndpointHints>,
    pub(super) hostname: Option<String>,
    pub(super) node_name: Option<String>,
    pub(super) zone: Option<String>,
}

/// The `conditions` of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointConditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

/// The topology `hints` of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EndpointHints {
    #[serde(deserialize_with = "decode::list")]
    pub(super) for_zones: Option<Vec<Hint>>,
    #[serde(deserialize_with = "decode::list")]
    pub(super) for_nodes: Option<Vec<Hint>>,
}

/// An item of `hints.forZones` or `hints.forNodes`: a zone or a node.
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

/// The `spec` of a Node.
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

/// An item of a Node's `spec.taints`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Taint {
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) key: String,
}

/// The `status` of a Node.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    #[serde(deserialize_with = "decode::list")]
    pub(super) addresses: Option<Vec<NodeAddress>>,
}

/// An item of a Node's `status.addresses`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAddress {
    #[serde(rename = "type", deserialize_with = "decode::or_default")]
    pub(super) type_: String,
    #[serde(deserialize_with = "decode::or_default")]
    pub(super) address: String,
}
