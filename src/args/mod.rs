//! The command line: every flag, its environment variable and its default. Names are API.

mod ask;
mod bootstrap;
mod check;
mod diff;
mod explain;
mod gateway_services;
mod loads;
mod paper;
mod peers;
mod security;
mod shape;
mod traces;
mod values;
mod wait;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use seaway_translator::{Fleet, Imports, Role, View};

use values::{duration, label, on_off, seconds, word};

pub(crate) use ask::{
    AskArgs, AskTlsArgs, ChangesArgs, Form, GetArgs, LayersArgs, List, ProblemsArgs, ProxiesArgs,
    ResourcesArgs, ServicesArgs, ShowArgs, StatusArgs,
};
pub(crate) use bootstrap::{BootstrapArgs, ProofArgs};
pub(crate) use check::{BugReportArgs, CheckArgs, CheckOutput};
pub(crate) use diff::{DiffArgs, EnvoyAdmin, Nodes};
pub(crate) use explain::ExplainArgs;
pub(crate) use loads::LoadArgs;
pub(crate) use paper::{CompletionArgs, ManArgs};
pub(crate) use peers::PeerArgs;
pub(crate) use security::SecurityArgs;
pub(crate) use shape::ShapeArgs;
pub(crate) use traces::TraceArgs;
pub(crate) use values::{AdminAddress, HostPort, OutputForm, ServerName};
pub(crate) use wait::{Until, WaitArgs};

/// An Envoy xDS control plane for Kubernetes Services.
#[derive(Debug, Parser)]
#[command(name = "seaway", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The name by which `kubectl seaway` calls the binary.
const PLUGIN: &str = "kubectl-seaway";

impl Cli {
    /// Reads the command line. By the name of a plugin of kubectl, the replicas that are asked are
    /// those of the kubeconfig's cluster.
    ///
    /// # Errors
    ///
    /// It cannot be used, or asks for help.
    pub(crate) fn read(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
        let name = arguments.first().map(Path::new);
        let name = name.and_then(Path::file_stem);
        let is_plugin = name.is_some_and(|name| name == PLUGIN);
        let mut command = Cli::command();
        if is_plugin {
            command = command.bin_name("kubectl seaway");
        }
        let matches = command.try_get_matches_from_mut(ask::of_one_proxy(arguments))?;
        let cli = Cli::from_arg_matches(&matches);
        let mut cli = cli.map_err(|error| error.format(&mut command))?;
        if is_plugin {
            cli.command.prefer_kube();
        }
        Ok(cli)
    }
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
    /// List proxies, Services, resources, layers, problems, changes or watches
    Get(GetArgs),
    /// Wait until every proxy has what was applied (exit code 0, or 1 after --timeout)
    Wait(WaitArgs),
    /// Check replicas, proxies, certificates and Services, and say what to do (exit code 0 or 1)
    Check(CheckArgs),
    /// Write an archive of what replicas say of themselves, for a report
    BugReport(BugReportArgs),
    /// Print a script by which a shell completes the command line
    Completion(CompletionArgs),
    /// Print or write pages for man
    Man(ManArgs),
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
    /// Whether proxies report their load.
    #[command(flatten)]
    pub(crate) loads: LoadArgs,
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
    /// With --role grpc: what the client dials after xds:/// (repeatable)
    #[arg(
        long,
        env = "SEAWAY_TARGET",
        value_name = "NAME",
        value_delimiter = ',',
        action = ArgAction::Append,
        required_if_eq("role", "grpc")
    )]
    pub(crate) target: Vec<String>,
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
    /// The namespace of the pod of a proxy of role mesh, whose Services its clients know by short
    /// names, too
    #[arg(long, env = "SEAWAY_POD_NAMESPACE", value_name = "NS", value_parser = label)]
    pub(crate) pod_namespace: Option<String>,
    /// The namespaces and Services that a proxy of role mesh needs, such as shop,infra/dns: it gets
    /// no others (all, unless given here or by the annotation seaway.dev/import of its Namespace)
    #[arg(long, env = "SEAWAY_IMPORT", value_name = "NS|NS/SERVICE,...")]
    pub(crate) import: Option<Imports>,
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
            namespace: name(&self.pod_namespace),
            imports: self.import.clone(),
            fleet: self.fleet.clone().unwrap_or_default(),
            ..View::of(role)
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
