//! A Service, reduced to what it means for a data plane.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Family, Protocol, ServiceKey};
use crate::Problem;

/// A Service as the translation sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Namespace and name.
    pub key: ServiceKey,
    /// Seconds since 1970 of `creationTimestamp`; `i64::MAX` without one, so that an object an API
    /// server dated ranks first (Service rule 18).
    pub created: i64,
    /// What sort of Service it is.
    pub kind: Kind,
    /// The value of label `service.kubernetes.io/service-proxy-name`, which takes the Service from
    /// the default proxy (Service rule 2).
    pub proxy_name: Option<Arc<str>>,
    /// Cluster IPs, at most one per family, the primary one first.
    pub cluster_ips: Box<[IpAddr]>,
    /// The family a client that knows only the name is served by: the first of `ipFamilies`, else
    /// that of the cluster IP, else IPv4.
    pub primary_family: Family,
    /// Its ports; number and name are unique per protocol.
    pub ports: Box<[ServicePort]>,
    /// `spec.externalIPs` with their index.
    pub external_ips: Box<[(usize, IpAddr)]>,
    /// The addresses of `status.loadBalancer.ingress` that mean this node should answer (Service
    /// rule 8), with their index.
    pub lb_ips: Box<[(usize, IpAddr)]>,
    /// `spec.internalTrafficPolicy`.
    pub internal_policy: Policy,
    /// `spec.externalTrafficPolicy`.
    pub external_policy: Policy,
    /// Whether a Local policy may fall back to the zone and the cluster (annotation
    /// `seaway.dev/local-fallback: "cluster"`).
    pub local_fallback: bool,
    /// Who may connect to its load-balancer addresses (`spec.loadBalancerSourceRanges`).
    pub source_ranges: SourceRanges,
    /// `spec.healthCheckNodePort`, where it means something: for load balancers with a Local policy
    /// (Service rule 31).
    pub health_check_port: Option<NonZeroU16>,
    /// With `sessionAffinity: ClientIP`: for how many seconds a client stays with its endpoint.
    pub affinity: Option<NonZeroU32>,
    /// The PROXY protocol that its endpoints expect (annotation `seaway.dev/proxy-protocol`).
    pub proxy_protocol: Option<ProxyProtocol>,
    /// After how many failed connections in a row an endpoint is left out for a while (annotation
    /// `seaway.dev/outlier-detection`). `None`: never.
    pub outlier_detection: Option<NonZeroU32>,
    /// How long an endpoint may take to accept a connection, in milliseconds (annotation
    /// `seaway.dev/connect-timeout`).
    pub connect_timeout: Option<NonZeroU32>,
    /// How long a UDP flow may be silent, in milliseconds (annotation
    /// `seaway.dev/udp-idle-timeout`).
    pub udp_idle_timeout: Option<NonZeroU32>,
    /// Problems found while reading it.
    pub problems: Box<[Problem]>,
}

/// What sort of Service it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// With at least one cluster IP.
    ClusterIp,
    /// Without a cluster IP, whether by `clusterIP: None` or because none is allocated: no
    /// frontends (Service rule 1).
    Headless,
    /// `type: ExternalName` with this `externalName`, trailing dot removed; `None` when it is not a
    /// DNS name.
    ExternalName(Option<Arc<str>>),
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePort {
    /// Its index in `spec.ports`, for problems.
    pub index: usize,
    /// Its name; empty for the unnamed port.
    pub name: Arc<str>,
    /// Its number.
    pub number: NonZeroU16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its node port.
    pub node_port: Option<NonZeroU16>,
    /// How HTTP clients are to speak to its endpoints.
    pub app_protocol: AppProtocol,
}

/// How HTTP clients are to speak to the endpoints of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AppProtocol {
    /// HTTP/1.1, also when nothing is said.
    Http1,
    /// HTTP/2 with prior knowledge, in the clear.
    H2c,
}

/// The timeout of `sessionAffinity: ClientIP` that an API server fills in, in seconds. Only shorter
/// ones are kept.
pub const AFFINITY_DEFAULT: NonZeroU32 = NonZeroU32::MIN.saturating_add(10_799);

/// The port of DNS, where flows are one question and one answer.
pub const DNS_PORT: u16 = 53;
/// How long a flow of DNS may be silent, in milliseconds. The limits that `deploy/node/setup.sh`
/// sets rest on this and the next one.
pub const DNS_IDLE: u32 = 2_000;
/// The longest that any UDP flow may be silent, in milliseconds: as long as the kernel remembers
/// one in use, for kube-proxy.
pub const LONGEST_UDP_IDLE: u32 = 120_000;

/// A version of the PROXY protocol, by which a connection begins with the address of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProxyProtocol {
    /// In text.
    V1,
    /// In binary.
    V2,
}

/// A traffic policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Policy {
    /// All endpoints.
    Cluster,
    /// Only endpoints on the client's node.
    Local,
}

/// Who may connect to load-balancer addresses, family by family (Service rule 27).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRanges {
    /// IPv4: `None` for everybody, an empty list for nobody.
    pub v4: Option<Box<[IpNet]>>,
    /// IPv6, likewise.
    pub v6: Option<Box<[IpNet]>>,
}

impl SourceRanges {
    /// Those of a family.
    pub fn of(&self, family: Family) -> Option<&[IpNet]> {
        match family {
            Family::V4 => self.v4.as_deref(),
            Family::V6 => self.v6.as_deref(),
        }
    }
}
