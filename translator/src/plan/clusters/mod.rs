//! The clusters that a Service needs, the proxies that use each, and the choice of their endpoints.

pub(crate) mod mtls;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::Context;
use super::host::Upstream;
use crate::model::{
    AppProtocol, BackendPort, Balance, Ejection, Family, HashBy, Limits, Policy, Protocol,
    ProxyProtocol, Service, ServicePort,
};
use crate::names::{ClusterName, PortKey};
use crate::place::choose::{Priorities, Set, choose, choose_for_flows};
use crate::place::endpoints::Candidate;
use crate::place::layering::{Choice, spread};
use crate::policy::frontends::{Frontend, is_stream};
use crate::policy::{capture, source_routing};
use crate::{Layer, Options, Role};
use mtls::Protection;

/// The Service port of a cluster, and the proxy roles that route to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterUse {
    /// The position of the Service port in `Service::ports`.
    pub port: usize,
    node: bool,
    mesh: bool,
    ingress: bool,
    /// Whether gRPC clients speak to the endpoints, too.
    grpc: bool,
}

impl ClusterUse {
    fn layer(self) -> Layer {
        match (self.node, self.mesh, self.ingress) {
            (true, false, false) => Layer::Role(Role::Node),
            (false, true, false) => Layer::Role(Role::Mesh),
            (false, false, true) => Layer::Role(Role::Ingress),
            (_, _, false) => Layer::Inside,
            (_, _, true) => Layer::All,
        }
    }
}

/// The settings of a cluster beside its endpoints; a setting that is not here is the same for all
/// clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterSettings {
    /// The application protocol that Envoy speaks to the endpoints.
    pub app_protocol: AppProtocol,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// Whether single endpoints are chosen by the names of their pods.
    pub pods: bool,
    /// The version of the PROXY protocol header that is sent to endpoints, if any.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// After how many consecutive connect failures Envoy ejects an endpoint.
    pub outlier_detection: Option<NonZeroU32>,
    /// The connect timeout in milliseconds, if the Service sets one.
    pub connect_timeout: Option<NonZeroU32>,
    /// When Envoy ejects an endpoint for what it answers, and how ejections go.
    pub ejection: Ejection,
    /// How much one proxy uses at a time. A UDP flow, which counts as a connection, takes a file
    /// descriptor for as long as it is remembered, and an Envoy without file descriptors dies.
    pub limits: Limits,
}

impl ClusterSettings {
    /// The settings of the clusters of a Service port. A UDP cluster connects nothing and asks
    /// nothing, so it has no failure to detect.
    fn of(service: &Service, port: &ServicePort, options: &Options) -> ClusterSettings {
        let connects = port.protocol != Protocol::Udp;
        ClusterSettings {
            app_protocol: port.app_protocol,
            balance: match service.hash_by() {
                Some(by) if connects || *by == HashBy::Source => Balance::Hash(by.clone()),
                None if connects => service.settings.balance.clone(),
                _ => Balance::default(),
            },
            pods: service.kind.is_without_ip(),
            proxy_protocol: service.proxy_protocol.filter(|_| connects),
            outlier_detection: service.outlier_detection.filter(|_| connects),
            connect_timeout: service.connect_timeout,
            ejection: match connects {
                true => service.settings.ejection,
                false => Ejection::default(),
            },
            limits: match connects {
                true => service.settings.limits,
                false => Limits {
                    connections: Some(options.max_udp_flows),
                    ..Limits::default()
                },
            },
        }
    }
}

/// The plan of one cluster: its name, settings and layer, and its assignments by layer.
#[derive(Clone, Debug)]
pub(crate) struct ClusterPlan {
    /// The name of the cluster and of its assignments.
    pub name: ClusterName,
    /// The position of the Service port in `Service::ports`.
    pub port: usize,
    /// The layer of the cluster itself.
    pub layer: Layer,
    /// Whether gRPC clients have it in a form of their own: they do not see that layer, or do not
    /// take what hashes, or brings TLS (xDS rules 184, 185, 194).
    pub own_for_grpc: bool,
    pub settings: ClusterSettings,
    /// What the Namespace asks of its connections, if anything.
    pub protection: Option<Protection>,
    /// Whether mesh proxies have it.
    pub is_for_mesh: bool,
    /// The endpoints chosen for each layer, as positions in the candidates of the port and family.
    pub assignments: Vec<(Layer, Priorities)>,
}

/// Plans a cluster whose endpoints are chosen among `candidates`.
pub(crate) fn plan(
    context: &Context<'_>,
    service: &Service,
    name: ClusterName,
    users: ClusterUse,
    candidates: &[Candidate<'_>],
) -> ClusterPlan {
    let port = &service.ports[users.port];
    let layer = users.layer();
    let settings = ClusterSettings::of(service, port, context.options);
    let is_seen = matches!(layer, Layer::Inside | Layer::All);
    ClusterPlan {
        assignments: spread(
            candidates,
            set(service, name.local),
            context.views,
            choice(port),
        ),
        port: users.port,
        own_for_grpc: users.grpc
            && (!is_seen || settings.balance != Balance::default() || name.tls),
        layer,
        settings,
        protection: mtls::of_cluster(context, service, port, &name),
        is_for_mesh: users.mesh,
        name,
    }
}

/// The set of endpoints, Cluster or Local, that a cluster of the Service has.
pub(crate) fn set(service: &Service, local: bool) -> Set {
    if local {
        Set::Local {
            fallback: service.local_fallback,
        }
    } else {
        Set::Cluster
    }
}

/// The function that chooses endpoints for a port of this protocol.
pub(crate) fn choice(port: &ServicePort) -> Choice {
    match port.protocol {
        Protocol::Udp => choose_for_flows,
        Protocol::Tcp | Protocol::Sctp => choose,
    }
}

/// The clusters that the frontends and the host names of a Service need (Service rule 58), whether
/// or not there are endpoints, and whichever Service wins the addresses: a cluster that came and
/// went with those would be warmed again and again.
pub(crate) fn wanted(
    service: &Service,
    frontends: &[Frontend],
    context: &Context<'_>,
) -> BTreeMap<ClusterName, ClusterUse> {
    let mut clusters: BTreeMap<ClusterName, ClusterUse> = BTreeMap::new();
    let ports = service.ports.iter().enumerate();
    for (position, port) in ports.filter(|(_, port)| is_stream(port)) {
        let users = clusters.entry(mesh_cluster(service, port)).or_default();
        users.port = position;
        users.mesh = true;
        users.grpc = speaks_grpc(service, port);
        if context.index.is_routed_to(service, port) {
            let users = clusters.entry(ingress_cluster(service, port)).or_default();
            users.port = position;
            users.ingress = true;
        }
    }
    for frontend in frontends {
        let port = &service.ports[frontend.port];
        for policy in source_routing::policies(service, frontend) {
            let name = cluster_name(service, port, *policy, Family::of(frontend.ip));
            let users = clusters.entry(name).or_default();
            users.port = frontend.port;
            users.node = true;
            users.mesh |= capture::layer(port.protocol, context.options) == Layer::Captured;
        }
    }
    clusters
}

/// The cluster to which mesh proxies route HTTP requests for a Service port: beside that of its
/// connections another one where the endpoints speak TLS, which connections bring with them.
pub(crate) fn mesh_cluster(service: &Service, port: &ServicePort) -> ClusterName {
    let (policy, family) = (service.internal_policy, service.primary_family);
    ClusterName {
        tls: matches!(port.app_protocol, AppProtocol::Wss | AppProtocol::Https),
        ..cluster_name(service, port, policy, family)
    }
}

/// Whether gRPC clients can speak to the endpoints of a port: there is no header that they would
/// have to send first, and no TLS that a cluster would have to bring (xDS rule 194). Where the
/// application speaks TLS, a channel brings its own.
pub(crate) fn speaks_grpc(service: &Service, port: &ServicePort) -> bool {
    service.proxy_protocol.is_none() && port.app_protocol != AppProtocol::Wss
}

/// The TCP port of a Service that a backend names.
pub(crate) fn find<'a>(service: &'a Service, port: &BackendPort) -> Option<&'a ServicePort> {
    let mut ports = service.ports.iter().filter(|port| is_stream(port));
    ports.find(|of_service| match port {
        BackendPort::Number(number) => of_service.number == *number,
        BackendPort::Name(name) => of_service.name == *name,
    })
}

/// The cluster that ingress proxies send requests for a Service port to. A traffic policy is about
/// the addresses of the Service, which they do not use (Service rule 147, Gateway rule 89).
pub(crate) fn upstream(service: &Service, port: &ServicePort) -> Upstream {
    Upstream {
        cluster: ingress_cluster(service, port).to_string().into(),
        hash: service.hash_by().cloned(),
        hostname: None,
    }
}

/// The cluster to which ingress proxies route HTTP requests for a Service port. Unlike mesh proxies
/// they speak TLS to the endpoints for wss alone.
fn ingress_cluster(service: &Service, port: &ServicePort) -> ClusterName {
    ClusterName {
        tls: port.app_protocol == AppProtocol::Wss,
        ..cluster_name(service, port, Policy::Cluster, service.primary_family)
    }
}

/// The key of a Service port.
pub(crate) fn port_key(service: &Service, port: &ServicePort) -> PortKey {
    PortKey {
        service: service.key.clone(),
        number: port.number,
        protocol: port.protocol,
    }
}

/// The name of the cluster for a Service port, a traffic policy and an IP family.
pub(crate) fn cluster_name(
    service: &Service,
    port: &ServicePort,
    policy: Policy,
    family: Family,
) -> ClusterName {
    ClusterName {
        port: port_key(service, port),
        local: policy == Policy::Local,
        tls: false,
        family,
    }
}
