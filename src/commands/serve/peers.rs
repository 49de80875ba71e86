//! Starts the exchange with the other replicas, if the flags name any.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use seaway_translator::Options;
use seaway_xds::Snapshots;
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_64;

use super::instance;
use crate::admin::health::Health;
use crate::admin::watch_status::Watches;
use crate::admission::identity::Verifier;
use crate::args::{PeerArgs, SecurityArgs, ServeArgs};
use crate::peers::{Exchange, PeersContext};
use crate::process::exit::Failure;
use crate::process::supervise::Supervisor;
use crate::writer::Published;

/// The parts of the process that the exchange looks at.
pub(super) struct Surroundings {
    pub(super) verifier: Option<Arc<Verifier>>,
    pub(super) health: Health,
    pub(super) watches: Watches,
    pub(super) snapshots: Snapshots,
    pub(super) published: watch::Sender<Published>,
}

/// Checks that replicas can know each other.
///
/// # Errors
/// One line that says what is missing.
pub(super) fn check(peers: &PeerArgs, security: &SecurityArgs) -> Result<(), Failure> {
    let missing = match () {
        () if peers.peers.is_empty() => return Ok(()),
        () if security.tls_cert.is_some() && peers.peers_ca.is_none() => {
            "--peers-ca: the xDS port of other replicas has TLS"
        }
        () if security.asks_for_proof() && peers.allow_peer.is_empty() => {
            "--allow-peer: other replicas have to prove who they are"
        }
        () if security.asks_for_proof()
            && peers.peers_token_file.is_none()
            && peers.peers_cert.is_none() =>
        {
            "--peers-token-file or --peers-cert: this replica has to prove to others who it is"
        }
        () => return Ok(()),
    };
    Err(Failure::unusable(format!("--peers needs {missing}")))
}

/// Starts the exchange; `None` if there are no peers.
pub(super) fn start(
    args: &ServeArgs,
    options: &Options,
    registry: &mut Registry,
    supervisor: &Supervisor,
    around: Surroundings,
) -> Option<Exchange> {
    let config = args.peers.config()?;
    let source = (&args.source.namespace, &args.source.service_selector);
    let flags = format!("{options:?}{source:?}");
    let context = PeersContext {
        config,
        verifier: around.verifier,
        allowed: args.peers.allow_peer.clone(),
        name: instance(),
        flags: xxh3_64(flags.as_bytes()),
        health: around.health,
        watches: around.watches,
        snapshots: around.snapshots,
        published: around.published.subscribe(),
    };
    Some(Exchange::start(context, registry, supervisor))
}
