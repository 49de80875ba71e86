//! The flags for TLS on the xDS port and for the authentication of proxies.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::values::word;
use crate::admission::identity::{Rule, Who};
use crate::admission::tls;

/// TLS on the xDS port, and the identity of proxies.
#[derive(Debug, Args)]
#[command(next_help_heading = "Identity")]
pub(crate) struct SecurityArgs {
    /// The certificate of the xDS port and those that lead to its authority (PEM); read again when
    /// it changes
    #[arg(
        long,
        env = "SEAWAY_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(
        long,
        env = "SEAWAY_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Ask proxies for certificates of these authorities (PEM)
    #[arg(
        long,
        env = "SEAWAY_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert",
        requires = "allow_proxy"
    )]
    pub(crate) client_ca: Option<PathBuf>,
    /// Accept tokens of Kubernetes service accounts for this audience
    #[arg(
        long,
        env = "SEAWAY_TOKEN_AUDIENCE",
        value_name = "AUD",
        value_parser = word,
        requires = "tls_cert",
        requires = "allow_proxy",
        conflicts_with = "files"
    )]
    pub(crate) token_audience: Option<String>,
    /// Who may be a proxy of a role (repeatable), or of a fleet (ingress/FLEET), or import a
    /// namespace and no other without a rule (mesh/NAMESPACE):
    /// serviceaccount:NAMESPACE/NAME, dns:NAME or uri:URI; {node} in a NAME or URI stands for the
    /// node that its holder is bound to
    #[arg(long, env = "SEAWAY_ALLOW_PROXY", value_name = "ROLE[/PART]=IDENTITY", value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) allow_proxy: Vec<Rule>,
    /// Who may read /api/v1 on the admin port from other machines, over TLS with the certificate of
    /// the xDS port (repeatable): serviceaccount:NAMESPACE/NAME, dns:NAME or uri:URI
    #[arg(long, env = "SEAWAY_ADMIN_ALLOW", value_name = "IDENTITY", value_delimiter = ',', action = ArgAction::Append, requires = "tls_cert")]
    pub(crate) admin_allow: Vec<Who>,
    /// Allow an --xds-listen address that is not loopback without authentication
    #[arg(long, env = "SEAWAY_INSECURE")]
    pub(crate) insecure: bool,
    /// How many connections may be open in all (0: as many as the limit of open files allows)
    #[arg(
        long,
        env = "SEAWAY_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 0
    )]
    pub(crate) max_connections: usize,
    /// How many connections one identity may have
    #[arg(
        long,
        env = "SEAWAY_MAX_CONNECTIONS_PER_IDENTITY",
        value_name = "N",
        default_value_t = 100
    )]
    pub(crate) max_connections_per_identity: usize,
    /// How many streams one identity may have
    #[arg(
        long,
        env = "SEAWAY_MAX_STREAMS_PER_IDENTITY",
        value_name = "N",
        default_value_t = 200
    )]
    pub(crate) max_streams_per_identity: usize,
    /// How many streams of one identity may begin in a second
    #[arg(
        long,
        env = "SEAWAY_FIRST_SYNCS_PER_IDENTITY",
        value_name = "N",
        default_value_t = 50
    )]
    pub(crate) first_syncs_per_identity: u32,
    /// Of how many service accounts or certificate names proxies have to reject a resource, and
    /// more than take it, before it is kept from those that were not sent it yet (0: it never is)
    #[arg(long, env = "SEAWAY_HOLD_BACK", value_name = "N", default_value_t = 3)]
    pub(crate) hold_back: usize,
}

impl SecurityArgs {
    /// Where the certificates are, if there are any.
    pub(crate) fn files(&self) -> Option<tls::Files> {
        let (cert, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(tls::Files {
            cert,
            key,
            client_ca: self.client_ca.clone(),
            client_optional: self.token_audience.is_some(),
        })
    }

    /// Whether proxies have to prove who they are.
    pub(crate) fn asks_for_proof(&self) -> bool {
        self.client_ca.is_some() || self.token_audience.is_some()
    }
}
