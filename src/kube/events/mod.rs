//! Writes problems as Kubernetes Events on the objects they are about, for `kubectl describe`. This
//! is off the way of a change; failures have no consequence.

mod reports;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use k8s_openapi::jiff::Timestamp;
use kube::api::{PostParams, Request};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use seaway_translator::ObjectId;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::client::{Client, within};
use super::wire::{self, Failure};
use crate::process::supervise::contained;
use crate::writer::News;
use reports::Reports;

/// How long the API server may take to create one Event.
const LIMIT: Duration = Duration::from_secs(10);
/// The largest response to that in bytes, which has the Event again.
const MAX_ANSWER: usize = 1 << 20;
/// How long no Event is written after a failure.
const PAUSE: Duration = Duration::from_secs(30);

/// The label `outcome` of `events_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The metric `events_total`, which counts Events by outcome. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventMetrics(Family<OutcomeLabel, Counter>);

impl EventMetrics {
    /// Registers `events_total{outcome}`.
    pub(crate) fn register(registry: &mut Registry) -> EventMetrics {
        let metrics = EventMetrics::default();
        let help =
            "Events about problems, by outcome: written, known (by another replica) or failed";
        registry.register("events", help, metrics.0.clone());
        for outcome in ["written", "known", "failed"] {
            drop(metrics.0.get_or_create(&OutcomeLabel { outcome }));
        }
        metrics
    }

    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

/// Writes problems as Events: keeps which ones are due, and hands them to the task that posts them.
#[derive(Debug)]
pub(super) struct Events {
    problems: watch::Receiver<News>,
    metrics: EventMetrics,
    reports: Reports,
    /// The channel to the posting task, which holds one Event.
    posts: mpsc::Sender<Post>,
    instance: String,
    /// Set when the channel was full: when to try again.
    busy: Option<Instant>,
}

/// An Event as JSON, with the path to post it to.
type Post = (String, Value);

impl Events {
    /// Starts the posting task. `instance` is this replica's name in the Events.
    pub(super) fn start(
        client: Client,
        problems: watch::Receiver<News>,
        instance: String,
        metrics: EventMetrics,
    ) -> Events {
        let (posts, posted) = mpsc::channel(1);
        tokio::spawn(post_all(client, posted, metrics.clone()));
        Events {
            problems,
            metrics,
            reports: Reports::default(),
            posts,
            instance,
            busy: None,
        }
    }

    /// Waits until problems have appeared or ended; [`Events::settle`] is to follow.
    pub(super) async fn changed(&mut self) {
        if self.problems.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes in the problems that appeared or ended.
    pub(super) fn settle(&mut self) {
        let changes = self.problems.borrow_and_update().take();
        if contained(|| self.reports.settle(changes)).is_none() {
            self.panicked();
        }
    }

    /// When [`Events::write`] has something to do.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let due = self.reports.due(now)?;
        Some(self.busy.map_or(due, |busy| due.max(busy)))
    }

    /// Hands a due Event to the posting task. `uid` gives the uid of an object that exists; for
    /// others no Event is written.
    pub(super) fn write<'w>(&mut self, now: Instant, uid: impl Fn(&ObjectId) -> Option<&'w str>) {
        if self.posts.capacity() == 0 {
            self.busy = Some(now + Duration::from_millis(100));
            return;
        }
        self.busy = None;
        let (reports, instance) = (&mut self.reports, &self.instance);
        let event = || {
            let report = reports.take(now)?;
            let uid = uid(&report.id)?;
            Some(report.event(uid, instance, Timestamp::now()))
        };
        match contained(event) {
            // Nobody else sends, so there is room.
            Some(Some(event)) => drop(self.posts.try_send(event)),
            Some(None) => {}
            None => self.panicked(),
        }
    }

    /// Counts a panic as a failure and forgets all problems, so that no Events are written about
    /// those that stand.
    fn panicked(&mut self) {
        self.metrics.count("failed");
        self.reports = Reports::default();
    }
}

/// Posts Events one at a time until the channel closes.
async fn post_all(client: Client, mut posts: mpsc::Receiver<Post>, metrics: EventMetrics) {
    let mut failing: Option<Failure> = None;
    while let Some((path, event)) = posts.recv().await {
        let posted = AssertUnwindSafe(post(&client, path, &event)).catch_unwind();
        match posted.await.unwrap_or_else(|_| Err(panicked())) {
            Ok(outcome) => {
                metrics.count(outcome);
                failing = None;
            }
            Err(failure) => {
                metrics.count("failed");
                if failing.as_ref() != Some(&failure) {
                    tracing::warn!(source = "kube", %failure, "Events about problems cannot be written");
                }
                failing = Some(failure);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The failure that stands for a panic, of which the log has more.
fn panicked() -> Failure {
    Failure::Garbled("writing an Event panicked".to_owned())
}

/// Creates one Event; returns the outcome for the metric.
async fn post(client: &Client, path: String, event: &Value) -> Result<&'static str, Failure> {
    let body = event.to_string().into_bytes();
    let request = Request::new(path.as_str()).create(&PostParams::default(), body)?;
    let answer = within(LIMIT, client.whole(request, MAX_ANSWER)).await;
    let read = |text: Vec<u8>| wire::parse::<IgnoredAny>(&text, "events.k8s.io/v1", "Event");
    match answer.and_then(read) {
        Ok(_) => Ok("written"),
        Err(Failure::Refused { code: 409, .. }) => Ok("known"),
        Err(failure) => Err(failure.at(&client.place(&path))),
    }
}
