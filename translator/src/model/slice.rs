//! [`EndpointSlice`]: the fields of an EndpointSlice that matter for a data plane.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Protocol, ServiceKey};
use crate::Problem;

/// An EndpointSlice: its Service, ports and endpoints, validated. One without meaning (no Service,
/// addresses that are host names) is kept too, empty, so that its problems stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSlice {
    /// The namespace of the slice.
    pub namespace: Arc<str>,
    /// The name of the slice.
    pub name: Arc<str>,
    /// The Service to which the slice belongs: label `kubernetes.io/service-name` (Service rule
    /// 36).
    pub service: Option<ServiceKey>,
    /// Whether the slice carries label `service.kubernetes.io/headless` (Service rule 37).
    pub headless: bool,
    /// Microseconds since 1970 of annotation `endpoints.kubernetes.io/last-change-trigger-time`;
    /// `i64::MIN` without. Of two slices that say different things about one address the newer is
    /// believed (Service rule 45).
    pub changed: i64,
    /// The ports of the slice.
    pub ports: Box<[SlicePort]>,
    /// The endpoints of the slice.
    pub endpoints: Box<[Endpoint]>,
    /// The problems found while the slice was read.
    pub problems: Box<[Problem]>,
}

/// One port of a slice: the number its endpoints listen on for the Service port of this name and
/// protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlicePort {
    /// The Service port's name; empty for the unnamed port.
    pub name: Arc<str>,
    /// The transport protocol of the port.
    pub protocol: Protocol,
    /// The port number on which the endpoints listen.
    pub number: NonZeroU16,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The index of the endpoint in `endpoints`, for problems.
    pub index: u32,
    /// The first address of the endpoint (Service rule 39).
    pub ip: IpAddr,
    /// Whether the endpoint is usable.
    pub condition: Condition,
    /// Whether the endpoint is terminating, ready or not.
    pub terminating: bool,
    /// The name of the endpoint's pod in DNS, before that of the Service (Service rule 129).
    pub hostname: Option<Arc<str>>,
    /// The name of the Node on which the endpoint runs.
    pub node: Option<Arc<str>>,
    /// The zone in which the endpoint runs.
    pub zone: Option<Arc<str>>,
    /// The zones whose clients should use the endpoint (`hints.forZones`), sorted.
    pub zone_hints: Box<[Arc<str>]>,
    /// The Nodes whose clients should use the endpoint (`hints.forNodes`), sorted.
    pub node_hints: Box<[Arc<str>]>,
}

/// Whether an endpoint is usable, from `ready`, `serving` and `terminating` (Service rule 44); the
/// better one is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Condition {
    /// The endpoint is ready.
    Ready,
    /// The endpoint is not ready, but still serving while it terminates: used when no endpoint is
    /// ready.
    ServingTerminating,
    /// The endpoint is not usable.
    Unusable,
}
