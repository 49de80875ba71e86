//! The flags that shape the translation.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use clap::{ArgAction, Args};
use seaway_translator::model::ServiceKey;
use seaway_translator::{
    Capture, ExternalIps, ExternalNamePolicy, Fleet, IpNet, MESH_CERTIFICATES, NodePortAddresses,
    Options,
};

use super::values::{HealthzListen, bound, domain, ingress_service, path, trust_domain, word};

/// What shapes the translation, the same for `serve` and `translate`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Translation")]
pub(crate) struct ShapeArgs {
    /// The DNS domain of the cluster
    #[arg(long, env = "SEAWAY_CLUSTER_DOMAIN", value_name = "DOMAIN", default_value = "cluster.local", value_parser = domain)]
    cluster_domain: String,
    /// The node addresses that serve node ports
    #[arg(
        long,
        env = "SEAWAY_NODEPORT_ADDRESSES",
        value_name = "all|primary|CIDR,…",
        default_value = "all"
    )]
    nodeport_addresses: NodePortAddresses,
    /// A range of pod addresses (repeatable)
    #[arg(long, env = "SEAWAY_POD_CIDR", value_name = "CIDR", value_delimiter = ',', action = ArgAction::Append)]
    pod_cidr: Vec<IpNet>,
    /// A range of cluster IPs (repeatable)
    #[arg(long, env = "SEAWAY_SERVICE_CIDR", value_name = "CIDR", value_delimiter = ',', action = ArgAction::Append)]
    service_cidr: Vec<IpNet>,
    /// A range of external and load-balancer addresses (repeatable)
    #[arg(long, env = "SEAWAY_VIP_CIDR", value_name = "CIDR", value_delimiter = ',', action = ArgAction::Append)]
    vip_cidr: Vec<IpNet>,
    /// Who gets ExternalName Services: mesh and gRPC clients, ingress too, nobody, or everybody for
    /// names below a SUFFIX
    #[arg(
        long,
        env = "SEAWAY_EXTERNAL_NAME",
        value_name = "mesh|all|none|SUFFIX,…",
        default_value = "mesh"
    )]
    external_name: ExternalNamePolicy,
    /// Endpoint addresses to serve although they are unspecified, multicast, link-local or loopback
    /// (repeatable)
    #[arg(long, env = "SEAWAY_ALLOW_ENDPOINT_CIDR", value_name = "CIDR", value_delimiter = ',', action = ArgAction::Append)]
    allow_endpoint_cidr: Vec<IpNet>,
    /// The externalIPs of Services to serve
    #[arg(
        long,
        env = "SEAWAY_EXTERNAL_IPS",
        value_name = "all|none|CIDR,…",
        default_value = "all"
    )]
    external_ips: ExternalIps,
    /// Serve the Services whose service.kubernetes.io/service-proxy-name label is this, instead of
    /// those without
    #[arg(long, env = "SEAWAY_SERVICE_PROXY_NAME", value_name = "NAME")]
    service_proxy_name: Option<String>,
    /// How traffic to Service addresses reaches the proxy (role node: bind; role mesh has no such
    /// addresses without this)
    #[arg(
        long,
        env = "SEAWAY_CAPTURE",
        value_name = "bind|redirect|namespace|namespace-redirect"
    )]
    capture: Option<Capture>,
    /// How many bound listeners an Envoy of role node can open; above 80 % of it a problem warns
    /// (0: never)
    #[arg(
        long,
        env = "SEAWAY_MAX_BOUND_LISTENERS",
        value_name = "N",
        default_value_t = 50_000
    )]
    max_bound_listeners: usize,
    /// How many UDP flows a Service port may have at a time on one proxy; each takes a file
    /// descriptor of Envoy (docs/scale.md)
    #[arg(
        long,
        env = "SEAWAY_MAX_UDP_FLOWS",
        value_name = "N",
        default_value = "65536"
    )]
    max_udp_flows: NonZeroU32,
    /// Keep the client's source address towards endpoints where Envoy can (role node; the node
    /// needs setup.sh up --keep-source)
    #[arg(long, env = "SEAWAY_KEEP_SOURCE")]
    keep_source: bool,
    /// The controller name of the IngressClasses to serve
    #[arg(
        long,
        env = "SEAWAY_INGRESS_CONTROLLER",
        value_name = "NAME",
        default_value = "seaway.dev/ingress-controller"
    )]
    ingress_controller: String,
    /// Serve Ingresses without a class too
    #[arg(long, env = "SEAWAY_INGRESS_WITHOUT_CLASS")]
    ingress_without_class: bool,
    /// Have ingress proxies write a line of JSON for each request to their standard output
    #[arg(long, env = "SEAWAY_ACCESS_LOG")]
    access_log: bool,
    /// Have Envoys from 1.37 on ask for the certificates of exact host names, instead of giving
    /// each a filter chain: for thousands of them, and clients that are trusted (docs/ingress.md)
    #[arg(long, env = "SEAWAY_CERTIFICATES_ON_DEMAND")]
    pub(crate) certificates_on_demand: bool,
    /// How many proxies before the ingress proxies say in x-forwarded-for whom a request is from
    #[arg(
        long,
        env = "SEAWAY_TRUSTED_HOPS",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(..=16),
        default_value_t = 0
    )]
    trusted_hops: u32,
    /// The Service before the ingress proxies of a fleet (without a name: of the default one),
    /// whose addresses Ingresses and Gateways show in their status (repeatable)
    #[arg(long, env = "SEAWAY_INGRESS_SERVICE", value_name = "[FLEET=]NAMESPACE/NAME", value_parser = ingress_service, value_delimiter = ',', action = ArgAction::Append)]
    pub(super) ingress_service: Vec<(Fleet, ServiceKey)>,
    /// Make a Service of type LoadBalancer for each Gateway that asks for no address, beside
    /// that of --ingress-service (with a cluster)
    #[arg(long, env = "SEAWAY_GATEWAY_SERVICES")]
    pub(super) gateway_services: bool,
    /// The authorities that proxies trust for the names of ExternalNames with `appProtocol: https`
    /// (PEM, as Envoy sees the file)
    #[arg(
        long,
        env = "SEAWAY_TRUSTED_CA",
        value_name = "FILE",
        default_value = "/etc/ssl/certs/ca-certificates.crt",
        value_parser = word
    )]
    trusted_ca: String,
    /// The address of the ingress listeners; `::` is for IPv4 too
    #[arg(
        long,
        env = "SEAWAY_INGRESS_LISTEN",
        value_name = "IP",
        default_value = "::"
    )]
    ingress_listen: IpAddr,
    /// The port of the ingress HTTP listener
    #[arg(
        long,
        env = "SEAWAY_HTTP_PORT",
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..),
        default_value_t = 80
    )]
    http_port: u16,
    /// The port of the ingress HTTPS listener
    #[arg(
        long,
        env = "SEAWAY_HTTPS_PORT",
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..),
        default_value_t = 443
    )]
    https_port: u16,
    /// The address of the mesh listener
    #[arg(
        long,
        env = "SEAWAY_MESH_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:15001"
    )]
    mesh_listen: SocketAddr,
    /// Where proxies of role mesh that have certificates take mTLS for their own workloads, such as
    /// 0.0.0.0:15008; without it there is no mTLS (docs/mtls.md)
    #[arg(long, env = "SEAWAY_MESH_INBOUND", value_name = "ADDR", value_parser = bound)]
    pub(crate) mesh_inbound: Option<SocketAddr>,
    /// The folder in which such proxies have tls.crt, tls.key and ca.crt, as they see it
    #[arg(
        long,
        env = "SEAWAY_MESH_CERTIFICATES",
        value_name = "DIR",
        default_value = MESH_CERTIFICATES,
        value_parser = path
    )]
    mesh_certificates: String,
    /// The trust domain of the identities in these certificates
    #[arg(
        long,
        env = "SEAWAY_TRUST_DOMAIN",
        value_name = "NAME",
        default_value = "cluster.local",
        value_parser = trust_domain
    )]
    trust_domain: String,
    /// Where a proxy of role node answers /healthz and /livez
    #[arg(
        long,
        env = "SEAWAY_HEALTHZ_LISTEN",
        value_name = "none|ADDR",
        default_value = "0.0.0.0:10256"
    )]
    healthz_listen: HealthzListen,
}

impl ShapeArgs {
    /// The translator's options. Loopback endpoints are what people test with: files may name them.
    pub(crate) fn options(&self, from_files: bool) -> Options {
        Options {
            cluster_domain: self.cluster_domain.clone(),
            nodeport_addresses: self.nodeport_addresses.clone(),
            pod_cidrs: self.pod_cidr.clone(),
            service_cidrs: self.service_cidr.clone(),
            vip_cidrs: self.vip_cidr.clone(),
            external_name: self.external_name.clone(),
            allow_endpoint_cidrs: self.allow_endpoint_cidr.clone(),
            allow_loopback_endpoints: from_files,
            external_ips: self.external_ips.clone(),
            service_proxy_name: self.service_proxy_name.clone(),
            capture: self.capture,
            max_bound_listeners: self.max_bound_listeners,
            max_udp_flows: self.max_udp_flows,
            keep_source: self.keep_source,
            mesh_listen: self.mesh_listen,
            mesh_inbound: self.mesh_inbound,
            mesh_certificates: self.mesh_certificates.clone(),
            trust_domain: self.trust_domain.clone(),
            healthz_listen: self.healthz_listen.0,
            ingress_listen: self.ingress_listen,
            http_port: self.http_port,
            https_port: self.https_port,
            ingress_controller: self.ingress_controller.clone(),
            ingress_without_class: self.ingress_without_class,
            access_log: self.access_log,
            trusted_hops: self.trusted_hops,
            trusted_ca: self.trusted_ca.clone(),
            ingress_services: self.ingress_service.iter().cloned().collect(),
            gateway_services: self.gateway_services,
        }
    }
}
