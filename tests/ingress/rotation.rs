//! Certificates that are replaced under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{Ask, Connection, IngressManifest, Inside, Tls, eventually, join};

use crate::case::Case;
use crate::certificates::certificate;
use crate::edge::{Edge, port_443};

const HOST: &str = "rotated.test";
/// How often the certificate is replaced.
const ROUNDS: usize = 100;

/// Requests over new connections and over one that stays, one after the other until it is told to
/// stop. The first failure ends it.
struct Load {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: Inside<Result<()>>,
}

impl Load {
    fn start(edge: &Edge<'_>, tls: Tls) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let (stopped, counted) = (stop.clone(), count.clone());
        let thread = edge.world.fabric().thread("load", move || {
            let ask = Ask::get(HOST, "/");
            let mut kept = Connection::secured_here(port_443(), &tls)?;
            while !stopped.load(Ordering::Relaxed) {
                let mut new = Connection::secured_here(port_443(), &tls)?;
                for connection in [&mut new, &mut kept] {
                    let reply = connection.ask(&ask)?;
                    ensure!(reply.status == 200, "{reply:?}");
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })?;
        Ok(Self {
            stop,
            count,
            thread,
        })
    }

    /// Waits for requests that begin after this.
    fn goes_on(&self) -> Result<()> {
        let wanted = self.count.load(Ordering::Relaxed) + 2;
        eventually("the load to go on", || {
            let count = self.count.load(Ordering::Relaxed);
            ensure!(count >= wanted, "{count} of {wanted}");
            Ok(())
        })
    }

    fn stop(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join()??;
        Ok(self.count.load(Ordering::Relaxed))
    }
}

/// Gateway rule 37, GW052: a certificate is replaced a hundred times under load. No request fails,
/// connections live on, new ones are shown the new certificate, and no listener is sent.
#[test]
fn gw052_a_rotation_is_noticed_by_nobody() -> Result<()> {
    let ca = Ca::new("rotation")?;
    let ingress = IngressManifest::new("i").secured(&[HOST], "rotated");
    let ingress = ingress.host(HOST).path("Prefix", "/", "s1").document();
    let (first, _) = certificate(&ca, "rotated", &[HOST])?;
    let case = Case::new("GW052").with(join([ingress]));
    let secret = Case::new("secret").with(first);
    Edge::in_all_ways(&[case, secret], |edge| {
        let tls = Tls::new(&ca, HOST)?;
        eventually("the first certificate", || edge.secured(&tls).map(drop))?;
        let listeners = edge.world.sent()?["Listener"];
        let loads = [
            Load::start(edge, tls.clone())?,
            Load::start(edge, tls.clone().http2())?,
        ];
        for _ in 0..ROUNDS {
            let (next, leaf) = certificate(&ca, "rotated", &[HOST])?;
            edge.save("secret.yaml", &next)?;
            eventually("the new certificate", || {
                let connection = edge.secured(&tls)?;
                ensure!(connection.certificate() == leaf.der(), "it is the old one");
                Ok(())
            })?;
            loads.iter().try_for_each(Load::goes_on)?;
        }
        for load in loads {
            let count = load.stop()?;
            ensure!(count > ROUNDS, "only {count} requests");
        }
        ensure!(edge.world.sent()?["Listener"] <= listeners);
        Ok(())
    })
}
