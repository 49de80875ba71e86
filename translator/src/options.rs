//! Options: the operator's decisions on the translation, the same for `seaway serve` and `seaway
//! translate`.
//!
//! Parsed at the command line (the enums implement `FromStr` for it), then passed to
//! [`Translator::new`](crate::Translator::new) once; nothing here changes while a process runs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use crate::model::{Fleet, ServiceKey};

/// The options of the translation. `Default` is what the command line defaults to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The DNS domain of the cluster, without leading or trailing dot (`cluster.local`).
    pub cluster_domain: String,
    /// The addresses of a node on which its node ports are served.
    pub nodeport_addresses: NodePortAddresses,
    /// The ranges of pod addresses, beside each Node's `spec.podCIDRs`: clients in them take the
    /// Cluster set of an external frontend with a Local policy (Service rule 72), but for node
    /// ports of a Node that has `podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
    /// The ranges of cluster IPs: a wildcard node port refuses connections to them.
    pub service_cidrs: Vec<IpNet>,
    /// The ranges of external IPs and load-balancer ingress IPs: a wildcard node port refuses
    /// connections to them, too.
    pub vip_cidrs: Vec<IpNet>,
    /// The proxies and names for which Services of type ExternalName are served.
    pub external_name: ExternalNamePolicy,
    /// Endpoint addresses that are served although they would be refused (unspecified, multicast,
    /// link-local, loopback).
    pub allow_endpoint_cidrs: Vec<IpNet>,
    /// Whether loopback endpoint addresses are served (true for files, false for a cluster).
    pub allow_loopback_endpoints: bool,
    /// The `spec.externalIPs` that are honoured (Service rule 15).
    pub external_ips: ExternalIps,
    /// The value of label `service.kubernetes.io/service-proxy-name` on the Services to be served;
    /// `None`: those without the label (Service rule 2).
    pub service_proxy_name: Option<String>,
    /// How traffic to Service addresses reaches the proxy; `None`: only proxies of role `node` have
    /// the listeners, and bind each.
    pub capture: Option<Capture>,
    /// The number of bound listeners for which an Envoy of role `node` has file descriptors: above
    /// 80 % of it a warning stands. 0: no warning.
    pub max_bound_listeners: usize,
    /// The most UDP flows that one cluster may have at a time: each takes a file descriptor of
    /// Envoy.
    pub max_udp_flows: NonZeroU32,
    /// Whether Envoy connects to endpoints from the clients' addresses, so that endpoints see them
    /// (Service rules 111, 112). It then needs CAP_NET_ADMIN, and nodes the rules of
    /// `deploy/node/setup.sh --keep-source`.
    pub keep_source: bool,
    /// The address and port of a mesh proxy's HTTP listener.
    pub mesh_listen: SocketAddr,
    /// The address and port on which a proxy of role `node` answers `/healthz` and `/livez`;
    /// `None`: it does not.
    pub healthz_listen: Option<SocketAddr>,
    /// The address of an ingress proxy's listeners. The wildcard address of IPv6 takes connections
    /// of both families.
    pub ingress_listen: IpAddr,
    /// The port of an ingress proxy's HTTP listener.
    pub http_port: u16,
    /// The port of an ingress proxy's HTTPS listener.
    pub https_port: u16,
    /// The controller name of the IngressClasses that are served.
    pub ingress_controller: String,
    /// Whether Ingresses that name no class are served.
    pub ingress_without_class: bool,
    /// Whether ingress proxies log each request.
    pub access_log: bool,
    /// How many proxies before the ingress proxies may say in `x-forwarded-for` whom a request is
    /// from.
    pub trusted_hops: u32,
    /// The Service by which clients reach the ingress proxies of a fleet: its addresses are those
    /// in the status of Gateways and Ingresses. Other Services of its namespace with its selector
    /// are before the same proxies (Gateway rules 11 and 12).
    pub ingress_services: BTreeMap<Fleet, ServiceKey>,
    /// The file with the authorities that proxies trust for DNS names outside of the cluster, as
    /// they see it.
    pub trusted_ca: String,
    /// Whether each Gateway that asks for no address gets a Service of its own (Gateway rule 13).
    pub gateway_services: bool,
}

impl Options {
    /// Whether a Gateway of a fleet gets a Service of its own. Without a Service that all share it
    /// is not known which pods the proxies are.
    pub(crate) fn makes_services(&self, fleet: &Fleet) -> bool {
        self.gateway_services && self.ingress_services.contains_key(fleet)
    }

    /// Whether listeners are bound in a network namespace of their own.
    pub(crate) fn in_namespace(&self) -> bool {
        self.capture.is_some_and(Capture::in_namespace)
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cluster_domain: "cluster.local".to_owned(),
            nodeport_addresses: NodePortAddresses::All,
            pod_cidrs: Vec::new(),
            service_cidrs: Vec::new(),
            vip_cidrs: Vec::new(),
            external_name: ExternalNamePolicy::Mesh,
            allow_endpoint_cidrs: Vec::new(),
            allow_loopback_endpoints: false,
            external_ips: ExternalIps::All,
            service_proxy_name: None,
            capture: None,
            max_bound_listeners: 50_000,
            max_udp_flows: NonZeroU32::MIN.saturating_add(65_535),
            keep_source: false,
            mesh_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15001),
            healthz_listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 10256)),
            ingress_listen: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            http_port: 80,
            https_port: 443,
            ingress_controller: "seaway.dev/ingress-controller".to_owned(),
            ingress_without_class: false,
            access_log: false,
            trusted_hops: 0,
            ingress_services: BTreeMap::new(),
            gateway_services: false,
            trusted_ca: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
        }
    }
}

/// The error about an option whose value cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OptionError {
    /// The value is not a CIDR where one is needed.
    #[error("{value:?} is not a CIDR such as 192.168.0.0/24; expected {expected}")]
    Cidr {
        /// The value of the option.
        value: String,
        /// The values that the option accepts.
        expected: &'static str,
    },
    /// The value is not a suffix that a DNS name can have.
    #[error(
        "{value:?} is not a DNS name suffix such as example.com; expected mesh, all, none or suffixes"
    )]
    Suffix {
        /// The value of the option.
        value: String,
    },
    /// There are more values than the option accepts.
    #[error("more than {most} {what}")]
    TooMany {
        /// What the values are.
        what: &'static str,
        /// How many it accepts.
        most: usize,
    },
    /// The value is none of the words that the option accepts.
    #[error("{value:?} is unknown; expected {expected}")]
    Unknown {
        /// The value of the option.
        value: String,
        /// The values that the option accepts.
        expected: &'static str,
    },
}

/// `--nodeport-addresses`: the addresses of a node on which its node ports are served (Service rule
/// 23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// All addresses of the node, by a listener on the wildcard address.
    All,
    /// The node's primary addresses: the first of each family in its status, internal before
    /// external.
    Primary,
    /// The node's addresses inside these ranges. A family without any range stays open on all
    /// addresses.
    Cidrs(Vec<IpNet>),
}

impl FromStr for NodePortAddresses {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "all" => Ok(NodePortAddresses::All),
            "primary" => Ok(NodePortAddresses::Primary),
            list => Ok(NodePortAddresses::Cidrs(cidrs(
                list,
                "all, primary or CIDR,…",
            )?)),
        }
    }
}

/// `--external-name`: the proxies and names for which Services of type ExternalName are served.
/// Names that Service rule 124 forbids are refused always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalNamePolicy {
    /// Mesh and gRPC clients.
    Mesh,
    /// Mesh and gRPC clients, and ingress too.
    All,
    /// No proxy.
    None,
    /// Every role, but only for names that equal one of these or end in a dot and one of these.
    Suffixes(Vec<String>),
}

impl FromStr for ExternalNamePolicy {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "mesh" => Ok(ExternalNamePolicy::Mesh),
            "all" => Ok(ExternalNamePolicy::All),
            "none" => Ok(ExternalNamePolicy::None),
            list => {
                let suffixes = list.split(',').map(suffix).collect::<Result<_, _>>()?;
                Ok(ExternalNamePolicy::Suffixes(suffixes))
            }
        }
    }
}

/// `--external-ips`: the `spec.externalIPs` that are honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalIps {
    /// All external IPs, as Kubernetes does.
    All,
    /// No external IPs.
    None,
    /// The external IPs inside these ranges.
    Cidrs(Vec<IpNet>),
}

impl ExternalIps {
    /// Whether this external IP is honoured.
    pub(crate) fn allow(&self, ip: IpAddr) -> bool {
        match self {
            ExternalIps::All => true,
            ExternalIps::None => false,
            ExternalIps::Cidrs(cidrs) => cidrs.iter().any(|cidr| cidr.contains(&ip)),
        }
    }
}

impl FromStr for ExternalIps {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "all" => Ok(ExternalIps::All),
            "none" => Ok(ExternalIps::None),
            list => Ok(ExternalIps::Cidrs(cidrs(list, "all, none or CIDR,…")?)),
        }
    }
}

/// `--capture`: how traffic to Service addresses reaches the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Every frontend has a bound listener.
    Bind,
    /// TCP frontends are not bound: one listener recovers the original destination.
    Redirect,
    /// As `Bind`, in the network namespace `/run/netns/seaway`, where nothing else listens.
    Namespace,
    /// As `Redirect`, in the network namespace `/run/netns/seaway`.
    NamespaceRedirect,
}

impl Capture {
    /// Whether one listener takes the TCP connections of all frontends.
    #[must_use]
    pub fn is_redirect(self) -> bool {
        matches!(self, Capture::Redirect | Capture::NamespaceRedirect)
    }

    /// Whether listeners are bound in a network namespace of their own.
    #[must_use]
    pub fn in_namespace(self) -> bool {
        matches!(self, Capture::Namespace | Capture::NamespaceRedirect)
    }
}

impl FromStr for Capture {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "bind" => Ok(Capture::Bind),
            "redirect" => Ok(Capture::Redirect),
            "namespace" => Ok(Capture::Namespace),
            "namespace-redirect" => Ok(Capture::NamespaceRedirect),
            value => Err(OptionError::Unknown {
                value: value.to_owned(),
                expected: "bind, redirect, namespace or namespace-redirect",
            }),
        }
    }
}

fn cidrs(list: &str, expected: &'static str) -> Result<Vec<IpNet>, OptionError> {
    let parse = |text: &str| {
        text.trim().parse().map_err(|_| OptionError::Cidr {
            value: text.to_owned(),
            expected,
        })
    };
    list.split(',').map(parse).collect()
}

fn suffix(text: &str) -> Result<String, OptionError> {
    let trimmed = text.trim();
    let name = trimmed.strip_prefix('.').unwrap_or(trimmed);
    if crate::names::is_dns_name(name) {
        Ok(name.to_owned())
    } else {
        Err(OptionError::Suffix {
            value: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_lists_parse() {
        assert_eq!("primary".parse(), Ok(NodePortAddresses::Primary));
        let cidrs = "10.0.0.0/8,fd00::/8".parse::<NodePortAddresses>();
        assert!(matches!(cidrs, Ok(NodePortAddresses::Cidrs(list)) if list.len() == 2));
        assert_eq!(
            ".example.com,example.org".parse(),
            Ok(ExternalNamePolicy::Suffixes(vec![
                "example.com".to_owned(),
                "example.org".to_owned()
            ]))
        );
        assert_eq!("none".parse(), Ok(ExternalIps::None));
        assert_eq!("bind".parse(), Ok(Capture::Bind));
        assert_eq!("namespace".parse(), Ok(Capture::Namespace));
        assert_eq!("namespace-redirect".parse(), Ok(Capture::NamespaceRedirect));
    }

    #[test]
    fn errors_say_what_was_expected() {
        let error = "primary,10.0.0.0/8"
            .parse::<NodePortAddresses>()
            .unwrap_err();
        assert!(error.to_string().contains("\"primary\""), "{error}");
        assert!("Mesh".parse::<ExternalNamePolicy>().is_err());
        assert!("".parse::<ExternalIps>().is_err());
        let error = "tproxy".parse::<Capture>().unwrap_err();
        assert!(
            error.to_string().contains("bind, redirect, namespace"),
            "{error}"
        );
    }
}
