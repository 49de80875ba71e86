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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn parse(flags: &str) -> ServeArgs {
        let line = format!("seaway serve {flags}");
        match Cli::try_parse_from(line.split_whitespace())
            .unwrap()
            .command
        {
            Command::Serve(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replicas_that_could_not_know_each_other_are_told_what_is_missing() {
        let secured = "--peers b:18000 --tls-cert c --tls-key k";
        let proven = "--token-audience seaway --allow-proxy node=serviceaccount:a/b";
        let peer = "--allow-peer serviceaccount:a/c";
        for (flags, missing) in [
            (String::new(), None),
            ("--peers b:18000".to_owned(), None),
            (secured.to_owned(), Some("--peers-ca")),
            (format!("{secured} --peers-ca a"), None),
            (
                format!("{secured} {proven} --peers-ca a"),
                Some("--allow-peer"),
            ),
            (
                format!("{secured} {proven} --peers-ca a {peer}"),
                Some("--peers-token-file"),
            ),
            (
                format!("{secured} {proven} --peers-ca a {peer} --peers-token-file t"),
                None,
            ),
            (
                format!("{secured} {proven} --peers-ca a {peer} --peers-cert c --peers-key k"),
                None,
            ),
        ] {
            let args = parse(&flags);
            let found = check(&args.peers, &args.security).err();
            let found = found.map(|failure| failure.to_string());
            let fits = match (&found, missing) {
                (None, None) => true,
                (Some(found), Some(missing)) => found.contains(missing),
                _ => false,
            };
            assert!(fits, "{flags}: {found:?}");
        }
    }

    #[test]
    fn certificates_have_the_name_of_the_first_peer_unless_it_is_said() {
        let name = |flags: &str| parse(flags).peers.config()?.tls.map(|tls| tls.name);
        let tls = "--tls-cert c --tls-key k --peers-ca a";
        let peers = "--peers seaway-peers.seaway.svc:18000 --peers 10.0.0.7:1";
        let found = name(&format!("{tls} {peers}"));
        assert_eq!(found.as_deref(), Some("seaway-peers.seaway.svc"));
        let found = name(&format!(
            "{tls} {peers} --peers-server-name seaway.seaway.svc"
        ));
        assert_eq!(found.as_deref(), Some("seaway.seaway.svc"));
        assert_eq!(name(peers), None);
        assert_eq!(parse("").peers.config().map(|config| config.targets), None);
    }
}
