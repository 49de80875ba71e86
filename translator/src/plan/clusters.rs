//! The clusters that a Service needs, who uses each, and how its endpoints are chosen.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::Context;
use crate::model::{AppProtocol, Family, Policy, Protocol, ProxyProtocol, Service, ServicePort};
use crate::names::{ClusterName, PortKey};
use crate::place::choose::{Priorities, Set, choose, choose_for_flows};
use crate::place::endpoints::Candidate;
use crate::place::layering::{Choice, spread};
use crate::policy::frontends::{Frontend, is_stream};
use crate::policy::{capture, source_routing};
use crate::{Layer, Options, Role};

/// Who uses a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterUse {
    /// The position of the Service port.
    pub port: usize,
    node: bool,
    mesh: bool,
}

impl ClusterUse {
    fn layer(self) -> Layer {
        match (self.node, self.mesh) {
            (true, false) => Layer::Role(Role::Node),
            (false, true) => Layer::Role(Role::Mesh),
            _ => Layer::All,
        }
    }
}

/// What a cluster has beside its endpoints. What is not said is Envoy's or ours to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterSettings {
    pub app_protocol: AppProtocol,
    /// Whether clients stay with an endpoint by a hash.
    pub hashed: bool,
    pub proxy_protocol: Option<ProxyProtocol>,
    /// After how many failed connections in a row an endpoint is left out for a while.
    pub outlier_detection: Option<NonZeroU32>,
    /// In milliseconds.
    pub connect_timeout: Option<NonZeroU32>,
    /// How many flows there may be at a time.
    pub max_flows: Option<NonZeroU32>,
}

impl ClusterSettings {
    /// Those of the clusters of a Service port. Nothing is connected for UDP: no failure is to be
    /// seen.
    fn of(service: &Service, port: &ServicePort, options: &Options) -> ClusterSettings {
        let connects = port.protocol != Protocol::Udp;
        ClusterSettings {
            app_protocol: port.app_protocol,
            hashed: service.affinity.is_some(),
            proxy_protocol: service.proxy_protocol.filter(|_| connects),
            outlier_detection: service.outlier_detection.filter(|_| connects),
            connect_timeout: service.connect_timeout,
            max_flows: (!connects).then_some(options.max_udp_flows),
        }
    }
}

/// One cluster and its assignments.
#[derive(Clone, Debug)]
pub(crate) struct ClusterPlan {
    pub name: ClusterName,
    /// The position of the Service port.
    pub port: usize,
    pub layer: Layer,
    pub settings: ClusterSettings,
    /// What is chosen among the endpoints of its port and family, by layer.
    pub assignments: Vec<(Layer, Priorities)>,
}

/// Plans a cluster whose endpoints are chosen among these.
pub(crate) fn plan(
    context: &Context<'_>,
    service: &Service,
    name: ClusterName,
    users: ClusterUse,
    candidates: &[Candidate<'_>],
) -> ClusterPlan {
    let port = &service.ports[users.port];
    ClusterPlan {
        assignments: spread(candidates, set(service, &name), context.views, choice(port)),
        port: users.port,
        layer: users.layer(),
        settings: ClusterSettings::of(service, port, context.options),
        name,
    }
}

/// The set of endpoints that a cluster stands for.
pub(super) fn set(service: &Service, name: &ClusterName) -> Set {
    if name.local {
        Set::Local {
            fallback: service.local_fallback,
        }
    } else {
        Set::Cluster
    }
}

/// How the endpoints of a port are chosen.
pub(super) fn choice(port: &ServicePort) -> Choice {
    match port.protocol {
        Protocol::Udp => choose_for_flows,
        Protocol::Tcp | Protocol::Sctp => choose,
    }
}

/// The clusters that the frontends and the host names of a Service need (Service rule 58), whether
/// or not there are endpoints and whoever wins the addresses: a cluster that came and went with
/// those would be warmed again and again.
pub(crate) fn wanted(
    service: &Service,
    frontends: &[Frontend],
    options: &Options,
) -> BTreeMap<ClusterName, ClusterUse> {
    let mut clusters: BTreeMap<ClusterName, ClusterUse> = BTreeMap::new();
    let ports = service.ports.iter().enumerate();
    for (position, port) in ports.filter(|(_, port)| is_stream(port)) {
        let users = clusters.entry(mesh_cluster(service, port)).or_default();
        users.port = position;
        users.mesh = true;
    }
    for frontend in frontends {
        let port = &service.ports[frontend.port];
        for policy in source_routing::policies(service, frontend) {
            let name = cluster_name(service, port, *policy, Family::of(frontend.ip));
            let users = clusters.entry(name).or_default();
            users.port = frontend.port;
            users.node = true;
            users.mesh |= capture::layer(port.protocol, options) == Layer::Captured;
        }
    }
    clusters
}

/// The cluster to which a client that knows only the name of a port is sent.
pub(crate) fn mesh_cluster(service: &Service, port: &ServicePort) -> ClusterName {
    cluster_name(
        service,
        port,
        service.internal_policy,
        service.primary_family,
    )
}

/// The key of a Service port.
pub(crate) fn port_key(service: &Service, port: &ServicePort) -> PortKey {
    PortKey {
        service: service.key.clone(),
        number: port.number,
        protocol: port.protocol,
    }
}

/// The cluster of the endpoints that a policy leaves in a family.
pub(crate) fn cluster_name(
    service: &Service,
    port: &ServicePort,
    policy: Policy,
    family: Family,
) -> ClusterName {
    ClusterName {
        port: port_key(service, port),
        local: policy == Policy::Local,
        family,
    }
}
