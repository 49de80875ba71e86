//! The flags of the commands that ask running replicas.

mod tls;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use seaway_translator::{Role, Served, Severity};

use super::Command;
use super::values::{AdminAddress, label};
use crate::inspect::api::ProxyState;
pub(crate) use tls::AskTlsArgs;

/// Whom to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct AskArgs {
    /// Where the --admin-listen of a replica is (repeatable: all of them are asked): HOST:PORT on
    /// this machine, https://HOST:PORT anywhere; without this and --kube 127.0.0.1:18001
    #[arg(
        long,
        env = "SEAWAY_ADMIN",
        value_name = "ADDR",
        value_delimiter = ',',
        action = ArgAction::Append,
        global = true
    )]
    pub(crate) admin: Vec<AdminAddress>,
    /// How they are known there, and who asks.
    #[command(flatten)]
    pub(crate) tls: AskTlsArgs,
    /// Find the replicas in the cluster of the kubeconfig, and reach them through its API server
    #[arg(long, global = true, conflicts_with = "admin")]
    pub(crate) kube: bool,
    /// The kubeconfig, instead of those of KUBECONFIG, or ~/.kube/config (with --kube)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig, instead of the current one (with --kube)
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,
    /// The namespace of Seaway (with --kube)
    #[arg(
        long,
        env = "SEAWAY_SEAWAY_NAMESPACE",
        value_name = "NS",
        default_value = "seaway",
        value_parser = label,
        global = true
    )]
    pub(crate) seaway_namespace: String,
}

impl AskArgs {
    /// Asks the replicas of a cluster unless addresses are given: what `kubectl seaway` means.
    fn prefer_kube(&mut self) {
        self.kube |= self.admin.is_empty();
    }
}

impl Command {
    /// Has commands that ask replicas look for them in a cluster, unless addresses are given.
    pub(crate) fn prefer_kube(&mut self) {
        let ask = match self {
            Command::Status(args) => &mut args.ask,
            Command::Get(args) => &mut args.ask,
            Command::Wait(args) => &mut args.ask,
            Command::Check(args) => &mut args.ask,
            Command::BugReport(args) => &mut args.ask,
            Command::Explain(args) => &mut args.ask,
            Command::Diff(args) => &mut args.ask,
            _ => return,
        };
        ask.prefer_kube();
    }
}

/// How answers are shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// The form: a table, a wide table, names only, JSON or YAML; for get proxy/ID also envoy
    #[arg(
        short,
        long,
        env = "SEAWAY_OUTPUT",
        default_value = "text",
        global = true
    )]
    pub(crate) output: Form,
    /// Show times instead of ages
    #[arg(long, env = "SEAWAY_TIMESTAMPS", global = true)]
    pub(crate) timestamps: bool,
    /// How many rows to show at most
    #[arg(
        long,
        env = "SEAWAY_LIMIT",
        value_name = "N",
        default_value_t = 500,
        global = true
    )]
    pub(crate) limit: usize,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people: what matters, within 120 columns
    Text,
    /// The same, with nothing cut
    Wide,
    /// Names only, a line each
    Name,
    /// JSON, as the inspection API has it
    Json,
    /// The same as YAML
    Yaml,
    /// With `get proxy/ID`: what the server has for that proxy, as Envoy prints it (JSON)
    Envoy,
}

/// `seaway status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// How to show it.
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

/// Takes `get proxy/ID` for `get proxy ID`.
pub(super) fn of_one_proxy(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_none_or(|command| command != "get") {
        return arguments;
    }
    let lists = List::augment_subcommands(clap::Command::new("get"));
    let mut further = arguments.iter().skip(2);
    if further.any(|argument| lists.find_subcommand(argument).is_some()) {
        return arguments;
    }
    let at = arguments.iter().position(|argument| {
        let text = argument.to_str();
        text.is_some_and(|text| text.starts_with("proxy/"))
    });
    if let Some(at) = at {
        arguments.insert(at, "proxy".into());
    }
    arguments
}

/// `seaway get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// What to list.
    #[command(subcommand)]
    pub(crate) list: List,
    /// Go on, and print what is new every two seconds
    #[arg(short, long, env = "SEAWAY_WATCH", global = true)]
    pub(crate) watch: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// How to show it.
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

/// The lists.
#[derive(Debug, Subcommand)]
pub(crate) enum List {
    /// The proxies that are connected, and whether they have what they should have
    #[command(visible_alias = "proxy")]
    Proxies(ProxiesArgs),
    /// The Services, and whether they are served
    #[command(visible_aliases = ["service", "svc"])]
    Services(ServicesArgs),
    /// What is published, and who has it
    #[command(visible_alias = "resource")]
    Resources(ResourcesArgs),
    /// The layers that resources lie in: what each has, and for how many proxies
    #[command(visible_alias = "layer")]
    Layers(LayersArgs),
    /// What is wrong with objects
    #[command(visible_alias = "problem")]
    Problems(ProblemsArgs),
    /// The last changes: why, and when the last proxy had them
    #[command(visible_alias = "change")]
    Changes(ChangesArgs),
    /// The watches of the source
    #[command(visible_alias = "watch")]
    Watches,
}

/// The states of proxies.
const STATES: [&str; 3] = [
    ProxyState::Synced.as_str(),
    ProxyState::Behind.as_str(),
    ProxyState::Rejects.as_str(),
];

/// How much of a Service is served.
const SERVED: [&str; 3] = [
    Served::Yes.as_str(),
    Served::Partly.as_str(),
    Served::No.as_str(),
];

/// The severities of problems.
const SEVERITIES: [&str; 2] = [Severity::Error.as_str(), Severity::Warning.as_str()];

/// `seaway get proxies`.
#[derive(Debug, Args)]
pub(crate) struct ProxiesArgs {
    /// Only the proxy with this id (proxy/ID is the same)
    #[arg(value_name = "ID")]
    pub(crate) proxy: Option<String>,
    /// Only proxies in this state: synced, behind or rejects
    #[arg(long, env = "SEAWAY_STATE", value_name = "STATE", value_parser = STATES)]
    pub(crate) state: Option<String>,
    /// Only proxies in another state
    #[arg(long, env = "SEAWAY_NOT", value_name = "STATE", value_parser = STATES)]
    pub(crate) not: Option<String>,
    /// Only proxies of this role: node, mesh, ingress or grpc
    #[arg(long, env = "SEAWAY_ROLE", value_name = "ROLE", value_parser = Role::ALL.map(Role::as_str))]
    pub(crate) role: Option<String>,
    /// Only proxies on this Node
    #[arg(long, env = "SEAWAY_NODE", value_name = "N")]
    pub(crate) node: Option<String>,
    /// Only proxies in this zone
    #[arg(long, env = "SEAWAY_ZONE", value_name = "Z")]
    pub(crate) zone: Option<String>,
    /// Only proxies of this fleet
    #[arg(long, env = "SEAWAY_FLEET", value_name = "NAME")]
    pub(crate) fleet: Option<String>,
    /// Only proxies whose id, Node or address contains this
    #[arg(long, env = "SEAWAY_SEARCH", value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// With -o envoy: only resources of this type
    #[arg(long = "type", env = "SEAWAY_TYPE", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// With -o envoy: only resources of this name
    #[arg(long, env = "SEAWAY_NAME", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// With -o envoy: print more than 1 MiB
    #[arg(long, env = "SEAWAY_ALL")]
    pub(crate) all: bool,
}

impl ProxiesArgs {
    /// The id of the proxy that is asked for.
    pub(crate) fn id(&self) -> Option<&str> {
        let id = self.proxy.as_deref();
        id.map(|id| id.strip_prefix("proxy/").unwrap_or(id))
    }
}

/// `seaway get layers`.
#[derive(Debug, Args)]
pub(crate) struct LayersArgs {
    /// Only layers whose name contains this
    #[arg(long, env = "SEAWAY_SEARCH", value_name = "TEXT")]
    pub(crate) search: Option<String>,
}

/// `seaway get services`.
#[derive(Debug, Args)]
pub(crate) struct ServicesArgs {
    /// Only this Service: NAMESPACE/NAME, or NAME with -n or in any namespace
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// Only Services of this namespace
    #[arg(short, long, env = "SEAWAY_NAMESPACE", value_name = "NS")]
    pub(crate) namespace: Option<String>,
    /// Only Services of which so much is served: yes, partly or no
    #[arg(long, env = "SEAWAY_SERVED", value_name = "yes|partly|no", value_parser = SERVED)]
    pub(crate) served: Option<String>,
    /// Only Services of which not so much is served
    #[arg(long, env = "SEAWAY_NOT", value_name = "yes|partly|no", value_parser = SERVED)]
    pub(crate) not: Option<String>,
    /// Only Services whose name, an address or a port contains this
    #[arg(long, env = "SEAWAY_SEARCH", value_name = "TEXT")]
    pub(crate) search: Option<String>,
}

/// `seaway get resources`.
#[derive(Debug, Args)]
pub(crate) struct ResourcesArgs {
    /// Only what is made from this Service: NAME with -n, or NAMESPACE/NAME
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// The namespace of the Service
    #[arg(short, long, env = "SEAWAY_NAMESPACE", value_name = "NS")]
    pub(crate) namespace: Option<String>,
    /// Only resources of this type: cluster, endpoint, listener, route, scoped-route, secret
    #[arg(long = "type", env = "SEAWAY_TYPE", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Only the resource of this name
    #[arg(long, env = "SEAWAY_NAME", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only what is made from this object: NAMESPACE/NAME, or "Service shop/web"
    #[arg(long, env = "SEAWAY_OBJECT", value_name = "OBJECT")]
    pub(crate) object: Option<String>,
    /// Only resources in this layer
    #[arg(long, env = "SEAWAY_LAYER", value_name = "LAYER")]
    pub(crate) layer: Option<String>,
    /// Only what the connected proxy with this id asks for, as it sees it
    #[arg(long, env = "SEAWAY_PROXY", value_name = "ID")]
    pub(crate) proxy: Option<String>,
    /// Only resources whose name contains this
    #[arg(long, env = "SEAWAY_SEARCH", value_name = "TEXT")]
    pub(crate) search: Option<String>,
}

/// `seaway get problems`.
#[derive(Debug, Args)]
pub(crate) struct ProblemsArgs {
    /// Only problems of this object: NAMESPACE/NAME, or "Service shop/web" for those of one kind
    #[arg(value_name = "OBJECT")]
    pub(crate) object: Option<String>,
    /// Only problems of objects in this namespace
    #[arg(short, long, env = "SEAWAY_NAMESPACE", value_name = "NS")]
    pub(crate) namespace: Option<String>,
    /// Only problems of this severity: error or warning
    #[arg(long, env = "SEAWAY_SEVERITY", value_name = "error|warning", value_parser = SEVERITIES)]
    pub(crate) severity: Option<String>,
    /// Only problems of this reason
    #[arg(long, env = "SEAWAY_REASON", value_name = "REASON")]
    pub(crate) reason: Option<String>,
    /// Only problems whose object, field or message contains this
    #[arg(long, env = "SEAWAY_SEARCH", value_name = "TEXT")]
    pub(crate) search: Option<String>,
}

/// `seaway get changes`.
#[derive(Debug, Args)]
pub(crate) struct ChangesArgs {
    /// Only changes of this object, or of what is made from it: NAMESPACE/NAME, or "Service
    /// shop/web" for those of one kind
    #[arg(value_name = "OBJECT")]
    pub(crate) object: Option<String>,
    /// Only changes that some proxy has not answered yet
    #[arg(long, env = "SEAWAY_WAITING")]
    pub(crate) waiting: bool,
}
