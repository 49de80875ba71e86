//! The plan of what gRPC clients find by the names of a Service: the cluster behind each name. What
//! a name leads to is what it leads to at mesh proxies, ExternalNames and aliases included (xDS
//! rules 178, 184).

use std::num::NonZeroU16;
use std::sync::Arc;

use super::Context;
use super::clusters::{find, speaks_grpc};
use super::hosts::{self, Host};
use crate::model::{BackendPort, HashBy, Kind, Service, ServiceKey};
use crate::names::ClusterName;

/// What one name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The name as clients ask for it.
    pub name: Arc<str>,
    /// The cluster to which RPCs go.
    pub cluster: Arc<str>,
    /// What RPCs that go to one endpoint have in common. With session affinity it is the channel
    /// (Service rule 103).
    pub hash: Option<HashBy>,
}

/// Plans the names of a Service that clients ask for; those of a port that it does not have lead
/// nowhere.
pub(crate) fn routes(context: &Context<'_>, key: &ServiceKey) -> Vec<Route> {
    let Some(service) = context.index.service(key) else {
        return Vec::new();
    };
    let mut names = context.targets.of(key).peekable();
    if names.peek().is_none() {
        return Vec::new();
    }
    let hosts = hosts::of_any(context, service);
    let default = hosts::default_port(&hosts);
    let route = |(name, port): (&Arc<str>, Option<NonZeroU16>)| {
        let number = port.or(default)?;
        let host = hosts.iter().find(|host| host.port.number == number)?;
        is_for_grpc(context, host).then(|| Route {
            name: name.clone(),
            cluster: host.cluster.clone(),
            hash: host.hash.clone(),
        })
    };
    names.filter_map(route).collect()
}

/// Whether the cluster behind a host is one that gRPC clients have, too.
pub(crate) fn is_for_grpc(context: &Context<'_>, host: &Host) -> bool {
    let Ok(ClusterName { port, .. }) = host.cluster.parse() else {
        return false;
    };
    let behind = context.index.service(&port.service);
    behind.is_some_and(|service: &Arc<Service>| {
        matches!(service.kind, Kind::ExternalName(_))
            || find(service, &BackendPort::Number(port.number))
                .is_some_and(|port| speaks_grpc(service, port))
    })
}
