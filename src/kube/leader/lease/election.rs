//! Which of several replicas is the leader, by a Lease: plain state without I/O or a clock.
//!
//! It does what client-go does. A Lease has ended when its record has not changed for as long as
//! it says, seen by this process's own clock: the times in the record are those of another host.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// The `apiVersion` and `kind` of a Lease.
pub(super) const KIND: (&str, &str) = ("coordination.k8s.io/v1", "Lease");
/// The longest `leaseDurationSeconds` of another holder that is waited for.
const PATIENCE: u64 = 60;

/// The times of an election: those of client-go.
#[derive(Clone, Copy, Debug)]
pub(in crate::kube) struct Times {
    /// After so long without a renewal another replica takes the Lease.
    pub lease: Duration,
    /// After so long without one the leader stops, well before that.
    pub renew: Duration,
    /// How often the leader renews it, and the others look at it.
    pub retry: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What to ask the API server next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Read the Lease.
    Read,
    /// Create this Lease.
    Create(Value),
    /// Replace it by this one, if it is still at the same resourceVersion.
    Replace(Value),
}

/// What one replica knows of a Lease, and whether it is the leader.
#[derive(Debug)]
pub(super) struct Election {
    identity: String,
    name: String,
    times: Times,
    /// The record that was seen last, and since when it has been like that.
    seen: Option<(Value, Instant)>,
    /// The Lease as this replica wrote it last; without one it has to be read first.
    own: Option<Value>,
    /// When the last renewal that succeeded was sent.
    held: Option<Instant>,
}

impl Election {
    /// A replica of this identity that knows nothing of the Lease of this name.
    pub(super) fn new(identity: String, name: String, times: Times) -> Election {
        Election {
            identity,
            name,
            times,
            seen: None,
            own: None,
            held: None,
        }
    }

    /// What to do when it is time to look or to renew.
    pub(super) fn next(&self, time: Timestamp) -> Step {
        match &self.own {
            Some(own) => Step::Replace(self.claimed(own.clone(), time)),
            None => Step::Read,
        }
    }

    /// Takes in the Lease as it was read, `None` if there is none. Returns what to write, if this
    /// replica is to be its holder.
    pub(super) fn read(
        &mut self,
        lease: Option<Value>,
        now: Instant,
        time: Timestamp,
    ) -> Option<Step> {
        let Some(lease) = lease else {
            // Somebody deleted it, and whoever creates it first has it.
            (self.seen, self.held) = (None, None);
            let (api_version, kind) = KIND;
            let metadata = json!({"name": self.name});
            let lease = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
            return Some(Step::Create(self.claimed(lease, time)));
        };
        let record = &lease["spec"];
        let since = match &self.seen {
            Some((seen, since)) if seen == record => *since,
            _ => {
                self.seen = Some((record.clone(), now));
                now
            }
        };
        let holder = holder(&lease);
        let ended = now.saturating_duration_since(since) >= self.duration(record);
        if holder != self.identity {
            self.held = None;
        }
        let free = holder.is_empty() || holder == self.identity || ended;
        free.then(|| Step::Replace(self.claimed(lease, time)))
    }

    /// Takes in that this replica has written the Lease, as it is in the answer to a request that
    /// was sent at `sent`.
    pub(super) fn wrote(&mut self, lease: Value, sent: Instant) {
        self.seen = Some((lease["spec"].clone(), sent));
        self.own = Some(lease);
        self.held = Some(sent);
    }

    /// Takes in that a request failed: who has the Lease has to be read again.
    pub(super) fn failed(&mut self) {
        self.own = None;
    }

    /// Until when this replica is the leader.
    pub(super) fn until(&self) -> Option<Instant> {
        self.held.map(|held| held + self.times.renew)
    }

    /// The Lease without a holder, if this replica is its holder, so that the next one need not
    /// wait. From then on it is not the leader.
    pub(super) fn release(&mut self, mut lease: Value, time: Timestamp) -> Option<Value> {
        (self.own, self.held) = (None, None);
        if holder(&lease) != self.identity {
            return None;
        }
        let spec = &mut lease["spec"];
        spec["holderIdentity"] = json!("");
        spec["leaseDurationSeconds"] = json!(1);
        spec["renewTime"] = micro(time);
        Some(lease)
    }

    /// The Lease with this replica as its holder. What else is in it stays.
    fn claimed(&self, mut lease: Value, time: Timestamp) -> Value {
        let goes_on = holder(&lease) == self.identity;
        if !lease["spec"].is_object() {
            lease["spec"] = json!({});
        }
        let spec = &mut lease["spec"];
        let (transitions, acquired) = match goes_on {
            true => (0, spec["acquireTime"].clone()),
            false => (1, Value::Null),
        };
        let before = spec["leaseTransitions"].as_i64();
        let transitions = before.map_or(0, |before| before.saturating_add(transitions));
        spec["leaseTransitions"] = json!(transitions.clamp(0, i32::MAX.into()));
        spec["acquireTime"] = match acquired {
            Value::Null => micro(time),
            acquired => acquired,
        };
        spec["holderIdentity"] = json!(self.identity);
        spec["leaseDurationSeconds"] = json!(self.times.lease.as_secs().max(1));
        spec["renewTime"] = micro(time);
        lease
    }

    /// How long a record holds.
    fn duration(&self, record: &Value) -> Duration {
        let said = record["leaseDurationSeconds"].as_u64();
        let said = said.filter(|seconds| *seconds > 0);
        said.map_or(self.times.lease, |seconds| {
            Duration::from_secs(seconds.min(PATIENCE))
        })
    }
}

/// The holder of a Lease; empty without one.
fn holder(lease: &Value) -> &str {
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default()
}

/// A time as a Lease has it.
fn micro(time: Timestamp) -> Value {
    json!(format!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(identity: &str) -> Election {
        let (identity, name) = (identity.to_owned(), "l".to_owned());
        Election::new(identity, name, Times::default())
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A Lease that somebody renewed so many seconds after the epoch.
    fn lease(holder: &str, renewed: i64) -> Value {
        let time = micro(Timestamp::from_second(renewed).unwrap());
        json!({"metadata": {"resourceVersion": "7", "labels": {"a": "b"}}, "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3,
            "acquireTime": "then", "renewTime": time,
        }})
    }

    fn time() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    fn written(step: Option<Step>) -> Value {
        match step {
            Some(Step::Create(lease) | Step::Replace(lease)) => lease,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lease_that_is_not_there_is_created_and_then_renewed_without_reading_it() {
        let (mut election, now) = (election("a"), Instant::now());
        assert_eq!(election.next(time()), Step::Read);
        let step = election.read(None, now, time());
        assert!(matches!(step, Some(Step::Create(_))), "{step:?}");
        let lease = written(step);
        assert_eq!(lease["spec"]["holderIdentity"], "a");
        assert_eq!(lease["spec"]["renewTime"], "1970-01-01T00:16:40.000000Z");
        assert_eq!(election.until(), None);
        election.wrote(lease, now);
        assert_eq!(election.until(), Some(now + seconds(10)));
        assert!(matches!(election.next(time()), Step::Replace(_)));
    }

    #[test]
    fn the_lease_of_another_is_taken_when_it_has_not_changed_for_as_long_as_it_says() {
        let (mut election, now) = (election("a"), Instant::now());
        // Whatever the clock of its holder says.
        for renewed in [-1_000_000, 1_000_000_000] {
            let begin = now + seconds(100);
            let other = lease("b", renewed);
            assert_eq!(election.read(Some(other.clone()), begin, time()), None);
            let soon = begin + seconds(14);
            assert_eq!(election.read(Some(other.clone()), soon, time()), None);
            let renewal = lease("b", renewed + 14);
            assert_eq!(election.read(Some(renewal.clone()), soon, time()), None);
            let late = soon + seconds(15);
            let taken = written(election.read(Some(renewal), late, time()));
            assert_eq!(taken["spec"]["holderIdentity"], "a");
            assert_eq!(taken["spec"]["leaseTransitions"], 4);
            assert_ne!(taken["spec"]["acquireTime"], "then");
            assert_eq!(taken["metadata"], other["metadata"]);
        }
    }

    #[test]
    fn the_times_of_a_record_are_bounded() {
        for (said, expected) in [
            (json!(1_000_000_000), 60),
            (json!(0), 15),
            (json!(-5), 15),
            (json!("x"), 15),
            (json!(null), 15),
        ] {
            let (mut election, now) = (election("a"), Instant::now());
            let mut other = lease("b", 0);
            other["spec"]["leaseDurationSeconds"] = said;
            let mut read = |after| election.read(Some(other.clone()), now + after, time());
            assert_eq!(read(seconds(0)), None);
            assert_eq!(read(seconds(expected - 1)), None);
            assert!(read(seconds(expected)).is_some());
        }
    }

    #[test]
    fn a_lease_without_a_holder_is_taken_at_once() {
        for free in [lease("", 0), json!({"metadata": {}}), json!({"spec": null})] {
            let mut election = election("a");
            let taken = election.read(Some(free), Instant::now(), time());
            assert_eq!(written(taken)["spec"]["holderIdentity"], "a");
        }
    }

    #[test]
    fn a_leader_whose_renewals_fail_stops_before_another_begins() {
        let (mut one, mut other, now) = (election("a"), election("b"), Instant::now());
        let held = written(one.read(None, now, time()));
        one.wrote(held.clone(), now);
        // The other one sees it at once, and nothing of it after that.
        assert_eq!(other.read(Some(held.clone()), now, time()), None);
        one.failed();
        assert_eq!(one.next(time()), Step::Read);
        let until = one.until().unwrap();
        assert_eq!(other.read(Some(held.clone()), until, time()), None);
        let late = now + seconds(15);
        let taken = written(other.read(Some(held), late, time()));
        other.wrote(taken.clone(), late);
        // The first one is back.
        assert_eq!(one.read(Some(taken), late, time()), None);
        assert_eq!(one.until(), None);
    }

    #[test]
    fn a_leader_that_reads_its_own_lease_goes_on_and_one_whose_lease_is_deleted_stops() {
        let (mut election, now) = (election("a"), Instant::now());
        let renewed = written(election.read(Some(lease("a", 0)), now, time()));
        assert_eq!(renewed["spec"]["leaseTransitions"], 3);
        assert_eq!(renewed["spec"]["acquireTime"], "then");
        election.wrote(renewed, now);
        election.failed();
        assert!(election.until().is_some());
        let step = election.read(None, now, time());
        assert!(matches!(step, Some(Step::Create(_))), "{step:?}");
        assert_eq!(election.until(), None);
    }

    #[test]
    fn a_released_lease_has_no_holder_and_that_of_another_is_left_alone() {
        let (mut election, now) = (election("a"), Instant::now());
        election.wrote(lease("a", 0), now);
        let free = election.release(lease("a", 0), time()).unwrap();
        assert_eq!(free["spec"]["holderIdentity"], "");
        assert_eq!(free["metadata"], lease("a", 0)["metadata"]);
        assert_eq!(election.until(), None);
        assert_eq!(election.release(lease("b", 0), time()), None);
    }
}
