//! The spans of a commit, made of what is known of it when it is over. What clients are called is
//! in none of them.

use std::borrow::Cow;
use std::time::Instant;

use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use seaway_xds::{ChangeReport, TypeChangeReport};

use super::follow::{PATIENCE, answered};
use crate::inspect::times::Now;
use crate::inspect::types;
use crate::writer::CommitCause;

/// The spans of a commit: the whole, how it was made, and how each type came to proxies.
pub(super) fn make(
    change: &ChangeReport,
    id: TraceId,
    cause: Option<&CommitCause>,
    now: Now,
) -> Vec<SpanData> {
    let given_up = now.instant().min(change.committed + PATIENCE);
    let end = answered(change).unwrap_or(given_up);
    let trace = Trace {
        id,
        root: SpanId::from(fastrand::u64(1..)),
        now,
    };
    let mut commit = trace.span("commit", change.at, end);
    commit.span_context = trace.context(trace.root);
    commit.parent_span_id = SpanId::INVALID;
    commit.attributes = of_commit(change, cause);
    commit.status = status(
        change.types.iter().any(|of| of.rejected > 0),
        change.types.iter().any(|of| of.waiting > 0),
    );
    let made = trace.span("translate and publish", change.at, change.committed);
    let concerned = change.types.iter().filter(|of| of.concerned > 0);
    let delivered = concerned.map(|of| trace.delivery(of, change.committed, given_up));
    [commit, made].into_iter().chain(delivered).collect()
}

/// What the spans of a commit have in common.
struct Trace {
    id: TraceId,
    /// The span of the whole commit.
    root: SpanId,
    now: Now,
}

impl Trace {
    fn context(&self, id: SpanId) -> SpanContext {
        SpanContext::new(
            self.id,
            id,
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        )
    }

    /// A part of the commit.
    fn span(&self, name: impl Into<Cow<'static, str>>, from: Instant, to: Instant) -> SpanData {
        SpanData {
            span_context: self.context(SpanId::from(fastrand::u64(1..))),
            parent_span_id: self.root,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: self.now.time(from),
            end_time: self.now.time(to.max(from)),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("seaway").build(),
        }
    }

    /// How a type came to the proxies that it concerns.
    fn delivery(&self, of: &TypeChangeReport, committed: Instant, given_up: Instant) -> SpanData {
        let end = match of.waiting {
            0 => of.acked.unwrap_or(committed),
            _ => given_up,
        };
        let short = types::short(of.type_url);
        let mut span = self.span(format!("deliver {short}"), committed, end);
        span.attributes = counts(of.set, of.removed, of.bytes).to_vec();
        span.attributes.extend([
            number("seaway.streams", u64::from(of.concerned)),
            number("seaway.waiting", u64::from(of.waiting)),
            number("seaway.rejected", u64::from(of.rejected)),
            number("seaway.lost", u64::from(of.lost)),
        ]);
        if let Some(sent) = of.sent {
            let event = Event::new("last sent", self.now.time(sent), Vec::new(), 0);
            span.events.events.push(event);
        }
        span.status = status(of.rejected > 0, of.waiting > 0);
        span
    }
}

fn of_commit(change: &ChangeReport, cause: Option<&CommitCause>) -> Vec<KeyValue> {
    let sum = |of: fn(&TypeChangeReport) -> usize| change.types.iter().map(of).sum();
    let mut all = vec![
        number("seaway.commit", change.seq),
        number("seaway.origins", change.origin_count as u64),
    ];
    all.extend(counts(
        sum(|of| of.set),
        sum(|of| of.removed),
        sum(|of| of.bytes),
    ));
    let most = |of: fn(&TypeChangeReport) -> u32| change.types.iter().map(of).max();
    // A stream has several types, so that their sum would be of no streams.
    let streams = most(|of| of.concerned).unwrap_or_default();
    let rejected = most(|of| of.rejected).unwrap_or_default();
    all.push(number("seaway.streams", u64::from(streams)));
    all.push(number("seaway.rejected", u64::from(rejected)));
    let Some(cause) = cause else {
        return all;
    };
    all.push(number("seaway.objects", cause.objects as u64));
    if let Some(first) = cause.causes.first() {
        let text = |name, value: &str| KeyValue::new(name, value.to_owned());
        all.push(text("seaway.cause.kind", first.object.kind.as_str()));
        if !first.object.namespace.is_empty() {
            all.push(text("seaway.cause.namespace", &first.object.namespace));
        }
        all.push(text("seaway.cause.name", &first.object.name));
        if let Some(version) = &first.version {
            all.push(text("seaway.cause.resource_version", version));
        }
        all.push(KeyValue::new("seaway.cause.gone", first.gone));
    }
    all
}

fn counts(set: usize, removed: usize, bytes: usize) -> [KeyValue; 3] {
    [
        number("seaway.set", set as u64),
        number("seaway.removed", removed as u64),
        number("seaway.bytes", bytes as u64),
    ]
}

fn number(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX))
}

fn status(rejected: bool, waits: bool) -> Status {
    match (rejected, waits) {
        (true, _) => Status::error("a proxy rejected it"),
        (false, true) => Status::error("a proxy has not answered"),
        (false, false) => Status::Unset,
    }
}
