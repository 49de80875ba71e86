//! The host names by which HTTP clients ask for a Service, and where their requests go.

use std::sync::Arc;

use super::clusters::{mesh_cluster, port_key};
use crate::model::Service;
use crate::names::PortKey;
use crate::policy::frontends::is_stream;

/// Where the requests for one port of a Service go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The Service port asked for.
    pub port: PortKey,
    /// The cluster they go to.
    pub cluster: Arc<str>,
    /// Whether a client's requests stay together (Service rule 97).
    pub sticky: bool,
    /// The host name they get instead of the one asked for (Service rule 123).
    pub rewrite: Option<Arc<str>>,
}

/// Those of a Service with clusters of its own.
pub(crate) fn of_service(service: &Service) -> Vec<Host> {
    let ports = service.ports.iter().filter(|port| is_stream(port));
    let host = |port| Host {
        port: port_key(service, port),
        cluster: mesh_cluster(service, port).to_string().into(),
        sticky: service.affinity.is_some(),
        rewrite: None,
    };
    ports.map(host).collect()
}
