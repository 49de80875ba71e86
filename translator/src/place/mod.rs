//! Places: the views in use, the names that gRPC clients ask for, the endpoints of a Service port,
//! the choice among them for a client on a node and in a zone, and the layers that hold the
//! choices.

pub(crate) mod active_views;
pub(crate) mod choose;
pub(crate) mod endpoints;
pub(crate) mod imports;
pub(crate) mod layering;
pub(crate) mod targets;
