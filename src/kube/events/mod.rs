//! Writes problems as Events on the objects they are about, for `kubectl describe`: off the way of a change, and of no consequence
//! when it fails.

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

/// How long the API server may take for one Event.
const LIMIT: Duration = Duration::from_secs(10);
/// Of its answer, in bytes: the Event again.
const MAX_ANSWER: usize = 1 << 20;
/// After a failure.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Counts Events; clones share their values.
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

/// What is to be written, and the way to who writes it.
#[derive(Debug)]
pub(super) struct Events {
    problems: watch::Receiver<News>,
    metrics: EventMetrics,
    reports: Reports,
    /// One at a time.
    posts: mpsc::Sender<Post>,
    instance: String,
    /// The last one has not been written yet.
    busy: Option<Instant>,
}

/// An Event and where to post it.
type Post = (String, Value);

impl Events {
    /// Begins to write, as this replica.
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

    /// Takes in which problems these are.
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

    /// Hands over what is due. `uid` knows the objects that exist; of others nothing is said.
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

    /// What was known of the problems is thrown away, and nothing is said of those that stand.
    fn panicked(&mut self) {
        self.metrics.count("failed");
        self.reports = Reports::default();
    }
}

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

/// The log has more of it.
fn panicked() -> Failure {
    Failure::Garbled("writing an Event panicked".to_owned())
}

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
