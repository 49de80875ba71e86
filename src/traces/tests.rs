//! Which commits are traced, and what their spans say.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanId, Status};
use seaway_proto::TypeUrl;
use seaway_translator::{ObjectId, ObjectKind};
use seaway_xds::{ChangeReport, TypeChangeReport};

use super::*;
use crate::source::Cause;
use crate::writer::CommitCause;

const ID: TraceId = TraceId::from_bytes([7; 16]);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A commit that concerns two streams. `acked` is when the last of them had answered, after the
/// event; `None`: one has not.
fn commit(seq: u64, at: Instant, acked: Option<u64>) -> ChangeReport {
    let endpoint = TypeChangeReport {
        type_url: TypeUrl::ENDPOINT,
        set: 1,
        removed: 0,
        bytes: 70,
        concerned: 2,
        sent: Some(at + millis(2)),
        acked: acked.map(|after| at + millis(after)),
        waiting: u32::from(acked.is_none()),
        rejected: 0,
        lost: 0,
    };
    ChangeReport {
        seq,
        at,
        committed: at + millis(1),
        types: vec![endpoint],
        origins: Vec::new(),
        origin_count: 1,
        moved: 0,
    }
}

fn numbers(changes: &[ChangeReport]) -> Vec<u64> {
    changes.iter().map(|change| change.seq).collect()
}

fn follower(one_in: u32) -> Follower {
    let one_in = NonZeroU32::new(one_in).unwrap();
    Follower::new(Named { one_in, salt: 0 })
}

#[test]
fn one_commit_in_so_many_is_traced_and_each_slow_one() {
    let at = Instant::now();
    let took = |seq| if seq == 7 { 201 } else { 200 };
    let all: Vec<_> = (1..=25)
        .map(|seq| commit(seq, at, Some(took(seq))))
        .collect();
    let later = at + millis(1000);
    let mut ten = follower(10);
    assert_eq!(numbers(&ten.take(all.clone(), later)), [7, 10, 20]);
    assert_eq!(ten.passed(), 25);
    assert_eq!(ten.take(all.clone(), later).len(), 0, "each once");
    assert_eq!(follower(1).take(all, later).len(), 25);
}

#[test]
fn a_commit_that_changes_nothing_of_any_type_is_not_traced() {
    let at = Instant::now();
    let mut none = commit(1, at, Some(5000));
    none.types.clear();
    let mut all = follower(1);
    assert_eq!(all.take(vec![none], at + millis(6000)).len(), 0);
    assert_eq!(all.passed(), 1);
}

#[test]
fn a_commit_waits_for_its_answers_half_a_minute_and_holds_up_no_other() {
    let at = Instant::now();
    let open = |answer| vec![commit(1, at, answer), commit(2, at, Some(3))];
    let mut waits = follower(1);
    assert_eq!(numbers(&waits.take(open(None), at + millis(100))), [0; 0]);
    assert_eq!(numbers(&waits.take(open(None), at + millis(1000))), [2]);
    assert_eq!(waits.passed(), 0);
    assert_eq!(
        numbers(&waits.take(open(None), at + millis(29_000))),
        [0; 0]
    );
    let answered = waits.take(open(Some(29_500)), at + millis(30_000));
    assert_eq!(numbers(&answered), [1]);
    assert_eq!(waits.passed(), 2);
    let mut unanswered = follower(1);
    assert_eq!(
        numbers(&unanswered.take(open(None), at + millis(30_001))),
        [1, 2]
    );
}

/// The log keeps the last 1,000 commits.
#[test]
fn a_commit_that_will_be_forgotten_is_not_waited_for() {
    let at = Instant::now();
    let mut all = vec![commit(1, at, None), commit(2, at, None)];
    all.extend((3..=801).map(|seq| commit(seq, at, Some(2))));
    let mut slow = follower(100_000);
    assert_eq!(numbers(&slow.take(all, at + millis(2000))), [1]);
}

#[test]
fn the_spans_of_a_commit_have_its_times_and_say_why_it_was_made() {
    let now = Now::read();
    let at = now.instant().checked_sub(millis(900)).unwrap();
    let change = commit(42, at, Some(30));
    let object = ObjectId {
        kind: ObjectKind::EndpointSlice,
        namespace: Arc::from("shop"),
        name: Arc::from("web-1"),
    };
    let cause = CommitCause {
        seq: 42,
        causes: vec![Cause {
            object,
            version: Some("918442".into()),
            gone: false,
        }],
        objects: 3,
    };
    let made = spans::make(&change, ID, Some(&cause), now);
    let [commit, publish, deliver] = &*made else {
        panic!("{made:?}");
    };
    let names = made.iter().map(|span| &*span.name).collect::<Vec<_>>();
    assert_eq!(
        names,
        ["commit", "translate and publish", "deliver endpoint"]
    );
    let took = |span: &SpanData| span.end_time.duration_since(span.start_time).unwrap();
    assert_eq!(took(commit), millis(30));
    assert_eq!(took(publish), millis(1));
    assert_eq!(took(deliver), millis(29));
    assert_eq!(publish.start_time, commit.start_time);
    assert_eq!(deliver.start_time, publish.end_time);
    let sent = deliver.events.first().unwrap().timestamp;
    assert_eq!(sent.duration_since(commit.start_time).unwrap(), millis(2));
    assert_eq!(commit.parent_span_id, SpanId::INVALID);
    for part in [publish, deliver] {
        assert_eq!(part.parent_span_id, commit.span_context.span_id());
        assert_eq!(part.span_context.trace_id(), commit.span_context.trace_id());
    }
    let said = commit.attributes.iter();
    let said: Vec<String> = said
        .map(|one| format!("{}={}", one.key, one.value))
        .collect();
    for expected in [
        "seaway.commit=42",
        "seaway.set=1",
        "seaway.bytes=70",
        "seaway.streams=2",
        "seaway.objects=3",
        "seaway.cause.kind=EndpointSlice",
        "seaway.cause.namespace=shop",
        "seaway.cause.name=web-1",
        "seaway.cause.resource_version=918442",
    ] {
        assert!(
            said.iter().any(|one| one == expected),
            "{expected}: {said:?}"
        );
    }
    assert_eq!(commit.status, Status::Unset);
}

#[test]
fn a_rejection_is_an_error() {
    let now = Now::read();
    let mut change = commit(42, now.instant(), Some(30));
    change.types[0].rejected = 1;
    let made = spans::make(&change, ID, None, now);
    assert!(matches!(made[0].status, Status::Error { .. }), "{made:?}");
    assert!(matches!(made[2].status, Status::Error { .. }), "{made:?}");
}

#[test]
fn what_concerns_nobody_has_no_delivery_and_what_is_not_answered_an_end_and_a_status() {
    let now = Now::read();
    let at = now.instant().checked_sub(millis(40_000)).unwrap();
    let made = spans::make(&commit(1, at, None), ID, None, now);
    let took = made[0].end_time.duration_since(made[0].start_time).unwrap();
    assert_eq!(took, millis(30_001));
    assert!(matches!(made[2].status, Status::Error { .. }), "{made:?}");
    let mut alone = commit(2, at, None);
    alone.types[0].concerned = 0;
    alone.types[0].waiting = 0;
    let made = spans::make(&alone, ID, None, now);
    assert_eq!(made.len(), 2, "{made:?}");
    assert_eq!(made[0].end_time, made[1].end_time);
}

#[test]
fn a_url_of_a_collector_has_a_host_and_nothing_that_is_secret() {
    for good in [
        "http://127.0.0.1:4317",
        "https://otel.example:4317/",
        "http://[::1]:4317",
    ] {
        assert!(good.parse::<CollectorUrl>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "otel:4317",
        "127.0.0.1:4317",
        "unix:///tmp/x",
        "http://",
        "http://me:secret@otel:4317",
        "http://otel:4317/v1/traces",
        "http://otel:4317?token=secret",
    ] {
        assert!(bad.parse::<CollectorUrl>().is_err(), "{bad}");
    }
}
