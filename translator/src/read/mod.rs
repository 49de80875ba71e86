//! The edge: Kubernetes objects become [`model`](crate::model) objects here and nowhere else, in
//! two steps: serde decodes the fields that are used ([`Service`], [`EndpointSlice`], [`Node`]),
//! and the functions say what they mean.
//!
//! What cannot be used is left out, alone, with a [`Problem`] inside the object that names the
//! field. Only an object whose very name is unusable becomes an error. Nothing a manifest contains
//! may panic.

mod annotations;
mod api;
mod decode;
mod field;
mod fleet;
mod gateway;
mod http;
mod ingress;
mod node;
mod report;
mod route;
mod secret;
mod service;
mod slice;
mod validate;
mod value;

use std::sync::Arc;

pub use api::{
    Described, EndpointSlice, Gateway, GatewayClass, HTTPRoute, Ingress, IngressClass, Metadata,
    Namespace, Node, ReferenceGrant, Secret, Service,
};

pub(crate) use fleet::field as fleet_field;
pub(crate) use gateway::{CLASS_HAS_NO_PARAMETERS, NO_PARAMETERS, NOT_A_SECRET};

pub(crate) use secret::CERTIFICATE_NAMES;

use crate::{Object, Problem};

/// Reads a Service from its API object. Without a namespace it is in `default`.
///
/// # Errors
/// When its name or namespace is not an RFC 1123 label.
pub fn service(service: &Service) -> Result<Object, Problem> {
    service::read(service).map(|service| Object::Service(Arc::new(service)))
}

/// Reads an EndpointSlice from its API object. Without a namespace it is in `default`.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain or its namespace not a label.
pub fn endpoint_slice(slice: &EndpointSlice) -> Result<Object, Problem> {
    slice::read(slice).map(|slice| Object::EndpointSlice(Arc::new(slice)))
}

/// Reads a Node from its API object.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain.
pub fn node(node: &Node) -> Result<Object, Problem> {
    node::read(node).map(|node| Object::Node(Arc::new(node)))
}

/// Reads an Ingress from its API object. Without a namespace it is in `default`.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain or its namespace not a label.
pub fn ingress(ingress: &Ingress) -> Result<Object, Problem> {
    ingress::read(ingress).map(|ingress| Object::Ingress(Arc::new(ingress)))
}

/// Reads an IngressClass from its API object.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain.
pub fn ingress_class(class: &IngressClass) -> Result<Object, Problem> {
    ingress::class::read(class).map(|class| Object::IngressClass(Arc::new(class)))
}

/// Reads an HTTPRoute from its API object. Without a namespace it is in `default`.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain or its namespace not a label.
pub fn http_route(route: &HTTPRoute) -> Result<Object, Problem> {
    route::read(route).map(|route| Object::HTTPRoute(Arc::new(route)))
}

/// Reads a GatewayClass from its API object.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain.
pub fn gateway_class(class: &GatewayClass) -> Result<Object, Problem> {
    gateway::class::read(class).map(|class| Object::GatewayClass(Arc::new(class)))
}

/// Reads a Gateway from its API object. Without a namespace it is in `default`.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain or its namespace not a label.
pub fn gateway(gateway: &Gateway) -> Result<Object, Problem> {
    gateway::read(gateway).map(|gateway| Object::Gateway(Arc::new(gateway)))
}

/// Reads a ReferenceGrant from its API object. Without a namespace it is in `default`.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain or its namespace not a label.
pub fn reference_grant(grant: &ReferenceGrant) -> Result<Object, Problem> {
    gateway::grant::read(grant).map(|grant| Object::ReferenceGrant(Arc::new(grant)))
}

/// Reads the labels of a Namespace from its API object.
///
/// # Errors
/// When its name is not an RFC 1123 label.
pub fn namespace(namespace: &Namespace) -> Result<Object, Problem> {
    gateway::namespace::read(namespace).map(|namespace| Object::Namespace(Arc::new(namespace)))
}

/// Reads the certificate of a Secret from its API object. Without a namespace it is in `default`.
///
/// # Errors
/// When its name is not an RFC 1123 subdomain or its namespace not a label.
pub fn secret(secret: &Secret) -> Result<Object, Problem> {
    secret::read(secret).map(|secret| Object::Secret(Arc::new(secret)))
}

/// Takes back an object that was read by this or an earlier process and kept in between, for
/// example in a checkpoint. The model's types derive serde's traits for that; what they cannot say
/// about themselves is checked here.
///
/// # Errors
/// When reading an API object can never have given this one. The problem names the field of the
/// model.
pub fn validate(object: Object) -> Result<Object, Problem> {
    validate::validate(object)
}

#[cfg(test)]
mod tests;
