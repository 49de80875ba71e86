//! The task of an optional kind: asks by [`discover`] whether the API server serves the kind, runs
//! the kind's watches while it does, and tells the source when it does not.
//!
//! Readiness waits until it is known whether the kind is there, and if it is, for its lists (xDS
//! rules 139, 140). A kind leaves by the word of discovery alone, said twice: then all its objects
//! go at once. An error, a timeout or a missing permission removes nothing (invariant 2). Where a
//! permission is missing for good, readiness does not wait.

use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use seaway_translator::KindInfo;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::client::Client;
use super::discovery::{Finding, discover};
use super::resource::Resource;
use super::watch::{Message, Watch};
use super::wire::Failure;

/// The permission that discovery needs, which Kubernetes gives whoever it knows.
const DISCOVERY: &str = "get of the path /apis, as the ClusterRole system:discovery has it";
/// How long one discovery document may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How patient the watches of optional kinds are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The longest time between two looks for a kind that is absent.
    pub(crate) look: Duration,
    /// The longest time between the two answers by which a kind leaves. One API server of several
    /// may have started a moment ago.
    pub(crate) confirm: Duration,
    /// How long a permission has to be missing before readiness no longer waits. An API server that
    /// starts refuses everything for a moment.
    pub(crate) refused: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            look: Duration::from_secs(30),
            confirm: Duration::from_secs(2),
            refused: Duration::from_secs(5),
        }
    }
}

/// What watches tell the task of their kind: that the kind may have left.
#[derive(Debug)]
pub(super) struct Doubt {
    raised: Notify,
    /// See [`Pace::refused`].
    pub patience: Duration,
}

impl Doubt {
    /// Has the task ask discovery.
    pub(super) fn raise(&self) {
        self.raised.notify_one();
    }
}

/// Since when every answer has been that a permission is missing.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    since: Option<Instant>,
    told: bool,
}

impl Refusals {
    /// Notes a failure. `true` once: the permission has been missing for as long as `patience`.
    pub(super) fn persist(&mut self, failure: &Failure, now: Instant, patience: Duration) -> bool {
        if !failure.is_forbidden() {
            self.end();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let lasting = now.saturating_duration_since(since) >= patience;
        lasting && !std::mem::replace(&mut self.told, true)
    }

    /// Notes an answer of another kind.
    pub(super) fn end(&mut self) {
        self.since = None;
    }
}

/// An optional kind with its watches.
pub(super) struct OptionalKind {
    pub info: KindInfo,
    pub client: Client,
    /// One for each namespace.
    pub watches: Vec<Watch>,
    /// Whether there may be objects of the kind: it is served, or a checkpoint had some.
    pub known: bool,
    pub pace: Pace,
    pub news: mpsc::Sender<Message>,
}

impl OptionalKind {
    /// Looks for the kind and watches it until the receiver of reports is dropped.
    pub(super) async fn run(mut self, mut random: fastrand::Rng) {
        let news = self.news.clone();
        tokio::select! {
            () = news.closed() => {}
            () = self.follow(&mut random) => {}
        }
    }

    async fn follow(&mut self, random: &mut fastrand::Rng) {
        loop {
            self.needed().await;
            let resource = self.find(random).await;
            self.known = true;
            for watch in &self.watches {
                watch.health.served();
            }
            let doubt = Doubt {
                raised: Notify::new(),
                patience: self.pace.refused,
            };
            let watches = self.watches.iter();
            let watches = watches.map(|watch| watch.follow(resource, Some(&doubt), random.fork()));
            // What a watch is about to report when the kind leaves is dropped with it, so nothing
            // of the kind is reported after its end.
            tokio::select! {
                _ = join_all(watches) => return,
                () = self.left(resource, &doubt) => {}
            }
        }
    }

    /// Waits until one of the watches has something to watch for.
    async fn needed(&self) {
        let watches = self.watches.iter();
        let mut needed: FuturesUnordered<_> = watches.map(Watch::needed).collect();
        needed.next().await;
    }

    /// Waits until discovery no longer says that the kind is served in this version.
    async fn left(&self, resource: Resource, doubt: &Doubt) {
        loop {
            doubt.raised.notified().await;
            match discover(&self.client, &self.info, LIMIT).await {
                Ok(Finding::Served(found)) if found == resource => {}
                Ok(_) => return,
                // The watch that doubts asks again, and so does this.
                Err(_) => {}
            }
        }
    }

    /// Asks until the API server serves the kind.
    async fn find(&mut self, random: &mut fastrand::Rng) -> Resource {
        let mut backoff = Backoff::new(random.fork());
        let mut refusals = Refusals::default();
        let mut absences = 0_u32;
        loop {
            let wait = match discover(&self.client, &self.info, LIMIT).await {
                Ok(Finding::Served(resource)) => return resource,
                Ok(Finding::Absent) => {
                    refusals.end();
                    absences = absences.saturating_add(1);
                    let longest = self.absent(absences).await;
                    longest.mul_f64(0.5 + random.f64() / 2.0)
                }
                Err(failure) => {
                    absences = 0;
                    self.failed(&failure, &mut refusals).await;
                    backoff.after(&failure, Instant::now().into_std())
                }
            };
            sleep(wait).await;
        }
    }

    /// Takes in that discovery said so many times in a row that the kind is absent. Returns how
    /// long to wait at most before it is asked again.
    async fn absent(&mut self, times: u32) -> Duration {
        if self.known && times < 2 {
            return self.pace.confirm;
        }
        self.known = false;
        for watch in &self.watches {
            watch.health.absent();
        }
        if times <= 2 {
            // If nobody hears it, nothing waits for it either.
            let _ = self.news.send(Message::Absent(self.info.kind)).await;
        }
        self.pace.look
    }

    async fn failed(&self, failure: &Failure, refusals: &mut Refusals) {
        let lasting = refusals.persist(failure, Instant::now(), self.pace.refused);
        for watch in &self.watches {
            watch.failed(failure, DISCOVERY);
            if lasting {
                watch.forbidden().await;
            }
        }
    }
}
