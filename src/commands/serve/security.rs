//! Turns the identity flags into the security of the xDS port: whether its address may be exposed,
//! its TLS, and the authentication of proxies.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use seaway_xds::Limits;

use crate::admin::Configs;
use crate::admission::identity::Verifier;
use crate::admission::tls::Follower;
use crate::args::SecurityArgs;
use crate::commands::serve::input::Input;
use crate::inspect::Readers;
use crate::process::exit::Failure;
use crate::process::supervise::Supervisor;

/// Refuses to serve unauthenticated clients beyond this host, since they would see how the cluster
/// looks from inside.
///
/// # Errors
/// One line that says what would be exposed, and what to do.
pub(crate) fn check(address: SocketAddr, security: &SecurityArgs) -> Result<(), Failure> {
    if !security.asks_for_proof() && !security.allow_proxy.is_empty() {
        return Err(Failure::unusable(
            "--allow-proxy allows nobody anything as long as nobody has to prove who he is; add --client-ca or --token-audience",
        ));
    }
    if !security.asks_for_proof() && !security.admin_allow.is_empty() {
        return Err(Failure::unusable(
            "--admin-allow names nobody who could prove who he is; add --client-ca or --token-audience",
        ));
    }
    if security.insecure || security.asks_for_proof() || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let line = match security.tls_cert {
        None => format!(
            "--xds-listen {address} would serve proxies in plain text beyond this host; add --tls-cert, --tls-key and --client-ca or --token-audience, or --insecure to allow it"
        ),
        Some(_) => format!(
            "--xds-listen {address} would serve any proxy beyond this host; add --client-ca or --token-audience, or --insecure to allow it"
        ),
    };
    Err(Failure::unusable(line))
}

/// The security of the xDS port as the flags ask for it: TLS, authentication, limits.
pub(crate) struct Secured {
    /// The TLS configuration; `None` is plaintext.
    pub(crate) tls: Option<Configs>,
    /// Authenticates proxies; `None` if no proof is asked for.
    pub(crate) verifier: Option<Arc<Verifier>>,
    /// Who may ask on the admin port over TLS; `None` if it has none.
    pub(crate) readers: Option<Readers>,
    /// Limits of connections and streams.
    pub(crate) limits: Limits,
}

impl Secured {
    /// The TLS configuration of the admin port; `None` if nobody may ask there over TLS.
    pub(crate) fn admin_tls(&self) -> Option<Configs> {
        self.readers.as_ref().and(self.tls.clone())
    }

    /// Reads the certificates, and follows them from then on.
    ///
    /// # Errors
    /// They cannot be used.
    pub(crate) fn start(
        args: &SecurityArgs,
        input: &Input,
        registry: &mut Registry,
        supervisor: &Supervisor,
    ) -> Result<Secured, Failure> {
        let follower = args.files().map(|files| Follower::start(files, registry));
        let (follower, tls) = follower.transpose().map_err(Failure::Unusable)?.unzip();
        let audience = args.token_audience.as_deref();
        let verifier = args.asks_for_proof().then(|| {
            Arc::new(Verifier {
                rules: args.allow_proxy.clone(),
                tokens: audience.and_then(|audience| input.tokens(audience, registry, supervisor)),
            })
        });
        if let Some(follower) = follower {
            supervisor.spawn("following the certificates", follower.run());
        }
        let allowed = (!args.admin_allow.is_empty()).then(|| args.admin_allow.clone().into());
        let readers = verifier.clone().zip(allowed);
        let readers = readers.map(|(verifier, allowed)| Readers { verifier, allowed });
        Ok(Secured {
            tls,
            verifier,
            readers,
            limits: Limits {
                connections: (args.max_connections > 0).then_some(args.max_connections),
                connections_per_identity: args.max_connections_per_identity,
                streams_per_identity: args.max_streams_per_identity,
                first_syncs_per_identity: args.first_syncs_per_identity,
                ..Limits::default()
            },
        })
    }
}
