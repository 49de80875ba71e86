//! Writes what the status of objects should say to the API server, for whoever waits for a Gateway
//! or looks at an Ingress (Gateway rules 98 to 106, Service rule 146). This is off the way of a
//! change; failures have no consequence for what is served.
//!
//! The writer says what has been published. Every replica keeps that in its [`queue`], and the one
//! that holds a Lease ([`lease`](super::lease)) writes: [`mod@request`] reads an object, [`merge`]
//! says what differs; [`definitions`] what a GatewayClass says of the version of Gateway API.
//! Nobody asks for the Lease before the source has listed everything, so that no part of a world is
//! ever shown, nor while there is no object with a status.

mod definitions;
mod merge;
mod metrics;
mod queue;
mod request;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use seaway_translator::{ObjectId, ObjectKind};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::lease::{Place, Seat, Times, candidate};
use super::wire::Failure;
use crate::process::clock::{now, sleep_until};
use crate::writer::StatusNews;
pub(crate) use metrics::StatusMetrics;
use queue::{Job, MOST, Outcome, Queue};

/// The name of the Lease.
const LEASE: &str = "seaway-status";
/// How long the end of the tasks may take.
const LAST: Duration = Duration::from_secs(3);

/// What the writing of status is given when the source starts.
#[derive(Debug)]
pub(crate) struct StatusContext {
    /// Receives what status should say.
    pub(crate) news: watch::Receiver<StatusNews>,
    /// The namespace of the Lease.
    pub(crate) namespace: String,
    /// Counts what becomes of it.
    pub(crate) metrics: StatusMetrics,
}

/// What the source tells the task.
#[derive(Debug, Default)]
struct Heard {
    /// The source has listed everything once.
    synced: bool,
    /// Objects that were created, or created anew: their status may be empty.
    created: BTreeSet<ObjectId>,
}

/// The source's end of the tasks that write status.
#[derive(Debug)]
pub(super) struct StatusTasks {
    heard: watch::Sender<Arc<Mutex<Heard>>>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Whether objects of this kind may have a status of ours.
pub(super) fn has_status(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::GatewayClass
            | ObjectKind::Gateway
            | ObjectKind::HTTPRoute
            | ObjectKind::Ingress
    )
}

impl StatusTasks {
    /// Starts the tasks of the replica `instance`.
    pub(super) fn start(client: &Client, context: StatusContext, instance: &str) -> StatusTasks {
        StatusTasks::with(client, context, instance, Times::default())
    }

    fn with(client: &Client, context: StatusContext, instance: &str, times: Times) -> StatusTasks {
        let place = Place {
            namespace: context.namespace,
            name: LEASE,
        };
        // Several processes of one host, and one that was started again, are told apart.
        let identity = format!("{instance}_{:016x}", fastrand::u64(..));
        let (candidate, seat) = candidate(client.clone(), place, identity, times);
        let (heard, hears) = watch::channel(Arc::default());
        let stop = CancellationToken::new();
        let task = Task {
            client: client.clone(),
            news: context.news,
            heard: hears,
            seat,
            queue: Queue::new(fastrand::Rng::new()),
            metrics: context.metrics,
            synced: false,
            leads: false,
            jobs: FuturesUnordered::new(),
            failing: None,
            missing: BTreeSet::new(),
            look: now() + definitions::EVERY,
        };
        let tasks = vec![
            tokio::spawn(candidate.run(stop.clone())),
            tokio::spawn(ended(task, stop.clone())),
        ];
        StatusTasks { heard, stop, tasks }
    }

    /// Tells that the source has listed everything once.
    pub(super) fn synced(&self) {
        self.tell(|heard| !std::mem::replace(&mut heard.synced, true));
    }

    /// Tells that objects were created, or created anew.
    pub(super) fn created(&self, ids: impl IntoIterator<Item = ObjectId>) {
        self.tell(|heard| {
            let before = heard.created.len();
            heard.created.extend(ids);
            heard.created.len() != before
        });
    }

    fn tell(&self, change: impl FnOnce(&mut Heard) -> bool) {
        self.heard.send_if_modified(|heard| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut heard)
        });
    }

    /// Ends the tasks; the Lease is released.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        let ended = futures::future::join_all(self.tasks);
        let _ = tokio::time::timeout(LAST, ended).await;
    }
}

/// Runs the task until `stop` is cancelled. One that panics gives the Lease to another replica.
async fn ended(task: Task, stop: CancellationToken) {
    let metrics = task.metrics.clone();
    let running = AssertUnwindSafe(task.run()).catch_unwind();
    if let Some(Err(_)) = stop.run_until_cancelled(running).await {
        tracing::error!(
            source = "kube",
            "writing status panicked: this replica writes none any more"
        );
        stop.cancel();
    }
    metrics.show(false, 0);
}

/// A status that is being written.
type Running = Pin<Box<dyn Future<Output = (ObjectId, Outcome)> + Send>>;

/// The task that writes status while this replica is the leader.
struct Task {
    client: Client,
    news: watch::Receiver<StatusNews>,
    heard: watch::Receiver<Arc<Mutex<Heard>>>,
    seat: Seat,
    queue: Queue,
    metrics: StatusMetrics,
    synced: bool,
    leads: bool,
    jobs: FuturesUnordered<Running>,
    /// The failure that was logged last, until a write succeeds.
    failing: Option<Failure>,
    /// The kinds of which a missing permission was logged.
    missing: BTreeSet<ObjectKind>,
    /// When the status of GatewayClasses is looked at again.
    look: Instant,
}

impl Task {
    async fn run(mut self) {
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
            () = changed(&mut self.heard) => self.hear(now()),
            () = self.seat.changed() => {}
            Some((id, outcome)) = self.jobs.next() => self.done(&id, &outcome),
            () = sleep_until(until) => {}
            () = sleep_until(next) => {}
            () = sleep_until(Some(self.look)) => {
                self.look = now() + definitions::EVERY;
                self.queue.again_of(ObjectKind::GatewayClass, now());
            }
        }
    }

    fn hear(&mut self, now: Instant) {
        let heard = self.heard.borrow_and_update().clone();
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        self.synced |= heard.synced;
        self.queue.again(std::mem::take(&mut heard.created), now);
    }

    /// Begins what is due.
    fn work(&mut self, now: Instant) {
        if self.synced && self.queue.needs_leader() {
            self.seat.stand();
        }
        let leads = self.seat.until(now).is_some();
        if std::mem::replace(&mut self.leads, leads) != leads {
            tracing::info!(source = "kube", leads, "the replica that writes status");
        }
        self.queue.lead(leads, now);
        while self.jobs.len() < MOST
            && let Some(job) = self.queue.take(now)
        {
            self.jobs.push(running(self.client.clone(), job));
        }
        self.metrics.show(leads, self.queue.len());
    }

    fn done(&mut self, id: &ObjectId, outcome: &Outcome) {
        self.metrics.count(outcome);
        self.queue.done(id, outcome, now());
        match outcome {
            Outcome::Failed(failure) if failure.is_forbidden() => self.forbidden(id.kind, failure),
            Outcome::Failed(failure) => {
                if self.failing.as_ref() != Some(failure) {
                    tracing::warn!(source = "kube", object = %id, %failure, "a status cannot be written");
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
    fn forbidden(&mut self, kind: ObjectKind, failure: &Failure) {
        if self.missing.insert(kind) {
            let (plural, group) = (kind.plural(), kind.info().group());
            let why = format!(
                "{failure}; missing permission: get and patch of {plural}/status in the API group {group:?}"
            );
            tracing::warn!(source = "kube", why, "no status is written to {plural}");
        }
    }
}

/// Waits until there is something new on a channel whose sender may have gone.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Writes one status; a panic is a failure of that object.
fn running(client: Client, job: Job) -> Running {
    Box::pin(async move {
        let written = AssertUnwindSafe(request::write(&client, &job)).catch_unwind();
        let outcome = written.await.unwrap_or_else(|_| {
            // Of an answer that would be refused for this object alone.
            Outcome::Failed(Failure::Endless("writing a status panicked".to_owned()))
        });
        (job.id, outcome)
    })
}

#[cfg(test)]
mod tests;
