//! The flags by which replicas find each other, and prove to each other who they are.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::values::{HostPort, ServerName};
use crate::admission::identity::Who;
use crate::admission::tls::ClientFiles;
use crate::peers::{PeerConfig, PeerTls};

/// Who the other replicas are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Peers")]
pub(crate) struct PeerArgs {
    /// Where the other replicas are: the name of a headless Service and the xDS port (repeatable).
    /// Replicas tell each other what they serve, so that one that is not told what changes is
    /// noticed
    #[arg(long, env = "SEAWAY_PEERS", value_name = "HOST:PORT", value_delimiter = ',', action = ArgAction::Append, conflicts_with = "files")]
    pub(crate) peers: Vec<HostPort>,
    /// Who may be another replica, where proofs are asked for (repeatable):
    /// serviceaccount:NAMESPACE/NAME, dns:NAME or uri:URI
    #[arg(long, env = "SEAWAY_ALLOW_PEER", value_name = "IDENTITY", value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) allow_peer: Vec<Who>,
    /// The authorities of the other replicas' certificates (PEM), where the xDS port has TLS
    #[arg(
        long,
        env = "SEAWAY_PEERS_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub(crate) peers_ca: Option<PathBuf>,
    /// The name that the other replicas' certificates must have, instead of that in --peers
    #[arg(
        long,
        env = "SEAWAY_PEERS_SERVER_NAME",
        value_name = "NAME",
        requires = "peers_ca"
    )]
    pub(crate) peers_server_name: Option<ServerName>,
    /// The certificate by which this replica proves to others who it is, and those that lead to its
    /// authority (PEM)
    #[arg(
        long,
        env = "SEAWAY_PEERS_CERT",
        value_name = "FILE",
        requires = "peers_ca",
        requires = "peers_key"
    )]
    pub(crate) peers_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(
        long,
        env = "SEAWAY_PEERS_KEY",
        value_name = "FILE",
        requires = "peers_cert"
    )]
    pub(crate) peers_key: Option<PathBuf>,
    /// The token of a service account by which this replica proves to others who it is; read again
    /// for each connection
    #[arg(
        long,
        env = "SEAWAY_PEERS_TOKEN_FILE",
        value_name = "FILE",
        requires = "peers_ca"
    )]
    pub(crate) peers_token_file: Option<PathBuf>,
}

impl PeerArgs {
    /// How peers are found and known; `None` if there are none.
    pub(crate) fn config(&self) -> Option<PeerConfig> {
        let first = self.peers.first()?;
        let targets = self.peers.iter().map(|at| (at.host.clone(), at.port));
        let name = first.certificate_name(self.peers_server_name.as_ref());
        let files = self.peers_ca.clone().map(|ca| ClientFiles {
            flags: "--peers",
            ca,
            certificate: self.peers_cert.clone().zip(self.peers_key.clone()),
            token: self.peers_token_file.clone(),
        });
        let tls = files.map(|files| PeerTls { files, name });
        Some(PeerConfig {
            targets: targets.collect(),
            tls,
        })
    }
}
