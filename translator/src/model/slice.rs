//! An EndpointSlice, reduced to what it means for a data plane.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Protocol, ServiceKey};
use crate::Problem;

/// An EndpointSlice as the translation sees it. One without meaning (no Service, addresses that are
/// host names) is kept too, empty, so that its problems stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSlice {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The Service it belongs to: label `kubernetes.io/service-name` (Service rule 36).
    pub service: Option<ServiceKey>,
    /// Whether it carries label `service.kubernetes.io/headless` (Service rule 37).
    pub headless: bool,
    /// Microseconds since 1970 of annotation `endpoints.kubernetes.io/last-change-trigger-time`;
    /// `i64::MIN` without. Of two slices that say different things about one address the newer is
    /// believed (Service rule 45).
    pub changed: i64,
    /// Its ports.
    pub ports: Box<[SlicePort]>,
    /// Its endpoints.
    pub endpoints: Box<[Endpoint]>,
    /// Problems found while reading it.
    pub problems: Box<[Problem]>,
}

/// One port of a slice: the number its endpoints listen on for the Service port of this name and
/// protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlicePort {
    /// The Service port's name; empty for the unnamed port.
    pub name: Arc<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The number.
    pub number: NonZeroU16,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its index in `endpoints`, for problems.
    pub index: u32,
    /// Its first address (Service rule 39).
    pub ip: IpAddr,
    /// Whether it can be used.
    pub condition: Condition,
    /// Whether it is terminating, ready or not.
    pub terminating: bool,
    /// The Node it runs on.
    pub node: Option<Arc<str>>,
    /// The zone it runs in.
    pub zone: Option<Arc<str>>,
    /// The zones it is meant for (`hints.forZones`), sorted.
    pub zone_hints: Box<[Arc<str>]>,
    /// The Nodes it is meant for (`hints.forNodes`), sorted.
    pub node_hints: Box<[Arc<str>]>,
}

/// Whether an endpoint can be used, from its three conditions (Service rule 44); the better one is
/// the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Condition {
    /// Ready.
    Ready,
    /// Not ready, but still serving while it terminates: used when nothing is ready.
    ServingTerminating,
    /// Not usable.
    Unusable,
}
