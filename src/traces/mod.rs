//! One trace of each commit, from the event behind it to the last proxy's answer, for a collector
//! (`--otlp-endpoint`).
//!
//! No way of a change leads through here. Once a second a task looks which commits are over
//! ([`follow`]), and makes spans ([`spans`]) of what the log of commits and the board have of them;
//! another one sends these ([`export`]). The queue between them is bounded: what a collector does
//! not take is dropped and counted.

mod export;
mod follow;
mod spans;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use seaway_xds::{ChangeReport, Inspector, Metrics, NameTraces};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::inspect::board::Board;
use crate::inspect::times::Now;
use crate::process::supervise::{self, Supervisor};
use export::Export;
use follow::Follower;

/// How often commits are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How many spans may wait for the collector.
const QUEUE: usize = 1000;

/// The URL of a collector: a scheme, a host and a port, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CollectorUrl {
    text: String,
    is_https: bool,
}

impl FromStr for CollectorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<CollectorUrl, String> {
        let wrong = || "expected http://HOST:PORT or https://HOST:PORT".to_owned();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        // Of a name and a password the log would tell.
        let is_plain = !authority.as_str().contains('@') && !authority.host().is_empty();
        let is_all = uri.path() == "/" && uri.query().is_none();
        match is_plain && is_all {
            true => Ok(CollectorUrl {
                text: text.to_owned(),
                is_https,
            }),
            false => Err(wrong()),
        }
    }
}

/// Where traces go, and of which commits there are some.
#[derive(Clone, Debug)]
pub(crate) struct TraceConfig {
    /// The collector.
    pub(crate) endpoint: CollectorUrl,
    /// The authorities of its certificate, where it has one.
    pub(crate) ca: PathBuf,
    /// Of how many commits one is traced, of those that were fast.
    pub(crate) one_in: NonZeroU32,
}

/// What traces are made of.
#[derive(Debug)]
pub(crate) struct TraceContext {
    pub(crate) config: TraceConfig,
    /// Why commits were made.
    pub(crate) board: Board,
    /// The log of commits.
    pub(crate) inspector: Inspector,
    /// The name of this replica.
    pub(crate) replica: String,
}

/// Which commits are traced, and by which ids. Both follow from the number of a commit, so that a
/// trace has a name before it is made.
#[derive(Clone, Copy, Debug)]
struct Named {
    one_in: NonZeroU32,
    /// Another one in each process.
    salt: u64,
}

impl Named {
    /// The id of the trace of a commit, if there is one.
    fn id(self, commit: u64) -> u128 {
        // Zero is no id.
        xxh3_128_with_seed(&commit.to_be_bytes(), self.salt).max(1)
    }
}

impl NameTraces for Named {
    fn trace(&self, commit: u64, delay: Duration) -> Option<u128> {
        follow::is_traced(commit, delay, self.one_in).then(|| self.id(commit))
    }
}

/// The label of `otlp_spans_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// How many spans the collector took, and how many it did not.
#[derive(Clone, Debug)]
struct Outcomes {
    sent: Counter,
    dropped: Counter,
}

impl Outcomes {
    fn register(registry: &mut Registry) -> Outcomes {
        let spans = Family::<OutcomeLabel, Counter>::default();
        let help = "Spans that the collector of traces took (sent) or did not take (dropped)";
        registry.register("otlp_spans", help, spans.clone());
        let of = |outcome| spans.get_or_create(&OutcomeLabel { outcome }).clone();
        Outcomes {
            sent: of("sent"),
            dropped: of("dropped"),
        }
    }
}

/// Starts to trace commits, and says to `metrics` which traces there are. Registers
/// `otlp_spans_total{outcome}`.
pub(crate) fn start(
    context: TraceContext,
    metrics: &Metrics,
    registry: &mut Registry,
    supervisor: &Supervisor,
) {
    let named = Named {
        one_in: context.config.one_in,
        salt: fastrand::u64(..),
    };
    metrics.name_traces(Arc::new(named));
    let outcomes = Outcomes::register(registry);
    let (queue, spans) = mpsc::channel(QUEUE);
    let export = Export::new(&context.config, context.replica, outcomes.clone());
    let looker = Looker {
        board: context.board,
        inspector: context.inspector,
        follower: Follower::new(named),
        queue,
        outcomes,
    };
    supervisor.spawn("the look for traces", looker.run());
    supervisor.spawn("the sending of traces", export.run(spans));
}

/// The task that makes spans of commits.
#[derive(Debug)]
struct Looker {
    board: Board,
    inspector: Inspector,
    follower: Follower,
    queue: mpsc::Sender<SpanData>,
    outcomes: Outcomes,
}

impl Looker {
    async fn run(mut self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look();
        }
    }

    /// Makes spans of the commits that are over since the last look.
    fn look(&mut self) {
        let (changes, now) = (
            self.inspector.changes_after(self.follower.passed()),
            Now::read(),
        );
        for change in self.follower.take(changes, now.instant()) {
            let (board, queue, named) = (&self.board, &self.queue, self.follower.named);
            // Nothing that serves depends on it.
            let made = supervise::contained(|| spans_of(&change, named, board, now));
            let made = made.unwrap_or_default();
            // All of a trace or nothing. Nobody else puts anything into the queue.
            if queue.capacity() < made.len() {
                self.outcomes.dropped.inc_by(made.len() as u64);
                continue;
            }
            for span in made {
                if queue.try_send(span).is_err() {
                    self.outcomes.dropped.inc();
                }
            }
        }
    }
}

fn spans_of(change: &ChangeReport, named: Named, board: &Board, now: Now) -> Vec<SpanData> {
    let id = TraceId::from(named.id(change.seq));
    spans::make(change, id, board.cause(change.seq).as_ref(), now)
}

#[cfg(test)]
mod tests;
