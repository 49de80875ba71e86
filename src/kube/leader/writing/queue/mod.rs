//! Decides which object is written next, and when: plain state without I/O.
//!
//! Every replica knows what every object is to become; only the leader's queue has something to do.
//! An object that was written a moment ago waits, longer with each time in a row, so that a
//! Gateway to which a thousand routes attach is written a few times. One that cannot be written
//! waits by itself; the whole queue waits only while the API server is away or asks for it.

mod due;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_translator::{ObjectId, ObjectKind};

use due::Due;

use crate::kube::backoff::Backoff;
use crate::kube::rate::Rate;
use crate::kube::wire::Failure;
use crate::writer::LeaderChanges;

/// How long an object waits after it was written, at first and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// After this long without a write the next one is the first in a row.
const CALM: Duration = Duration::from_secs(3);
/// How long an object waits that cannot be written, at first and at most.
const FAILED: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// How long nothing of a kind is written in a namespace where a permission is missing.
const CLOSED: Duration = Duration::from_secs(30);
/// How many objects may be written at once after a while without any; after that one for each
/// [`EACH`].
const BURST: u32 = 100;
const EACH: Duration = Duration::from_millis(10);
/// How many objects are written at the same time.
pub(super) const MOST: usize = 8;
/// How long an object is remembered that is to have nothing of ours. Until then another replica
/// has surely followed a leader that died, and the leader does not look at it again, however often
/// it changes.
const LINGER: Duration = Duration::from_secs(120);

/// What an object is to become.
#[derive(Debug)]
pub(in crate::kube) struct Wanted<'a, T> {
    /// What it should be like; `None`: nothing of ours.
    pub target: Option<&'a T>,
    /// What it should have been like before that.
    pub before: Option<&'a T>,
}

impl<T> Clone for Wanted<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Wanted<'_, T> {}

/// One object to write.
#[derive(Clone, Debug)]
pub(in crate::kube) struct Job<T> {
    pub id: ObjectId,
    target: Option<T>,
    before: Option<T>,
}

impl<T> Job<T> {
    /// What the object should be like.
    pub(in crate::kube) fn wanted(&self) -> Wanted<'_, T> {
        Wanted {
            target: self.target.as_ref(),
            before: self.before.as_ref(),
        }
    }
}

/// What became of a [`Job`].
#[derive(Clone, Debug)]
pub(in crate::kube) enum Outcome {
    /// The object was written.
    Written,
    /// The object was already as it should be.
    Unchanged,
    /// There is no such object.
    Gone,
    /// Others wrote the object each time between reading and writing it, or it is not what it was
    /// when this was decided.
    Conflict,
    /// A request failed.
    Failed(Failure),
}

/// An object that has, or is to lose, something of ours.
#[derive(Debug)]
struct Entry<T> {
    target: Option<T>,
    /// The last target that there was before `None`.
    before: Option<T>,
    turn: Turn,
    /// When its last turn began, and how many there were in a row.
    last: Option<Instant>,
    row: u32,
    /// How many failures there were in a row.
    failures: u32,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Entry {
            target: None,
            before: None,
            turn: Turn::Rest,
            last: None,
            row: 0,
            failures: 0,
        }
    }
}

impl<T> Entry<T> {
    fn wanted(&self) -> Wanted<'_, T> {
        Wanted {
            target: self.target.as_ref(),
            before: self.before.as_ref(),
        }
    }
}

/// Where an object is in the queue.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// It is not in it.
    Rest,
    Due(Instant),
    /// It is being written; `again`: what it should say has changed since.
    Busy {
        again: bool,
    },
}

/// All objects with what they should be like, and those of them that are due.
#[derive(Debug)]
pub(super) struct Queue<T> {
    entries: BTreeMap<ObjectId, Entry<T>>,
    concerns: fn(ObjectKind, Wanted<'_, T>) -> bool,
    due: Due,
    /// Objects that are to have nothing of ours, by when they are forgotten.
    ending: VecDeque<(Instant, ObjectId)>,
    /// Until when nothing is tried where a permission is missing.
    closed: BTreeMap<(ObjectKind, Arc<str>), Instant>,
    /// Until when nothing is tried at all.
    pause: Option<Instant>,
    backoff: Backoff,
    random: fastrand::Rng,
    rate: Rate,
    busy: usize,
    /// There was something to write at some time.
    needed: bool,
    leads: bool,
}

impl<T: Clone + PartialEq> Queue<T> {
    /// An empty queue of a replica that is not the leader. `concerns` says whether there may be
    /// something to write for an object.
    pub(super) fn new(
        concerns: fn(ObjectKind, Wanted<'_, T>) -> bool,
        mut random: fastrand::Rng,
    ) -> Queue<T> {
        Queue {
            entries: BTreeMap::new(),
            concerns,
            due: Due::default(),
            ending: VecDeque::new(),
            closed: BTreeMap::new(),
            pause: None,
            backoff: Backoff::new(random.fork()),
            random,
            rate: Rate::new(BURST, EACH),
            busy: 0,
            needed: false,
            leads: false,
        }
    }

    /// Whether there is, or was, something for a leader to write.
    pub(super) fn needs_leader(&self) -> bool {
        self.needed
    }

    /// How many objects are due or being written.
    pub(super) fn len(&self) -> usize {
        self.due.len() + self.busy
    }

    /// Takes in what objects should be like. What they should be like already is no change.
    pub(super) fn hear(&mut self, changes: LeaderChanges<T>, now: Instant) {
        for (id, target) in changes {
            let known = self.entries.get(&id);
            if known.is_some_and(|known| known.target == target) {
                continue;
            }
            self.needed |= target.is_some();
            let entry = self.entries.entry(id.clone()).or_default();
            if let Some(before) = std::mem::replace(&mut entry.target, target) {
                entry.before = Some(before);
            }
            let concerns = self.concerns;
            if !concerns(id.kind, entry.wanted()) && !matches!(entry.turn, Turn::Busy { .. }) {
                self.forget(&id);
                continue;
            }
            if entry.target.is_none() {
                self.ending.push_back((now + LINGER, id.clone()));
            }
            self.schedule(&id, now);
        }
        self.expire(now);
    }

    /// Has objects looked at again that were created anew.
    pub(super) fn again(&mut self, ids: impl IntoIterator<Item = ObjectId>, now: Instant) {
        ids.into_iter().for_each(|id| self.schedule(&id, now));
    }

    /// The status of all objects of a kind may have to be another.
    pub(super) fn again_of(&mut self, kind: ObjectKind, now: Instant) {
        let of_kind = self.entries.iter();
        let of_kind = of_kind.filter(|(id, entry)| id.kind == kind && entry.target.is_some());
        let ids: Vec<ObjectId> = of_kind.map(|(id, _)| id.clone()).collect();
        self.again(ids, now);
    }

    /// Takes in whether this replica is the leader now. A new one looks at every object once.
    pub(super) fn lead(&mut self, leads: bool, now: Instant) {
        if std::mem::replace(&mut self.leads, leads) == leads {
            return;
        }
        self.closed.clear();
        self.pause = None;
        self.due.clear();
        for (id, entry) in &mut self.entries {
            match &mut entry.turn {
                Turn::Busy { again } => *again = leads,
                turn if leads => {
                    *turn = Turn::Due(now);
                    self.due.insert(now, id.clone());
                }
                turn => *turn = Turn::Rest,
            }
        }
    }

    /// When [`Queue::take`] has something to give.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let due = self.due.first()?;
        let free = self.leads && self.busy < MOST;
        let at = self.pause.map_or(due, |pause| pause.max(due));
        free.then(|| self.rate.allowed(at.max(now)))
    }

    /// The next object to write, if it is time.
    pub(super) fn take(&mut self, now: Instant) -> Option<Job<T>> {
        while self.next(now).is_some_and(|at| at <= now) {
            let id = self.due.pop(now)?;
            let closed = self.closed.get(&(id.kind, id.namespace.clone()));
            let closed = closed.copied().filter(|until| *until > now);
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            if let Some(until) = closed {
                entry.turn = Turn::Due(until);
                self.due.insert(until, id);
                continue;
            }
            let near = |last: Instant| now.saturating_duration_since(last) < CALM;
            entry.row = match entry.last.is_some_and(near) {
                true => entry.row.saturating_add(1),
                false => 0,
            };
            entry.last = Some(now);
            entry.turn = Turn::Busy { again: false };
            let (target, before) = (entry.target.clone(), entry.before.clone());
            self.rate.take(now);
            self.busy += 1;
            return Some(Job { id, target, before });
        }
        None
    }

    /// Takes in what became of a job.
    pub(super) fn done(&mut self, id: &ObjectId, outcome: &Outcome, now: Instant) {
        self.busy = self.busy.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let again = matches!(entry.turn, Turn::Busy { again: true });
        entry.turn = Turn::Rest;
        let failed = matches!(outcome, Outcome::Conflict | Outcome::Failed(_));
        entry.failures = match failed {
            true => entry.failures.saturating_add(1),
            false => 0,
        };
        if failed {
            let wait = wait(FAILED, entry.failures - 1).mul_f64(0.5 + self.random.f64() / 2.0);
            let at = match outcome {
                Outcome::Failed(failure) => self.refused(id, failure, wait, now),
                _ => now + wait,
            };
            self.put(id, at);
        } else if again {
            self.schedule(id, now);
        } else if entry.target.is_none() {
            // What stands there from now on is not ours.
            entry.before = None;
            if matches!(outcome, Outcome::Gone) {
                self.forget(id);
            }
        }
    }

    /// Takes in a failure; returns when its object may be tried again.
    fn refused(
        &mut self,
        id: &ObjectId,
        failure: &Failure,
        wait: Duration,
        now: Instant,
    ) -> Instant {
        if failure.is_forbidden() {
            let until = now + CLOSED;
            self.closed.retain(|_, until| *until > now);
            self.closed.insert((id.kind, id.namespace.clone()), until);
            return until;
        }
        // What concerns all: nobody is there, or whoever is asks for time.
        let general = match failure {
            Failure::Unreachable(_) | Failure::Garbled(_) | Failure::Foreign(_) => true,
            Failure::Refused { code, after, .. } => *code == 429 || after.is_some(),
            _ => false,
        };
        if general {
            let until = now + self.backoff.after(failure, now);
            self.pause = self.pause.max(Some(until));
            return until;
        }
        now + wait
    }

    /// Puts an object into the queue: at once, or a while after its last turn.
    fn schedule(&mut self, id: &ObjectId, now: Instant) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if let Turn::Busy { again } = &mut entry.turn {
            *again = true;
            return;
        }
        let spaced = entry.last.map(|last| last + wait(WAIT, entry.row));
        let at = spaced.map_or(now, |spaced| spaced.max(now));
        self.put(id, at);
    }

    /// Puts an object into the queue at a moment, if it is not there earlier.
    fn put(&mut self, id: &ObjectId, at: Instant) {
        let Some(entry) = self.entries.get_mut(id).filter(|_| self.leads) else {
            return;
        };
        if let Turn::Due(before) = entry.turn {
            if before <= at {
                return;
            }
            self.due.remove(before, id);
        }
        entry.turn = Turn::Due(at);
        self.due.insert(at, id.clone());
    }

    fn forget(&mut self, id: &ObjectId) {
        if let Some(Entry {
            turn: Turn::Due(at),
            ..
        }) = self.entries.remove(id)
        {
            self.due.remove(at, id);
        }
    }

    /// Forgets objects that were to lose what is ours long ago. A leader keeps those that it could
    /// not write yet.
    fn expire(&mut self, now: Instant) {
        while self.ending.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, id)) = self.ending.pop_front()
        {
            match self.entries.get(&id) {
                Some(Entry {
                    target: Some(_), ..
                })
                | None => {}
                Some(Entry {
                    turn: Turn::Rest, ..
                }) => self.forget(&id),
                Some(_) => self.ending.push_back((now + LINGER, id)),
            }
        }
    }
}

/// A time that doubles with each in a row.
fn wait((first, longest): (Duration, Duration), before: u32) -> Duration {
    first.saturating_mul(1 << before.min(16)).min(longest)
}

#[cfg(test)]
mod tests;
