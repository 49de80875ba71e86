//! The command line: every flag, its environment variable and its default. Names are API.

mod ask;
mod bootstrap;
mod diff;
mod explain;
mod gateway_services;
mod peers;
mod security;
mod traces;
mod values;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use seaway_translator::model::ServiceKey;
use seaway_translator::{
    Capture, ExternalIps, ExternalNamePolicy, Fleet, IpNet, NodePortAddresses, Options, Role, View,
};

use values::{HealthzListen, domain, duration, ingress_service, label, on_off, seconds, word};

pub(crate) use ask::{
    AskArgs, ChangesArgs, Form, GetArgs, List, ProblemsArgs, ProxiesArgs, ResourcesArgs,
    ServicesArgs, ShowArgs, StatusArgs,
};
pub(crate) use bootstrap::{BootstrapArgs, ProofArgs};
pub(crate) use diff::{DiffArgs, DiffOutput, Nodes};
pub(crate) use explain::{ExplainArgs, ExplainOutput};
pub(crate) use peers::PeerArgs;
pub(crate) use security::SecurityArgs;
pub(crate) use traces::TraceArgs;
pub(crate) use values::{HostPort, ServerName};

/// An Envoy xDS control plane for Kubernetes Services.
#[derive(Debug, Parser)]
#[command(name = "seaway", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch Services and serve them to Envoys and gRPC clients over xDS
    Serve(Box<ServeArgs>),
    /// Print the bootstrap of an Envoy (YAML) or a gRPC client (JSON) that connects to a control
    /// plane
    Bootstrap(Box<BootstrapArgs>),
    /// Print the resources that a proxy would be sent
    Translate(Box<TranslateArgs>),
    /// Say what becomes of a connection or a request, and why (exit code 0 if it is served, else 1)
    Explain(Box<ExplainArgs>),
    /// Say what a change of manifests means for clients (exit code 0: nothing is sent, 1: something
    /// is)
    Diff(Box<DiffArgs>),
    /// Check whether the `serve` on this host, by its /readyz, or an Envoy is ready (exit code 0
    /// or 1)
    Ready(ReadyArgs),
    /// Show whether all is as it should be: replicas, proxies, Services, changes (exit code 0 or 1)
    Status(StatusArgs),
    /// List proxies, Services, resources, problems, changes or watches
    Get(GetArgs),
    /// Wait for SIGTERM, then drain the Envoy beside this process
    Drain(DrainArgs),
}

/// `seaway serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// What to watch.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Where to listen and how to behave.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Who may ask.
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    /// Who the other replicas are.
    #[command(flatten)]
    pub(crate) peers: PeerArgs,
    /// Where traces go.
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    /// How to translate.
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
}

/// Where the objects come from.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Watch the manifests (*.yaml, *.yml, *.json) below this folder
    #[arg(
        long,
        env = "SEAWAY_FILES",
        value_name = "DIR",
        conflicts_with = "kube"
    )]
    pub(crate) files: Option<PathBuf>,
    /// Watch a cluster: the one this runs in, else the kubeconfig's (the default)
    #[arg(long, env = "SEAWAY_KUBE")]
    pub(crate) kube: bool,
    /// Watch the Services and EndpointSlices of this namespace only (repeatable; with a cluster)
    #[arg(long, env = "SEAWAY_NAMESPACE", value_name = "NS", value_delimiter = ',', action = ArgAction::Append, value_parser = word, conflicts_with = "files")]
    pub(crate) namespace: Vec<String>,
    /// Watch only the Services with these labels, as kubectl --selector takes them (with a cluster)
    #[arg(
        long,
        env = "SEAWAY_SERVICE_SELECTOR",
        value_name = "SELECTOR",
        conflicts_with = "files"
    )]
    pub(crate) service_selector: Option<String>,
    /// Restart a watch that has received nothing for this long; API servers send a bookmark every
    /// minute
    #[arg(long, env = "SEAWAY_WATCH_SILENCE", value_name = "TIME", default_value = "90s", value_parser = seconds)]
    pub(crate) watch_silence: Duration,
    /// How often each watch is held against the newest state of the API server; a watch that is not
    /// told what others are is replaced by a new list. 0 is never
    #[arg(long, env = "SEAWAY_FRESHNESS_PROBE", value_name = "TIME", default_value = "20s", value_parser = duration, conflicts_with = "files")]
    pub(crate) freshness_probe: Duration,
    /// Write the status of Ingresses and of the objects of Gateway API; one replica does (with a
    /// cluster)
    #[arg(long, env = "SEAWAY_STATUS", value_name = "on|off", default_value = "on", action = ArgAction::Set, value_parser = on_off, conflicts_with = "files")]
    pub(crate) status: bool,
    /// The namespace of the Lease that says which replica writes status, instead of the pod's or
    /// the kubeconfig's (with a cluster)
    #[arg(long, env = "SEAWAY_LEASE_NAMESPACE", value_name = "NS", value_parser = label, conflicts_with = "files")]
    pub(crate) lease_namespace: Option<String>,
}

/// Listening addresses and timing of the server.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The gRPC port for proxies
    #[arg(
        long,
        env = "SEAWAY_XDS_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:18000"
    )]
    pub(crate) xds_listen: SocketAddr,
    /// The port with /livez, /readyz and /metrics
    #[arg(
        long,
        env = "SEAWAY_ADMIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:18001"
    )]
    pub(crate) admin_listen: SocketAddr,
    /// The longest time that changes are merged before they are published
    #[arg(long, env = "SEAWAY_COALESCE", value_name = "TIME", default_value = "10ms", value_parser = duration)]
    pub(crate) coalesce: Duration,
    /// Save the last good state in this folder, to start from when the source is unavailable
    #[arg(long, env = "SEAWAY_CHECKPOINT", value_name = "DIR")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// How long to wait for the source at startup before the checkpoint is served
    #[arg(long, env = "SEAWAY_CHECKPOINT_GRACE", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) checkpoint_grace: Duration,
    /// How long connections may take to close after SIGTERM
    #[arg(long, env = "SEAWAY_DRAIN", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) drain: Duration,
}

/// `seaway translate`.
#[derive(Debug, Args)]
pub(crate) struct TranslateArgs {
    /// Read the manifests (*.yaml, *.yml, *.json) below this folder
    #[arg(long, env = "SEAWAY_FILES", value_name = "DIR")]
    pub(crate) files: PathBuf,
    /// For which kind of proxy
    #[arg(long, env = "SEAWAY_ROLE", default_value = "node")]
    pub(crate) role: ProxyRole,
    /// With --role grpc: what the client dials after xds:///
    #[arg(
        long,
        env = "SEAWAY_TARGET",
        value_name = "NAME",
        required_if_eq("role", "grpc")
    )]
    pub(crate) target: Option<String>,
    /// Where the proxy is.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The form: JSON, YAML, or a bootstrap that needs no control plane
    #[arg(short, long, env = "SEAWAY_OUTPUT", default_value = "json")]
    pub(crate) output: Output,
    /// How to translate.
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
}

/// `seaway ready`.
#[derive(Debug, Args)]
pub(crate) struct ReadyArgs {
    /// The --admin-listen address of `serve`
    #[arg(
        long,
        env = "SEAWAY_ADMIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:18001"
    )]
    pub(crate) admin_listen: SocketAddr,
    /// Check the Envoy with this admin socket instead: whether it is live and accepts connections
    /// on all of its listeners
    #[arg(long, env = "SEAWAY_ENVOY", value_name = "SOCKET")]
    pub(crate) envoy: Option<PathBuf>,
}

/// `seaway drain`.
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// Envoy's admin socket
    #[arg(long, env = "SEAWAY_ENVOY", value_name = "SOCKET")]
    pub(crate) envoy: PathBuf,
    /// How often to read how many connections Envoy refused because of its limits, and log it (0s:
    /// never)
    #[arg(long, env = "SEAWAY_LOOK", value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) look: Duration,
    /// Serve these numbers as metrics (/metrics) on this address
    #[arg(long, env = "SEAWAY_METRICS_LISTEN", value_name = "ADDR")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// How long Envoy keeps accepting connections after SIGTERM, until its replacement is ready
    #[arg(long, env = "SEAWAY_HOLD", value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) hold: Duration,
    /// How long its open connections may last after that
    #[arg(long, env = "SEAWAY_DRAIN_TIME", value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) drain_time: Duration,
}

/// A proxy's place in the cluster.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct PlaceArgs {
    /// The Node the proxy runs on
    #[arg(long, env = "SEAWAY_NODE_NAME", value_name = "N", value_parser = word)]
    pub(crate) node_name: Option<String>,
    /// The proxy's zone, when its Node has no label for it
    #[arg(long, env = "SEAWAY_ZONE", value_name = "Z", value_parser = word)]
    pub(crate) zone: Option<String>,
    /// The proxy's region, when its Node has no label for it
    #[arg(long, env = "SEAWAY_REGION", value_name = "R", value_parser = word)]
    pub(crate) region: Option<String>,
    /// The fleet of a proxy of role ingress (default, unless given)
    #[arg(long, env = "SEAWAY_FLEET", value_name = "NAME")]
    pub(crate) fleet: Option<Fleet>,
}

impl PlaceArgs {
    /// The view of a proxy at this place.
    pub(crate) fn view(&self, role: Role) -> View {
        let name = |name: &Option<String>| name.as_deref().map(Into::into);
        View {
            node: name(&self.node_name),
            zone: name(&self.zone),
            region: name(&self.region),
            fleet: self.fleet.clone().unwrap_or_default(),
            ..View::of(role)
        }
    }
}

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
    ingress_service: Vec<(Fleet, ServiceKey)>,
    /// Make a Service of type LoadBalancer for each Gateway that asks for no address, beside
    /// that of --ingress-service (with a cluster)
    #[arg(long, env = "SEAWAY_GATEWAY_SERVICES")]
    gateway_services: bool,
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

/// The roles a client of a control plane can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProxyRole {
    /// kube-proxy's job: a listener for every Service address
    Node,
    /// One HTTP listener routing by host name
    Mesh,
    /// The edge
    Ingress,
    /// No proxy: a gRPC client that asks for itself
    Grpc,
}

impl From<ProxyRole> for Role {
    fn from(role: ProxyRole) -> Role {
        match role {
            ProxyRole::Node => Role::Node,
            ProxyRole::Mesh => Role::Mesh,
            ProxyRole::Ingress => Role::Ingress,
            ProxyRole::Grpc => Role::Grpc,
        }
    }
}

/// What `translate` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The resources and problems as JSON
    Json,
    /// The same as YAML
    Yaml,
    /// A complete Envoy bootstrap with everything inline
    Static,
}

#[cfg(test)]
mod tests;
