//! The edge: Kubernetes objects become [`model`](crate::model) objects here and nowhere else.
//!
//! What cannot be used is left out, alone, with a [`Problem`] inside the object that names the field. Only an object whose very
//! name is unusable becomes an error. Nothing a manifest contains may panic.

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::api::discovery::v1 as k8s_discovery;

use crate::{Object, Problem};

/// Reads a Service.
///
/// # Errors
/// When its name or namespace is missing or is none.
pub fn service(service: &k8s::Service) -> Result<Object, Problem> {
    let _ = service;
    Err(Problem::error(
        "",
        "",
        crate::Reason::InvalidName,
        "not yet",
    ))
}

/// Reads an EndpointSlice.
///
/// # Errors
/// When its name or namespace is missing or is none.
pub fn endpoint_slice(slice: &k8s_discovery::EndpointSlice) -> Result<Object, Problem> {
    let _ = slice;
    Err(Problem::error(
        "",
        "",
        crate::Reason::InvalidName,
        "not yet",
    ))
}

/// Reads a Node.
///
/// # Errors
/// When its name is missing or is none.
pub fn node(node: &k8s::Node) -> Result<Object, Problem> {
    let _ = node;
    Err(Problem::error(
        "",
        "",
        crate::Reason::InvalidName,
        "not yet",
    ))
}
