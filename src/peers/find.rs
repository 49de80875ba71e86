//! Finds peers by their names in DNS, and keeps a connection to each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::connect::{PeerTls, connect};
use super::exchange::Shared;
use super::state::MAX_PEERS;
use crate::process::outside::quote;

/// How often names are looked up.
const LOOK: Duration = Duration::from_secs(5);
/// How long a lookup may take.
const LOOKUP: Duration = Duration::from_secs(5);
/// After so many lookups without it, an address is given up.
const MISSED: u8 = 3;
/// The time between two attempts to connect to an address.
const RETRY: Duration = Duration::from_secs(1);
/// How long an address at which this replica met itself is left alone.
const OWN: Duration = Duration::from_secs(60);

/// How peers are found and known.
#[derive(Clone, Debug)]
pub(crate) struct PeerConfig {
    /// Names, or addresses, with ports.
    pub(crate) targets: Vec<(String, u16)>,
    /// `None`: plaintext.
    pub(crate) tls: Option<PeerTls>,
}

/// A peer's address with its connection.
struct Found {
    missed: u8,
    task: AbortOnDropHandle<()>,
}

/// Looks for peers, for ever.
pub(super) async fn find(config: PeerConfig, shared: Arc<Shared>) {
    let mut found: BTreeMap<SocketAddr, Found> = BTreeMap::new();
    let mut trouble = None;
    loop {
        match addresses(&config.targets).await {
            Ok(addresses) => {
                trouble = None;
                found.retain(|address, one| {
                    one.missed = match addresses.contains(address) {
                        true => 0,
                        false => one.missed + 1,
                    };
                    one.missed < MISSED && !one.task.is_finished()
                });
                for address in addresses {
                    if found.len() < 2 * MAX_PEERS && !found.contains_key(&address) {
                        let follow = follow(address, config.tls.clone(), shared.clone());
                        let task = AbortOnDropHandle::new(tokio::spawn(follow));
                        found.insert(address, Found { missed: 0, task });
                    }
                }
            }
            Err(why) => {
                if trouble.as_ref() != Some(&why) {
                    tracing::warn!(why, "peers cannot be found; those that are known stay");
                }
                trouble = Some(why);
            }
        }
        sleep(LOOK.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
    }
}

/// The addresses of all names. A name without any is an error: each replica has one.
async fn addresses(targets: &[(String, u16)]) -> Result<Vec<SocketAddr>, String> {
    let mut addresses = Vec::new();
    for (host, port) in targets {
        let looked = timeout(LOOKUP, lookup_host((host.as_str(), *port))).await;
        let failed = |why: &dyn std::fmt::Display| format!("{host}: {}", quote(&why.to_string()));
        let looked = looked.map_err(|_| failed(&"no answer"))?;
        addresses.extend(looked.map_err(|error| failed(&error))?);
    }
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

/// Keeps a connection to an address, for ever.
async fn follow(address: SocketAddr, tls: Option<PeerTls>, shared: Arc<Shared>) {
    let mut said = None;
    loop {
        let pause = match listen(address, tls.as_ref(), &shared).await {
            Heard::Own => OWN,
            Heard::Failed(why) => {
                let why = quote(&format!("{why:#}"));
                if said.as_ref() != Some(&why) {
                    tracing::info!(peer = %address, why, "no exchange with a peer");
                }
                said = Some(why);
                RETRY
            }
        };
        sleep(pause.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
    }
}

/// How listening to an address ends.
enum Heard {
    /// It is this replica's own.
    Own,
    Failed(anyhow::Error),
}

async fn listen(address: SocketAddr, tls: Option<&PeerTls>, shared: &Shared) -> Heard {
    let mut told = match connect(address, tls).await {
        Ok(told) => told,
        Err(error) => return Heard::Failed(error),
    };
    loop {
        match told.next().await {
            Ok(digest) if shared.is_own(&digest) => return Heard::Own,
            Ok(digest) => shared.heard(digest),
            Err(error) => return Heard::Failed(error),
        }
    }
}
