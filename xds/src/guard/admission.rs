//! Admission of new streams: how many may be opened each second, and how many may be between their
//! first request and their first acknowledgement (xDS rules 132, 156).
//!
//! A stream over one of the two limits waits in order of arrival, and is refused only if it would
//! wait too long. Of the streams that wait for the second limit only the first has a timer; the
//! others wait until they are the first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout_at};
use tonic::Status;

use crate::guard::log_limit::LogLimit;
use crate::guard::token_bucket::TokenBucket;
use crate::limits::Limits;

/// How long a stream counts as busy with its first answer, even if that is not done: a proxy that
/// does not read must not keep others out.
const BUSY: Duration = Duration::from_secs(1);

/// The admission gate of a server, which every new stream passes.
#[derive(Debug)]
pub(crate) struct Gate {
    places: usize,
    longest_wait: Duration,
    inner: Mutex<Inner>,
    /// The turn to take a place, in order of arrival: tokio's mutex is fair.
    turn: tokio::sync::Mutex<()>,
    /// Notified when a place has become free.
    freed: Notify,
    refusals: LogLimit,
}

/// The token bucket and the taken places of a [`Gate`].
#[derive(Debug)]
struct Inner {
    rate: TokenBucket,
    /// When each taken place becomes free at the latest, by the number of its stream: streams are
    /// numbered in the order in which they began, so the first ends first.
    taken: BTreeMap<u64, Instant>,
    number: u64,
}

/// A place among the streams that wait for their first answer; free again when dropped.
#[derive(Debug)]
pub(crate) struct AdmissionPermit {
    gate: Arc<Gate>,
    number: u64,
}

impl Drop for AdmissionPermit {
    fn drop(&mut self) {
        if self.gate.inner().taken.remove(&self.number).is_some() {
            self.gate.freed.notify_one();
        }
    }
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Gate {
        Gate {
            places: limits.first_answers.max(1),
            longest_wait: limits.longest_wait,
            inner: Mutex::new(Inner {
                rate: TokenBucket::new(limits.streams_per_second, Instant::now()),
                taken: BTreeMap::new(),
                number: 0,
            }),
            turn: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
            refusals: LogLimit::default(),
        }
    }

    /// Admits a stream, if need be after a wait.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if it would have to wait for longer than is allowed.
    pub(crate) async fn enter(self: &Arc<Gate>) -> Result<AdmissionPermit, Status> {
        let now = Instant::now();
        let deadline = now + self.longest_wait;
        let place = match self.token(now, deadline) {
            Some(at) => self.wait(at, deadline).await,
            None => None,
        };
        place.ok_or_else(|| {
            if let Some(times) = self.refusals.count_event() {
                tracing::warn!(times, "new streams exceed the limit: some were refused");
            }
            Status::resource_exhausted("too many streams are being opened at once; try again later")
        })
    }

    /// Takes a token and returns from when on it counts; `None` if that is after the deadline.
    fn token(&self, now: Instant, deadline: Instant) -> Option<Instant> {
        self.inner().rate.take(now, deadline)
    }

    /// Waits until the token counts and a place is free; `None` if that is not before the deadline.
    async fn wait(self: &Arc<Gate>, token: Instant, deadline: Instant) -> Option<AdmissionPermit> {
        if token > Instant::now() {
            sleep_until(token.into()).await;
        }
        let turn = timeout_at(deadline.into(), self.turn.lock()).await;
        let _turn = turn.ok()?;
        loop {
            let freed = self.freed.notified();
            let end = match self.take() {
                Ok(place) => return Some(place),
                Err(end) => end.min(deadline),
            };
            _ = timeout_at(end.into(), freed).await;
            if Instant::now() >= deadline {
                return self.take().ok();
            }
        }
    }

    /// Takes a place; `Err` is when the first of the taken ones becomes free.
    fn take(self: &Arc<Gate>) -> Result<AdmissionPermit, Instant> {
        let now = Instant::now();
        let mut inner = self.inner();
        while inner.taken.len() >= self.places {
            let Some(first) = inner.taken.first_entry() else {
                break;
            };
            if *first.get() > now {
                return Err(*first.get());
            }
            first.remove();
        }
        inner.number += 1;
        let number = inner.number;
        inner.taken.insert(number, now + BUSY);
        Ok(AdmissionPermit {
            gate: self.clone(),
            number,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;

    use futures::FutureExt;

    use super::*;

    type Entering = Pin<Box<dyn Future<Output = Result<AdmissionPermit, Status>> + Send>>;

    fn gate(limits: Limits) -> Arc<Gate> {
        Arc::new(Gate::new(&limits))
    }

    fn enter(gate: &Arc<Gate>) -> Entering {
        let gate = gate.clone();
        Box::pin(async move { gate.enter().await })
    }

    /// The place of a stream that does not have to wait.
    fn at_once(gate: &Arc<Gate>) -> AdmissionPermit {
        enter(gate).now_or_never().unwrap().unwrap()
    }

    #[test]
    fn thirty_thousand_at_once_are_all_let_in() {
        let gate = gate(Limits::default());
        let start = Instant::now();
        let deadline = start + Limits::default().longest_wait;
        let waits = (0..30_000).map(|_| gate.token(start, deadline).unwrap() - start);
        let waits: Vec<_> = waits.collect();
        assert_eq!(waits[9_999], Duration::ZERO);
        let last = waits[29_999];
        assert!(last <= Duration::from_secs(2), "{last:?}");
    }

    #[test]
    fn tokens_run_out_and_come_back_rule_132() {
        let gate = gate(Limits {
            streams_per_second: 10,
            ..Limits::default()
        });
        let start = Instant::now();
        let wait = |at: Duration| {
            let now = start + at;
            let token = gate.token(now, now + Duration::from_millis(300));
            token.map(|token| (token - now).as_millis())
        };
        for _ in 0..10 {
            assert_eq!(wait(Duration::ZERO), Some(0));
        }
        for expected in [Some(100), Some(200), Some(300), None, None] {
            assert_eq!(wait(Duration::ZERO), expected);
        }
        // Those that were refused have taken nothing.
        assert_eq!(wait(Duration::from_millis(400)), Some(0));
        for _ in 0..10 {
            assert_eq!(wait(Duration::from_secs(60)), Some(0));
        }
        assert_eq!(wait(Duration::from_secs(60)), Some(100));
    }

    #[tokio::test]
    async fn who_comes_first_goes_first_rule_132() {
        let gate = gate(Limits {
            first_answers: 2,
            ..Limits::default()
        });
        let (one, _two) = (at_once(&gate), at_once(&gate));
        let (mut three, mut four) = (enter(&gate), enter(&gate));
        // The order in which they ask, not that in which they are polled later.
        assert!((&mut three).now_or_never().is_none());
        assert!((&mut four).now_or_never().is_none());
        drop(one);
        assert!((&mut four).now_or_never().is_none());
        let three = three.now_or_never().unwrap().unwrap();
        assert!((&mut four).now_or_never().is_none());
        drop(three);
        four.now_or_never().unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_gives_up_waiting_keeps_nobody_out() {
        let gate = gate(Limits {
            first_answers: 1,
            ..Limits::default()
        });
        let one = at_once(&gate);
        let (mut two, mut three) = (enter(&gate), enter(&gate));
        assert!((&mut two).now_or_never().is_none());
        assert!((&mut three).now_or_never().is_none());
        drop(one);
        drop(two);
        three.now_or_never().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_stream_that_waited_for_long_is_refused_rule_132() {
        let gate = gate(Limits {
            first_answers: 1,
            longest_wait: Duration::from_millis(20),
            ..Limits::default()
        });
        let _busy = at_once(&gate);
        let (two, three) = (enter(&gate), enter(&gate));
        let (two, three) = tokio::join!(two, three);
        for refused in [two, three] {
            let status = refused.expect_err("nobody left");
            assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        }
    }

    #[tokio::test]
    async fn proxies_that_do_not_read_keep_nobody_out() {
        let gate = gate(Limits {
            first_answers: 2,
            ..Limits::default()
        });
        let _stuck = (at_once(&gate), at_once(&gate));
        let waiting: Vec<_> = (0..4).map(|_| enter(&gate)).collect();
        let mut places = Vec::new();
        for place in futures::future::join_all(waiting).await {
            places.push(place.expect("a place after a second or two"));
        }
    }
}
