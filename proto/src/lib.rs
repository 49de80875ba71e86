//! Envoy's protobuf messages for Seaway: generated types, deterministic encoding, and JSON.
//!
//! Everything in Seaway that names an Envoy message does so through this crate:
//!
//! - [`envoy`], [`xds`] and [`discovery`] give the generated types readable paths,
//! - [`encode()`] and [`any`] turn a message into bytes that are equal for equal content (xDS rule
//!   75),
//! - [`Resource`] is such an encoding with its name, its version and what it refers to: what the
//!   translator makes and the xDS server sends,
//! - [`json`] prints any message as protobuf JSON or YAML and reads it back,
//! - [`peers`] has the messages of Seaway's own, which replicas send each other.

mod encode;
mod map_order;
mod names;
mod resource;
mod zones;

pub mod json;
pub mod peers;

pub use encode::{any, encode};
pub use envoy_types::pb::google;
pub use names::{discovery, envoy, xds};
pub use resource::{Resource, ResourceRef, TypeUrl, Version};
pub use zones::has_zone;
