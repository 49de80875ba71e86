//! The arguments of `seaway diff`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args};
use seaway_translator::Fleet;

use super::values::{HostPort, OutputForm, label};
use super::{AskArgs, ProxyRole, ShapeArgs};

/// `seaway diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// What there is: a folder of manifests, FOLDER@REVISION of git, a checkpoint, or live: what
    /// running replicas have for the proxies that are connected
    #[arg(
        long,
        env = "SEAWAY_FROM",
        value_name = "SOURCE",
        required_unless_present = "envoy"
    )]
    pub(crate) from: Option<String>,
    /// What there is to be: of the same kinds; or proxy/ID with --envoy
    #[arg(
        long,
        env = "SEAWAY_TO",
        value_name = "SOURCE",
        required_unless_present_any = ["with", "envoy"]
    )]
    pub(crate) to: Option<String>,
    /// Compare with what another binary of Seaway makes of the same folder: what an upgrade sends
    #[arg(
        long,
        env = "SEAWAY_WITH",
        value_name = "BINARY",
        conflicts_with = "to"
    )]
    pub(crate) with: Option<PathBuf>,
    /// Compare what replicas have for proxy/ID (of --to or --from) with what the Envoy with this
    /// admin address has: its HOST:PORT on this host, or its socket
    #[arg(
        long,
        env = "SEAWAY_ENVOY",
        value_name = "ADDR",
        conflicts_with = "with"
    )]
    pub(crate) envoy: Option<EnvoyAdmin>,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// For which kinds of proxies (repeatable)
    #[arg(long, env = "SEAWAY_ROLE", default_value = "node", value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) role: Vec<ProxyRole>,
    /// On which Nodes they are
    #[arg(
        long,
        env = "SEAWAY_NODES",
        value_name = "all|N,…",
        default_value = "all"
    )]
    pub(crate) nodes: Nodes,
    /// The fleet of proxies of role ingress (default, unless given)
    #[arg(long, env = "SEAWAY_FLEET", value_name = "NAME")]
    pub(crate) fleet: Option<Fleet>,
    /// Show only Services and certificates of this namespace
    #[arg(short, long, env = "SEAWAY_NAMESPACE", value_name = "NS", value_parser = label)]
    pub(crate) namespace: Option<String>,
    /// Show how each resource differs, as JSON
    #[arg(short, long, env = "SEAWAY_VERBOSE")]
    pub(crate) verbose: bool,
    /// Show only what clients lose, and end with code 0 if that is nothing
    #[arg(long, env = "SEAWAY_ONLY_HARM")]
    pub(crate) only_harm: bool,
    /// The form: text for people, JSON or YAML
    #[arg(short, long, env = "SEAWAY_OUTPUT", default_value = "text")]
    pub(crate) output: OutputForm,
    /// How to translate.
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
}

/// On which Nodes the proxies are that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// On each that both worlds have.
    All,
    /// On these.
    Named(Vec<String>),
}

impl FromStr for Nodes {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Nodes, Infallible> {
        let named = text.split(',').filter(|name| !name.is_empty());
        Ok(match text {
            "all" => Nodes::All,
            _ => Nodes::Named(named.map(str::to_owned).collect()),
        })
    }
}

/// Where the admin interface of an Envoy on this host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EnvoyAdmin {
    /// A port.
    Port(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

impl FromStr for EnvoyAdmin {
    type Err = String;

    fn from_str(text: &str) -> Result<EnvoyAdmin, String> {
        match text.parse::<HostPort>() {
            Ok(at) => match at.loopback() {
                Some(address) => Ok(EnvoyAdmin::Port(address)),
                // Whoever reaches an admin port can end its Envoy: none is at another address.
                None => Err("is not on this host: forward the port here".to_owned()),
            },
            // An address that is not taken is no file, either.
            Err(why) if text.parse::<SocketAddr>().is_ok() => Err(why),
            Err(_) => Ok(EnvoyAdmin::Socket(text.into())),
        }
    }
}
