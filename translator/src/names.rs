//! Names: the rules of Kubernetes for names, and the names of Envoy resources made of them.
//!
//! Resource names are public API: stable, documented, reversible (every type here has both
//! `Display` and `FromStr`). They never contain the view.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::str::FromStr;

use seaway_proto::TypeUrl;
use thiserror::Error;

use crate::model::{Family, Protocol, ServiceKey};

/// The annotation of a Service that is made for one Gateway: `<namespace>/<name>`.
pub const GATEWAY_ANNOTATION: &str = "seaway.dev/gateway";
/// The label by which Services that Seaway makes are told from others, and its value.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "seaway";

/// Whether this is an RFC 1123 label: at most 63 lower-case letters, digits and dashes, no dash at
/// either end. It may begin with a digit (Service rule 14).
#[must_use]
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_label_of_any_length(text)
}

/// Whether this is an RFC 1123 label but for its length.
fn is_label_of_any_length(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether this is what Kubernetes calls an RFC 1123 subdomain, as names of Nodes and
/// EndpointSlices are: labels joined by dots, at most 253 bytes together. A single one may be
/// longer than those of DNS.
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label_of_any_length)
}

/// Whether this is a name of DNS: a subdomain whose labels have at most 63 bytes each.
pub(crate) fn is_dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A text that is not a resource name of the type asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not such a resource name")]
pub struct NameError(String);

/// A Service port, `<key>` of the resource names: `default/web/80`, `default/dns/53/udp`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortKey {
    /// The Service.
    pub service: ServiceKey,
    /// The port number.
    pub number: NonZeroU16,
    /// The transport protocol of the port.
    pub protocol: Protocol,
}

impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.number)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
            Protocol::Sctp => f.write_str("/sctp"),
        }
    }
}

impl FromStr for PortKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let mut parts = text.split('/');
            let service = key(parts.next()?, parts.next()?)?;
            let number = parts.next()?.parse().ok()?;
            let protocol = match parts.next() {
                None => Protocol::Tcp,
                Some("udp") => Protocol::Udp,
                Some("sctp") => Protocol::Sctp,
                Some(_) => return None,
            };
            parts.next().is_none().then_some(PortKey {
                service,
                number,
                protocol,
            })
        };
        parse().ok_or_else(|| NameError(text.to_owned()))
    }
}

/// The name of a cluster and of its assignment: `<key>`, then `~local` for the set of a Local
/// policy, then `~tls` where the endpoints are spoken to over TLS, then `~v6` for IPv6 endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName {
    /// The Service port.
    pub port: PortKey,
    /// Whether the cluster is the one for a Local traffic policy.
    pub local: bool,
    /// Whether the cluster is the one that speaks TLS to the endpoints.
    pub tls: bool,
    /// The IP family of the cluster's endpoints.
    pub family: Family,
}

impl ClusterName {
    /// The unique name of the cluster's statistics, in characters that metric systems accept:
    /// `default_web_80_local_v6`. Kubernetes names have no underscore, so none can be mistaken for
    /// another.
    pub(crate) fn stat_name(&self) -> String {
        let PortKey {
            service,
            number,
            protocol,
        } = &self.port;
        let protocol = match protocol {
            Protocol::Tcp => "",
            Protocol::Udp => "_udp",
            Protocol::Sctp => "_sctp",
        };
        let local = if self.local { "_local" } else { "" };
        let tls = if self.tls { "_tls" } else { "" };
        let family = if self.family == Family::V6 { "_v6" } else { "" };
        format!(
            "{}_{}_{number}{protocol}{local}{tls}{family}",
            service.namespace, service.name
        )
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = if self.local { "~local" } else { "" };
        let tls = if self.tls { "~tls" } else { "" };
        let family = if self.family == Family::V6 { "~v6" } else { "" };
        write!(f, "{}{local}{tls}{family}", self.port)
    }
}

impl FromStr for ClusterName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (rest, family) = match text.strip_suffix("~v6") {
            Some(rest) => (rest, Family::V6),
            None => (text, Family::V4),
        };
        let (rest, tls) = match rest.strip_suffix("~tls") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (rest, local) = match rest.strip_suffix("~local") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        Ok(ClusterName {
            port: rest.parse()?,
            local,
            tls,
            family,
        })
    }
}

/// The name of the cluster of a port of the workloads beside a mesh proxy.
pub(crate) fn inbound_cluster(port: NonZeroU16) -> String {
    format!("inbound/{port}")
}

/// The end of the name of an assignment whose endpoints are spoken to by mTLS.
const MTLS: &str = "~mtls";

/// The name of the assignment of a cluster whose endpoints are spoken to by mTLS.
pub fn mtls_assignment(cluster: &str) -> String {
    format!("{cluster}{MTLS}")
}

/// The name of the cluster whose assignment has this name, and whether it is that of mTLS.
pub(crate) fn assigned_to(name: &str) -> (&str, bool) {
    match name.strip_suffix(MTLS) {
        Some(cluster) => (cluster, true),
        None => (name, false),
    }
}

/// The cluster whose assignment has this name, by mTLS or not.
pub(crate) fn assigned(name: &str) -> Option<ClusterName> {
    assigned_to(name).0.parse().ok()
}

/// The kinds of Service addresses, in the order in which they win over each other (Service rule
/// 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FrontendKind {
    /// A cluster IP.
    ClusterIp,
    /// A load-balancer ingress IP, from the status of the Service.
    LoadBalancer,
    /// An external IP.
    ExternalIp,
    /// A node port.
    NodePort,
    /// The node port of a health check, whose listener has a [name of its own](HealthCheckName).
    HealthCheck,
}

impl FrontendKind {
    /// The kinds that a Service port has: all but health checks.
    const OF_PORTS: [FrontendKind; 4] = [
        FrontendKind::ClusterIp,
        FrontendKind::LoadBalancer,
        FrontendKind::ExternalIp,
        FrontendKind::NodePort,
    ];

    /// The kind as it is written in a listener's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            FrontendKind::ClusterIp => "clusterip",
            FrontendKind::LoadBalancer => "lb",
            FrontendKind::ExternalIp => "externalip",
            FrontendKind::NodePort => "nodeport",
            FrontendKind::HealthCheck => "healthcheck",
        }
    }
}

/// The name of a frontend's listener: `<key>@<kind>:<ip>:<port>`, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrontendName {
    /// The Service port.
    pub port: PortKey,
    /// The kind of address.
    pub kind: FrontendKind,
    /// The address and port of the listener.
    pub address: SocketAddr,
}

impl fmt::Display for FrontendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.port, self.kind.as_str(), self.address)
    }
}

impl FromStr for FrontendName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let (port, rest) = text.split_once('@')?;
            let (kind, address) = rest.split_once(':')?;
            Some(FrontendName {
                port: port.parse().ok()?,
                kind: FrontendKind::OF_PORTS
                    .into_iter()
                    .find(|k| k.as_str() == kind)?,
                address: address.parse().ok()?,
            })
        };
        parse().ok_or_else(|| NameError(text.to_owned()))
    }
}

/// The name of the listener of a health check node port:
/// `<namespace>/<service>@healthcheck:<ip>:<port>`, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HealthCheckName {
    /// The Service.
    pub service: ServiceKey,
    /// The address and port of the listener.
    pub address: SocketAddr,
}

impl HealthCheckName {
    /// The name of the route configuration with the answer: `healthcheck/<namespace>/<service>`.
    pub fn route(service: &ServiceKey) -> String {
        format!("{}/{service}", FrontendKind::HealthCheck.as_str())
    }
}

impl fmt::Display for HealthCheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = FrontendKind::HealthCheck.as_str();
        write!(f, "{}@{kind}:{}", self.service, self.address)
    }
}

impl FromStr for HealthCheckName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let (service, rest) = text.split_once('@')?;
            let (kind, address) = rest.split_once(':')?;
            let (namespace, name) = service.split_once('/')?;
            (kind == FrontendKind::HealthCheck.as_str()).then_some(())?;
            Some(HealthCheckName {
                service: key(namespace, name)?,
                address: address.parse().ok()?,
            })
        };
        parse().ok_or_else(|| NameError(text.to_owned()))
    }
}

/// What names of routes begin with that mesh proxies have at the addresses of a Service port.
const AT_ADDRESSES: &str = "svc";

/// The name of the routes that mesh proxies have at the addresses of a Service port:
/// `svc/<namespace>/<service>/<port>`.
pub(crate) fn routes_at_addresses(port: &PortKey) -> String {
    format!("{AT_ADDRESSES}/{port}")
}

/// Whether routes of this name are those at the addresses of a Service port.
pub(crate) fn is_at_addresses(name: &str) -> bool {
    name.split('/').next() == Some(AT_ADDRESSES)
}

/// The Service of this namespace and name, if both are labels.
fn key(namespace: &str, name: &str) -> Option<ServiceKey> {
    (is_label(namespace) && is_label(name)).then(|| ServiceKey {
        namespace: namespace.into(),
        name: name.into(),
    })
}

/// Whether an EndpointSlice has a name as the slices of this Service do. It may be that of a
/// Service with a longer name all the same.
pub(crate) fn is_named_like(slice: &str, service: &str) -> bool {
    let rest = slice.strip_prefix(service);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The Service whose resource of this type has such a name. Scopes of ingress proxies may have
/// names like those of mesh proxies, which are meant.
pub(crate) fn service_of(type_url: TypeUrl, name: &str) -> Option<ServiceKey> {
    let named = |text: &str| {
        let (namespace, name) = text.split_once('/')?;
        key(namespace, name)
    };
    match type_url {
        TypeUrl::CLUSTER => Some(name.parse::<ClusterName>().ok()?.port.service),
        TypeUrl::ENDPOINT => Some(assigned(name)?.port.service),
        TypeUrl::LISTENER => match name.parse::<FrontendName>() {
            Ok(frontend) => Some(frontend.port.service),
            Err(_) => Some(name.parse::<HealthCheckName>().ok()?.service),
        },
        TypeUrl::ROUTE => match name.split_once('/')? {
            (AT_ADDRESSES, port) => Some(port.parse::<PortKey>().ok()?.service),
            (kind, rest) if kind == FrontendKind::HealthCheck.as_str() => named(rest),
            _ => None,
        },
        TypeUrl::SCOPED_ROUTE => named(name.split(['@', ':']).next().unwrap_or(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn round_trip<T: FromStr + fmt::Display>(text: &str) {
        let parsed = text.parse::<T>().ok().map(|name| name.to_string());
        assert_eq!(parsed.as_deref(), Some(text));
    }

    #[test]
    fn names_are_reversible() {
        round_trip::<PortKey>("default/web/80");
        round_trip::<PortKey>("d/1api/53/udp");
        round_trip::<ClusterName>("default/web/80");
        round_trip::<ClusterName>("default/web/80~local");
        round_trip::<ClusterName>("default/web/80~v6");
        round_trip::<ClusterName>("default/web/80~local~v6");
        round_trip::<FrontendName>("default/web/80@nodeport:0.0.0.0:30080");
        round_trip::<FrontendName>("default/web/80@clusterip:[fd00::1]:80");
        round_trip::<HealthCheckName>("default/web@healthcheck:0.0.0.0:31000");
        round_trip::<HealthCheckName>("d/1api@healthcheck:[::]:31000");
    }

    #[test]
    fn labels_may_begin_with_a_digit_and_nothing_else_passes() {
        for good in ["a", "1api", "a-b", &"x".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"x".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
        assert!(is_subdomain("ip-10-0-0-1.ec2.internal"));
        assert!(!is_subdomain("a..b") && !is_subdomain("a.") && !is_subdomain(""));
    }

    #[test]
    fn stat_names_tell_the_sets_apart() {
        let stat = |name: &str| name.parse::<ClusterName>().unwrap().stat_name();
        assert_eq!(stat("default/web/80~local~v6"), "default_web_80_local_v6");
        assert_eq!(stat("d/dns/53/udp"), "d_dns_53_udp");
    }

    proptest! {
        #[test]
        fn any_text_parses_to_itself_or_not_at_all(text in "[a-z0-9/~@:.\\[\\]-]{0,40}") {
            if let Ok(name) = text.parse::<PortKey>() {
                // A number may be written with leading zeros or a plus sign; its name is the
                // canonical one.
                prop_assert_eq!(name.to_string().parse::<PortKey>().unwrap(), name);
            }
            if let Ok(name) = text.parse::<ClusterName>() {
                prop_assert_eq!(name.to_string().parse::<ClusterName>().unwrap(), name);
            }
        }
    }
}
