//! The flags by which commands know a replica over TLS, and prove to it who they are.

use std::path::PathBuf;

use clap::Args;

use crate::admission::tls::ClientFiles;
use crate::args::values::{HostPort, ServerName};

/// TLS to the replicas of `--admin https://…`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS to replicas")]
pub(crate) struct AskTlsArgs {
    /// The authorities of the replicas' certificates (PEM), for --admin https://…
    #[arg(long, env = "SEAWAY_ADMIN_CA", value_name = "FILE", global = true)]
    pub(crate) admin_ca: Option<PathBuf>,
    /// The name that their certificates must have, instead of that in --admin
    #[arg(
        long,
        env = "SEAWAY_ADMIN_SERVER_NAME",
        value_name = "NAME",
        global = true
    )]
    pub(crate) admin_server_name: Option<ServerName>,
    /// The certificate by which you prove who you are, and those that lead to its authority (PEM)
    #[arg(
        long,
        env = "SEAWAY_ADMIN_CERT",
        value_name = "FILE",
        requires = "admin_key",
        global = true
    )]
    pub(crate) admin_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(
        long,
        env = "SEAWAY_ADMIN_KEY",
        value_name = "FILE",
        requires = "admin_cert",
        global = true
    )]
    pub(crate) admin_key: Option<PathBuf>,
    /// The token of a service account by which you prove who you are
    #[arg(
        long,
        env = "SEAWAY_ADMIN_TOKEN_FILE",
        value_name = "FILE",
        global = true
    )]
    pub(crate) admin_token_file: Option<PathBuf>,
}

impl AskTlsArgs {
    /// Where the authorities and the proofs are; `None` without authorities.
    pub(crate) fn files(&self) -> Option<ClientFiles> {
        Some(ClientFiles {
            flags: "--admin",
            ca: self.admin_ca.clone()?,
            certificate: self.admin_cert.clone().zip(self.admin_key.clone()),
            token: self.admin_token_file.clone(),
        })
    }

    /// The name that the certificate of a replica must have.
    pub(crate) fn name(&self, at: &HostPort) -> String {
        at.certificate_name(self.admin_server_name.as_ref())
    }
}
