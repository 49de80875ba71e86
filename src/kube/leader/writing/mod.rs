//! Writes to the API server what one replica alone is to write: the one that holds the Lease
//! ([`lease`](super::lease)). This is off the way of a change; failures have no consequence for
//! what is served.
//!
//! The writer says what has been published. Every replica keeps that in its [`queue`], and the
//! leader does the [`Work`] that is due, object by object. Nobody asks for the Lease before the
//! source has listed everything, nor while there is nothing to write.

mod metrics;
mod queue;
mod request;

use std::collections::BTreeSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use seaway_translator::{ObjectId, ObjectKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::lease::Seat;
use crate::kube::client::Client;
use crate::kube::wire::Failure;
use crate::process::clock::{now, sleep_until};
use crate::writer::LeaderNews;
pub(crate) use metrics::WriteMetrics;
pub(super) use queue::{Job, Outcome, Wanted};
use queue::{MOST, Queue};
pub(super) use request::{MANAGER, Place, READS, ask, patching, send, settled, version};

/// What is written, and how.
pub(super) trait Work: Send + 'static {
    /// What an object is to become.
    type Target: Clone + PartialEq + fmt::Debug + Send + Sync + 'static;

    /// What is written, for the log.
    const WHAT: &'static str;

    /// Of which kind the objects are looked at again although nothing has changed, and how often.
    const LOOK_AGAIN: Option<(ObjectKind, Duration)> = None;

    /// Whether there may be something to write for an object of this kind.
    fn concerns(kind: ObjectKind, wanted: Wanted<'_, Self::Target>) -> bool;

    /// Writes one object.
    fn write(client: &Client, job: &Job<Self::Target>) -> impl Future<Output = Outcome> + Send;

    /// The permission without which objects of this kind cannot be written.
    fn permission(id: &ObjectId) -> String;
}

/// Objects that were created, or created anew: they may lack what was written.
pub(super) type Created = Arc<Mutex<BTreeSet<ObjectId>>>;

/// What the source tells the task.
#[derive(Debug)]
pub(super) struct Hears {
    /// Whether the source has listed everything once.
    pub synced: watch::Receiver<bool>,
    /// Objects that were created.
    pub created: watch::Receiver<Created>,
}

/// An object that is being written.
type Running = Pin<Box<dyn Future<Output = (ObjectId, Outcome)> + Send>>;

/// The task that writes while this replica is the leader.
pub(super) struct Task<W: Work> {
    client: Client,
    news: watch::Receiver<LeaderNews<W::Target>>,
    hears: Hears,
    seat: Seat,
    queue: Queue<W::Target>,
    metrics: WriteMetrics,
    leads: bool,
    jobs: FuturesUnordered<Running>,
    /// The failure that was logged last, until a write succeeds.
    failing: Option<Failure>,
    /// The kinds of which a missing permission was logged.
    missing: BTreeSet<ObjectKind>,
    /// When the objects of [`Work::LOOK_AGAIN`] are looked at again.
    look: Option<Instant>,
}

impl<W: Work> Task<W> {
    /// A task with nothing to write yet.
    pub(super) fn new(
        client: Client,
        news: watch::Receiver<LeaderNews<W::Target>>,
        hears: Hears,
        seat: Seat,
        metrics: WriteMetrics,
    ) -> Task<W> {
        Task {
            client,
            news,
            hears,
            seat,
            queue: Queue::new(W::concerns, fastrand::Rng::new()),
            metrics,
            leads: false,
            jobs: FuturesUnordered::new(),
            failing: None,
            missing: BTreeSet::new(),
            look: W::LOOK_AGAIN.map(|(_, every)| now() + every),
        }
    }

    /// Runs until `stop` is cancelled. A task that panics gives the Lease to another replica.
    pub(super) async fn run(self, stop: CancellationToken) {
        let metrics = self.metrics.clone();
        let running = AssertUnwindSafe(self.go_on()).catch_unwind();
        if let Some(Err(_)) = stop.run_until_cancelled(running).await {
            tracing::error!(
                source = "kube",
                what = W::WHAT,
                "writing panicked: this replica writes nothing any more"
            );
            stop.cancel();
        }
        metrics.show(false, 0);
    }

    async fn go_on(mut self) {
        loop {
            self.step().await;
            self.work(now());
        }
    }

    /// Waits for one thing to take in, and takes it in.
    async fn step(&mut self) {
        let until = self.seat.until(now());
        let next = self.queue.next(now());
        tokio::select! {
            () = changed(&mut self.news) => {
                let changes = self.news.borrow_and_update().take();
                self.queue.hear(changes, now());
            }
            () = changed(&mut self.hears.synced) => {}
            () = changed(&mut self.hears.created) => self.hear(now()),
            () = self.seat.changed() => {}
            Some((id, outcome)) = self.jobs.next() => self.done(&id, &outcome),
            () = sleep_until(until) => {}
            () = sleep_until(next) => {}
            () = sleep_until(self.look) => {
                if let Some((kind, every)) = W::LOOK_AGAIN {
                    self.look = Some(now() + every);
                    self.queue.again_of(kind, now());
                }
            }
        }
    }

    fn hear(&mut self, now: Instant) {
        let created = self.hears.created.borrow_and_update().clone();
        let mut created = created.lock().unwrap_or_else(PoisonError::into_inner);
        self.queue.again(std::mem::take(&mut *created), now);
    }

    /// Begins what is due.
    fn work(&mut self, now: Instant) {
        if *self.hears.synced.borrow() && self.queue.needs_leader() {
            self.seat.stand();
        }
        let leads = self.seat.until(now).is_some();
        if std::mem::replace(&mut self.leads, leads) != leads {
            tracing::info!(
                source = "kube",
                leads,
                what = W::WHAT,
                "the replica that writes"
            );
        }
        self.queue.lead(leads, now);
        while self.jobs.len() < MOST
            && let Some(job) = self.queue.take(now)
        {
            self.jobs.push(running::<W>(self.client.clone(), job));
        }
        self.metrics.show(leads, self.queue.len());
    }

    fn done(&mut self, id: &ObjectId, outcome: &Outcome) {
        self.metrics.count(outcome);
        self.queue.done(id, outcome, now());
        match outcome {
            Outcome::Failed(failure) if failure.is_forbidden() => self.forbidden(id, failure),
            Outcome::Failed(failure) => {
                if self.failing.as_ref() != Some(failure) {
                    let what = W::WHAT;
                    tracing::warn!(source = "kube", what, object = %id, %failure, "it cannot be written");
                }
                self.failing = Some(failure.clone());
            }
            Outcome::Written | Outcome::Unchanged => {
                self.failing = None;
                self.missing.remove(&id.kind);
            }
            Outcome::Gone | Outcome::Conflict => {}
        }
    }

    /// Says once which permission is missing.
    fn forbidden(&mut self, id: &ObjectId, failure: &Failure) {
        if self.missing.insert(id.kind) {
            let why = format!("{failure}; missing permission: {}", W::permission(id));
            let (what, kind) = (W::WHAT, id.kind.plural());
            tracing::warn!(source = "kube", what, kind, why, "nothing is written");
        }
    }
}

/// Waits until there is something new on a channel whose sender may have gone.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Writes one object; a panic is a failure of that object.
fn running<W: Work>(client: Client, job: Job<W::Target>) -> Running {
    Box::pin(async move {
        let written = AssertUnwindSafe(W::write(&client, &job)).catch_unwind();
        let outcome = written.await.unwrap_or_else(|_| {
            // Of an answer that would be refused for this object alone.
            Outcome::Failed(Failure::Endless(format!("writing {} panicked", W::WHAT)))
        });
        (job.id, outcome)
    })
}
