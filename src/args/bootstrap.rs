//! The flags of `seaway bootstrap`.

use clap::Args;
use seaway_translator::Capture;

use super::values::{HostPort, ServerName, memory, path, word};
use super::{PlaceArgs, ProxyRole};

/// `seaway bootstrap`.
#[derive(Debug, Args)]
pub(crate) struct BootstrapArgs {
    /// The proxy's name, unique in the fleet
    #[arg(long, env = "SEAWAY_NODE_ID", value_name = "ID", value_parser = word)]
    pub(crate) node_id: String,
    /// What the proxy does
    #[arg(long, env = "SEAWAY_ROLE", default_value = "mesh")]
    pub(crate) role: ProxyRole,
    /// Where the proxy is.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The control plane
    #[arg(
        long,
        env = "SEAWAY_XDS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:18000"
    )]
    pub(crate) xds: HostPort,
    /// Use state-of-the-world xDS instead of delta xDS
    #[arg(long, env = "SEAWAY_SOTW")]
    pub(crate) sotw: bool,
    /// Report load to the control plane, which must be run with --lrs, too
    #[arg(long, env = "SEAWAY_LRS")]
    pub(crate) lrs: bool,
    /// Serve Envoy's admin interface on this port of 127.0.0.1
    #[arg(long, env = "SEAWAY_ADMIN_PORT", value_name = "P")]
    pub(crate) admin_port: Option<u16>,
    /// Serve Envoy's admin interface on a socket with this path instead, for `seaway ready --envoy`
    /// and `seaway drain`
    #[arg(long, env = "SEAWAY_ADMIN_SOCKET", value_name = "PATH", value_parser = path, conflicts_with = "admin_port")]
    pub(crate) admin_socket: Option<String>,
    /// How traffic to Service addresses reaches the proxy, as given to serve; the text of the
    /// bootstrap says what the node needs
    #[arg(
        long,
        env = "SEAWAY_CAPTURE",
        value_name = "bind|redirect|namespace|namespace-redirect"
    )]
    pub(crate) capture: Option<Capture>,
    /// How many files Envoy may have open, from which its limits follow (roles node and ingress; as
    /// many as this process may, unless given)
    #[arg(long, env = "SEAWAY_MAX_FILES", value_name = "N", value_parser = clap::value_parser!(u64).range(2_000..))]
    pub(crate) max_files: Option<u64>,
    /// How much memory Envoy may have, as `1Gi`, `512Mi` or a number of bytes (role ingress; as
    /// much as the machine has, unless given). Near its end Envoy answers 503 instead of being
    /// killed
    #[arg(long, env = "SEAWAY_MAX_MEMORY", value_name = "BYTES", value_parser = memory)]
    pub(crate) max_memory: Option<u64>,
    /// How many of them are for the sockets of listeners, one per bound listener and worker (role
    /// node; an eighth, unless given)
    #[arg(long, env = "SEAWAY_LISTENER_FILES", value_name = "N")]
    pub(crate) listener_files: Option<u64>,
    /// Write the bootstrap into this folder, with the files that let Envoy take up replaced
    /// certificates and tokens, instead of printing it
    #[arg(long, env = "SEAWAY_OUT", value_name = "DIR", value_parser = path)]
    pub(crate) out: Option<String>,
    /// Whom the proxy trusts, and how it proves its identity.
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
}

/// TLS towards the control plane. Files are named as the proxy sees them and need not exist where
/// this runs.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Identity")]
pub(crate) struct ProofArgs {
    /// Talk TLS to the control plane; its certificate must come from an authority in this file
    /// (PEM)
    #[arg(long, env = "SEAWAY_TLS_CA", value_name = "FILE", value_parser = path)]
    pub(crate) tls_ca: Option<String>,
    /// The name or address in the control plane's certificate, if it is not the host of --xds
    #[arg(long, env = "SEAWAY_TLS_SERVER_NAME", value_name = "NAME")]
    pub(crate) tls_server_name: Option<ServerName>,
    /// The proxy's own certificate (PEM; with --tls-key)
    #[arg(long, env = "SEAWAY_TLS_CERT", value_name = "FILE", value_parser = path)]
    pub(crate) tls_cert: Option<String>,
    /// The key of the proxy's own certificate (PEM)
    #[arg(long, env = "SEAWAY_TLS_KEY", value_name = "FILE", value_parser = path)]
    pub(crate) tls_key: Option<String>,
    /// A projected token of the proxy's service account, shown to the control plane with every
    /// stream
    #[arg(long, env = "SEAWAY_TOKEN_FILE", value_name = "FILE", value_parser = path)]
    pub(crate) token_file: Option<String>,
}
