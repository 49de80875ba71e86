//! Kubernetes Services in, Envoy resources out: pure and synchronous. No IO, no clock.
//!
//! The way of a change through this crate:
//!
//! 1. [`read`] turns a Kubernetes object into a compact, validated [`model`] object; what is wrong with it becomes [`Problem`]s.
//! 2. [`Translator::apply`] puts it into the index, which joins Services, EndpointSlices and Nodes and marks the Services that
//!    the change concerns.
//! 3. [`Translator::flush`] translates those Services whole, each into one [`Replace`], spread over [`Layer`]s.
//! 4. A proxy sees the layers that [`Translator::place`] lists for its [`View`].

mod active;
mod alias;
mod book;
mod change;
mod choose;
mod endpoints;
mod envoy;
mod external;
mod frontends;
mod health;
mod healthz;
mod index;
mod keep_source;
mod layers;
mod mesh;
mod namespace;
mod node_ports;
mod options;
mod parts;
mod problem;
mod redirect;
mod service;
mod sockets;
mod sources;
mod system_ports;
mod translator;
mod view;

pub mod model;
pub mod names;
pub mod read;

pub use change::{Change, Object, ObjectId, ObjectKind};
pub use ipnet::IpNet;
pub use options::{
    Capture, ExternalIps, ExternalNamePolicy, NodePortAddresses, OptionError, Options,
};
pub use problem::{Problem, Reason, Severity};
pub use translator::{Replace, Snapshot, Translator, translate_once};
pub use view::{Layer, Role, View};
