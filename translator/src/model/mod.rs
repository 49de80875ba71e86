//! The model: the compact, validated form in which Kubernetes objects are kept, with only the
//! fields that are used, and only values that can be served.
//!
//! [`read`](crate::read) makes them at the edge; behind it nothing has to be checked again.
//! Problems found on the way travel inside.

mod fleet;
mod gateway;
mod gateway_service;
mod hostname;
mod imports;
mod ingress;
mod node;
mod rule;
mod secret;
mod sensitive;
mod service;
mod settings;
mod slice;
pub mod status;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use fleet::{FLEET_LABEL, Fleet};
pub use gateway::{
    AllowedNamespaces, CertificateRef, Gateway, GatewayAddress, GatewayClass, GatewayListener,
    GrantFrom, GrantTo, HTTPRoute, LabelOperator, LabelRequirement, LabelSelector,
    ListenerProtocol, Namespace, ParentRef, ReferenceGrant, RouteKind,
};
pub use gateway_service::{GatewayService, ServiceWrite, StrayService};
pub use hostname::Hostname;
pub use imports::{IMPORT_ANNOTATION, Import, ImportTable, Imports};
pub use ingress::{Ingress, IngressClass, IngressSettings, IngressTls, RateLimit};
pub use node::Node;
pub use rule::{
    Backend, BackendPort, Cors, Filters, HeaderChanges, Match, Mirror, NamedMatch, PathChange,
    PathMatch, Redirect, Retry, Rewrite, Rule, Target, TextMatch, Timeouts,
};
pub use secret::{Certificate, KeyAlgorithm, Secret};
pub use sensitive::Sensitive;
pub use service::{
    AFFINITY_DEFAULT, AppProtocol, DNS_IDLE, DNS_PORT, Exposure, Kind, LB_ADDRESSES,
    LONGEST_UDP_IDLE, Policy, ProxyProtocol, Service, ServicePort, SourceRanges,
};
pub(crate) use settings::time_in_words;
pub use settings::{Balance, Ejection, HashBy, Limits, ServiceSettings};
pub use slice::{Condition, Endpoint, EndpointSlice, SlicePort};

/// A Service's namespace and name. Displays as `default/web`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceKey {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP, which Envoy does not speak.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        })
    }
}

/// An IP family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Family {
        match ip {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// The wildcard address of the family: `0.0.0.0` or `::`.
    pub(crate) fn wildcard(self) -> IpAddr {
        match self {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    /// The loopback range of the family: `127.0.0.0/8` or `::1/128`.
    pub(crate) fn loopback(self) -> IpNet {
        match self {
            Family::V4 => IpNet::new_assert(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
            Family::V6 => IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}
