//! The health of the process: not ready before the first sync (invariant 1) and after the first
//! signal; stale while a checkpoint that the source has not confirmed is served.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use k8s_openapi::jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

/// The shared state of readiness: set by the writer, the sources and the signal handler; read by
/// the admin server and by admission. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<State>);

/// The state that clones of [`Health`] share.
#[derive(Debug, Default)]
struct State {
    synced: AtomicBool,
    draining: AtomicBool,
    awaits_secrets: AtomicBool,
    /// This replica is stale, and others that are not serve its proxies.
    out: AtomicBool,
    /// A fresh peer has what this replica lacks.
    behind: AtomicBool,
    /// What peers say of this replica, and it of them.
    among_peers: Mutex<Vec<String>>,
    /// Whether proxies are to be served, for those who wait for that.
    serving: watch::Sender<bool>,
    stale: Mutex<Option<Stale>>,
    /// 1 while there is a [`Stale`].
    world_stale: Gauge,
}

/// Why the world that is served is stale: it comes from a checkpoint that the source has not
/// confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stale {
    /// When the checkpoint was written.
    pub(crate) written: SystemTime,
    /// Why the source cannot confirm it, in one line.
    pub(crate) why: String,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = moment(self.written);
        write!(f, "serving the checkpoint of {written}; {}", self.why)
    }
}

/// A time as text, in UTC, to the second.
pub(crate) fn moment(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok();
    let seconds = seconds.and_then(|since| i64::try_from(since.as_secs()).ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
}

impl Health {
    /// Registers `world_stale`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help =
            "1 while what is served comes from a checkpoint that the source has not confirmed";
        registry.register("world_stale", help, self.0.world_stale.clone());
    }

    /// Notes that the whole world has been published once.
    pub(crate) fn set_synced(&self) {
        self.0.synced.store(true, Ordering::Release);
        self.tell();
    }

    /// Tells those who wait for it whether proxies are to be served.
    fn tell(&self) {
        let ready = self.ready().is_ok();
        let changed = |told: &mut bool| std::mem::replace(told, ready) != ready;
        self.0.serving.send_if_modified(changed);
    }

    /// Whether the whole world has been published once.
    pub(crate) fn is_synced(&self) -> bool {
        self.0.synced.load(Ordering::Acquire)
    }

    /// Sets or clears the state "stale": what is published from now on comes from a checkpoint, or
    /// with `None` from the source itself. It is set before such an update is sent, and cleared
    /// after the source's own.
    pub(crate) fn set_stale(&self, stale: Option<Stale>) {
        let mut now = self.lock();
        self.0.world_stale.set(i64::from(stale.is_some()));
        *now = stale;
    }

    /// Whether what is served comes from a checkpoint, and why.
    pub(crate) fn stale(&self) -> Option<Stale> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stale>> {
        self.0.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether objects name Secrets that have yet to be read.
    pub(crate) fn set_awaits_secrets(&self, awaits: bool) {
        self.0.awaits_secrets.store(awaits, Ordering::Release);
    }

    /// Whether proxies that show certificates are to be served; the error says why not.
    pub(crate) fn has_secrets(&self) -> Result<(), &'static str> {
        match self.0.awaits_secrets.load(Ordering::Acquire) {
            true => {
                Err("ingress proxies wait: the Secrets that objects name have not been read yet")
            }
            false => Ok(()),
        }
    }

    /// Notes where this replica stands among its peers: whether it leaves its proxies to them,
    /// whether it lacks what they have, and lines that say more.
    pub(crate) fn set_among_peers(&self, out: bool, behind: bool, lines: Vec<String>) {
        self.0.out.store(out, Ordering::Release);
        self.0.behind.store(behind, Ordering::Release);
        let among_peers = &self.0.among_peers;
        *among_peers.lock().unwrap_or_else(PoisonError::into_inner) = lines;
        self.tell();
    }

    /// Whether a fresh peer has what this replica lacks.
    pub(crate) fn is_behind(&self) -> bool {
        self.0.behind.load(Ordering::Acquire)
    }

    /// Lines about this replica and its peers.
    pub(crate) fn among_peers(&self) -> Vec<String> {
        let lines = self.0.among_peers.lock();
        lines.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the process is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Notes that the process is about to end.
    pub(crate) fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Release);
        self.tell();
    }

    /// Whether proxies are to be served, from now on.
    pub(crate) fn serving(&self) -> watch::Receiver<bool> {
        self.0.serving.subscribe()
    }

    /// Whether proxies are to be served; the error says why not.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        if self.0.draining.load(Ordering::Acquire) {
            return Err("draining: this process is about to end");
        }
        if !self.is_synced() {
            return Err("not synced: the source has not been read completely yet");
        }
        if self.0.out.load(Ordering::Acquire) {
            return Err("out of service: this replica is STALE, and fresh ones serve");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_until_proxies_are_served_is_told_and_also_of_the_end() {
        let health = Health::default();
        let mut serving = health.serving();
        assert!(!*serving.borrow_and_update());
        health.set_synced();
        assert!(serving.has_changed().is_ok_and(|changed| changed));
        assert!(*serving.borrow_and_update());
        health.set_draining();
        assert!(!*serving.borrow_and_update());
        // What is still published does not change that.
        health.set_synced();
        assert!(!*serving.borrow_and_update());
    }

    #[test]
    fn a_stale_world_says_of_when_it_is_and_why() {
        let stale = Stale {
            written: SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_600_000_000_900),
            why: "the folder cannot be read".to_owned(),
        };
        let expected = "serving the checkpoint of 2020-09-13T12:26:40Z; the folder cannot be read";
        assert_eq!(stale.to_string(), expected);
        let (health, mut registry) = (Health::default(), Registry::default());
        health.register(&mut registry);
        let shown = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text.contains("\nworld_stale 1\n")
        };
        assert!(!shown());
        health.set_stale(Some(stale.clone()));
        assert_eq!((health.stale(), shown()), (Some(stale), true));
        health.set_stale(None);
        assert_eq!((health.stale(), shown()), (None, false));
    }
}
