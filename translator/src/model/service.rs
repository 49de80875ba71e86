//! [`Service`]: the fields of a Service that matter for a data plane.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::status::StatusAddress;
use super::{Balance, Family, HashBy, Protocol, ServiceKey, ServiceSettings};
use crate::Problem;

/// A Service: its addresses, ports, policies and annotations, validated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The namespace and name of the Service.
    pub key: ServiceKey,
    /// Seconds since 1970 of `creationTimestamp`; `i64::MAX` without one, so that an object an API
    /// server dated ranks first (Service rule 18).
    pub created: i64,
    /// The kind of Service: with a cluster IP, headless or ExternalName.
    pub kind: Kind,
    /// The value of label `service.kubernetes.io/service-proxy-name`, which takes the Service from
    /// the default proxy (Service rule 2).
    pub proxy_name: Option<Arc<str>>,
    /// Cluster IPs, at most one per family, the primary one first.
    pub cluster_ips: Box<[IpAddr]>,
    /// The IP family in which clients that know only the name are served: the first of
    /// `ipFamilies`, else that of the cluster IP, else IPv4.
    pub primary_family: Family,
    /// `spec.selector`, sorted: `app=web,tier=front`; empty without one.
    pub selector: Arc<str>,
    /// The namespace and name of the Gateway that the Service is made for (annotation
    /// `seaway.dev/gateway`).
    pub of_gateway: Option<(Arc<str>, Arc<str>)>,
    /// Whether Seaway made it (label `app.kubernetes.io/managed-by: seaway`).
    pub managed: bool,
    /// The Service's ports; number and name are unique per protocol.
    pub ports: Box<[ServicePort]>,
    /// The addresses of `spec.externalIPs`, each with its index.
    pub external_ips: Box<[(usize, IpAddr)]>,
    /// The load-balancer ingress IPs of `status.loadBalancer.ingress` that a node may answer on
    /// (Service rule 8), each with its index.
    pub lb_ips: Box<[(usize, IpAddr)]>,
    /// Where clients outside of the cluster reach the Service.
    pub exposure: Exposure,
    /// `spec.internalTrafficPolicy`.
    pub internal_policy: Policy,
    /// `spec.externalTrafficPolicy`.
    pub external_policy: Policy,
    /// Whether a Local policy may fall back to the zone and the cluster (annotation
    /// `seaway.dev/local-fallback: "cluster"`).
    pub local_fallback: bool,
    /// The source ranges that may connect to the load-balancer ingress IPs
    /// (`spec.loadBalancerSourceRanges`).
    pub source_ranges: SourceRanges,
    /// `spec.healthCheckNodePort`, for Services that may have one: load balancers with a Local
    /// policy (Service rule 31).
    pub health_check_port: Option<NonZeroU16>,
    /// The timeout in seconds of `sessionAffinity: ClientIP`: for how long a client keeps its
    /// endpoint. `None`: no affinity.
    pub affinity: Option<NonZeroU32>,
    /// The PROXY protocol version that the endpoints expect (annotation
    /// `seaway.dev/proxy-protocol`).
    pub proxy_protocol: Option<ProxyProtocol>,
    /// After how many consecutive connect failures an endpoint is ejected (annotation
    /// `seaway.dev/outlier-detection`). `None`: never.
    pub outlier_detection: Option<NonZeroU32>,
    /// The connect timeout of endpoints in milliseconds (annotation `seaway.dev/connect-timeout`).
    pub connect_timeout: Option<NonZeroU32>,
    /// The idle timeout of UDP flows in milliseconds (annotation `seaway.dev/udp-idle-timeout`).
    pub udp_idle_timeout: Option<NonZeroU32>,
    /// The ServiceAccounts of its pods (annotation `seaway.dev/service-accounts`), sorted. `None`:
    /// any of its namespace.
    pub accounts: Option<Box<[Arc<str>]>>,
    /// What annotations say of requests, and of how endpoints are used.
    pub settings: ServiceSettings,
    /// The problems found while the Service was read.
    pub problems: Box<[Problem]>,
}

impl Service {
    /// What decides on the endpoint of a request where those that are alike go to the same one.
    pub fn hash_by(&self) -> Option<&HashBy> {
        match &self.settings.balance {
            _ if self.affinity.is_some() => Some(&HashBy::Source),
            Balance::Hash(by) => Some(by),
            Balance::RoundRobin | Balance::LeastRequest | Balance::Random => None,
        }
    }
}

/// The kind of a Service: with a cluster IP, headless, without one by accident, or ExternalName.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A Service with at least one cluster IP.
    ClusterIp,
    /// A Service that is to have no cluster IP, by `clusterIP: None`: no frontends (Service rule
    /// 1).
    Headless,
    /// A Service without a cluster IP because none is allocated, or what is given is no address. It
    /// is served like a headless one.
    WithoutIp,
    /// A Service of `type: ExternalName` with this `externalName`, trailing dot removed; `None`
    /// when that is not a DNS name.
    ExternalName(Option<Arc<str>>),
}

impl Kind {
    /// Whether the Service has no frontends and endpoints of its own: its pods have names.
    pub(crate) fn is_without_ip(&self) -> bool {
        matches!(self, Kind::Headless | Kind::WithoutIp)
    }
}

/// Where clients outside of the cluster reach a Service, for the status of what is served behind it
/// (Gateway rule 102).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exposure {
    /// Nowhere, but at its external IPs.
    ClusterIp,
    /// At node ports.
    NodePort,
    /// At a load balancer: all addresses of `status.loadBalancer.ingress`, at most
    /// [`LB_ADDRESSES`]; none until it has some.
    LoadBalancer(Box<[StatusAddress]>),
}

/// How many addresses of a load balancer are kept: a Gateway's status may have no more.
pub const LB_ADDRESSES: usize = 16;

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePort {
    /// The index of the port in `spec.ports`, for problems.
    pub index: usize,
    /// The name of the port; empty for the unnamed port.
    pub name: Arc<str>,
    /// The port number.
    pub number: NonZeroU16,
    /// The transport protocol of the port.
    pub protocol: Protocol,
    /// `targetPort`, the port's own number if unset; `None` for one that is a name.
    pub target: Option<NonZeroU16>,
    /// The node port, if the port has one.
    pub node_port: Option<NonZeroU16>,
    /// The protocol in which HTTP requests are sent to the endpoints of the port.
    pub app_protocol: AppProtocol,
}

/// The protocol in which HTTP requests are sent to the endpoints of a Service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AppProtocol {
    /// HTTP/1.1, also when nothing is said.
    Http1,
    /// HTTP/2 with prior knowledge, in the clear.
    H2c,
    /// HTTP/1.1 over TLS, for WebSocket (`kubernetes.io/wss`).
    Wss,
    /// HTTP/1.1 over TLS where the endpoints are those of a DNS name, of which certificates can be
    /// checked. For pods HTTP/2 or HTTP/1.1 over TLS, as they choose, from mesh proxies (Service
    /// rule 106), and HTTP/1.1 in the clear from ingress proxies (Gateway rule 84).
    Https,
}

/// The timeout of `sessionAffinity: ClientIP` that an API server fills in, in seconds. Only shorter
/// ones are kept.
pub const AFFINITY_DEFAULT: NonZeroU32 = NonZeroU32::MIN.saturating_add(10_799);

/// The port of DNS, where flows are one question and one answer.
pub const DNS_PORT: u16 = 53;
/// The idle timeout of DNS flows in milliseconds. The limits that `deploy/node/setup.sh` sets rest
/// on this and the next one.
pub const DNS_IDLE: u32 = 2_000;
/// The longest idle timeout of UDP flows in milliseconds: as long as the kernel remembers one in
/// use, for kube-proxy.
pub const LONGEST_UDP_IDLE: u32 = 120_000;

/// A version of the PROXY protocol, by which a connection begins with the address of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProxyProtocol {
    /// Version 1, in text.
    V1,
    /// Version 2, in binary.
    V2,
}

/// A traffic policy: the endpoints to which a frontend's connections may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Policy {
    /// All endpoints of the Service.
    Cluster,
    /// Only endpoints on the client's node.
    Local,
}

/// The source ranges that may connect to load-balancer ingress IPs, by family (Service rule 27).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRanges {
    /// The IPv4 ranges: `None` lets everybody connect, an empty list nobody.
    pub v4: Option<Box<[IpNet]>>,
    /// The IPv6 ranges: `None` lets everybody connect, an empty list nobody.
    pub v6: Option<Box<[IpNet]>>,
}

impl SourceRanges {
    /// The ranges of this family; `None` lets everybody connect.
    pub fn of(&self, family: Family) -> Option<&[IpNet]> {
        match family {
            Family::V4 => self.v4.as_deref(),
            Family::V6 => self.v6.as_deref(),
        }
    }
}
