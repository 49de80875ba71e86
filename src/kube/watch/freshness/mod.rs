//! Decides whether a watch that seems to work is told everything. Plain state: what probes of the
//! API server find goes in, what is to be asked next comes out; [`probe`] does the asking.
//!
//! A list of one object, as new as the storage has it, says which resourceVersion the API server is
//! at. The watch need not reach that: resourceVersions count the writes to all kinds, and a watch
//! on which nothing happens is told how far it is once a minute at most, or never. So the watch
//! that has not reached it in time is not behind for that. A second watch is opened for a moment,
//! from where the first one stands. When it brings a change that the API server had all that time,
//! the first one is behind: that is a proof. When it brings none, and says how far it is, nothing
//! has happened, which is proven too. When it says nothing the API server's cache may stand still;
//! then a list in pages, which is read from the storage, brings what the watches lack. That costs
//! as much as the kind is large, so where API servers never say how far they are it is asked for
//! less and less often, as long as nothing was missing.

mod probe;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::admin::freshness::{Outcome, Position};

/// How many versions of the API server are remembered that the watch has yet to reach.
const PENDING: usize = 8;
/// The longest time between two lists that nothing but silence asks for.
const LONGEST: Duration = Duration::from_secs(600);

/// How often watches are held against the API server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing {
    /// The time between two probes of a watch, at most; zero is no probes.
    pub(crate) every: Duration,
    /// How long a watch may take to reach what a probe has seen.
    pub(crate) patience: Duration,
    /// How long a second watch is open, at most.
    pub(crate) look: Duration,
}

impl Probing {
    /// Probes so often, with patience in proportion.
    pub(crate) fn every(every: Duration) -> Probing {
        Probing {
            every,
            patience: every + every / 2,
            look: (every / 4).min(Duration::from_secs(5)),
        }
    }
}

/// What is to be asked of the API server.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    /// At which version it is.
    Probe,
    /// What a watch from the version `after` brings, up to the version `up_to`.
    Look { after: u64, up_to: u64 },
}

/// What a second watch brought.
#[derive(Debug, PartialEq, Eq)]
enum Sight {
    /// A change first, of this version.
    Change(u64),
    /// A bookmark first that says that there is no change up to this version.
    Bookmark(u64),
    /// Nothing of use.
    Nothing,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    outcome: Outcome,
    /// The kind is to be listed anew, in pages.
    list: bool,
}

impl Verdict {
    const fn of(outcome: Outcome) -> Verdict {
        Verdict {
            outcome,
            list: false,
        }
    }
}

/// The rounds of probes of one watch.
#[derive(Debug)]
struct Rounds {
    probing: Probing,
    next: Instant,
    /// Versions that the API server had and the watch has yet to reach, with since when.
    pending: VecDeque<(u64, Instant)>,
    /// The API server tells watches on which nothing happens how far it is.
    tells: bool,
    /// What it does not tell may be because of a selector, so that nothing is to be learned of it.
    selective: bool,
    /// How often in a row the watch was behind.
    behind: u32,
    /// How many lists in a row were asked for without a proof, and found nothing.
    idle: u32,
    /// Before this nothing is listed without a proof.
    rest: Instant,
    /// The version that was reached when a list was asked for without a proof.
    before: Option<u64>,
}

impl Rounds {
    fn new(probing: Probing, selective: bool, now: Instant, random: f64) -> Rounds {
        let mut rounds = Rounds {
            probing,
            next: now,
            pending: VecDeque::new(),
            tells: false,
            selective,
            behind: 0,
            idle: 0,
            rest: now,
            before: None,
        };
        rounds.schedule(now, random);
        rounds
    }

    /// Sets the time of the next probe; `random` is below 1.
    fn schedule(&mut self, now: Instant, random: f64) {
        self.next = now + self.probing.every.mul_f64(0.8 + 0.2 * random);
    }

    /// When there may be something to do.
    fn due(&self) -> Instant {
        let waits = self.pending.front();
        let waits = waits.map(|(_, since)| *since + self.probing.patience);
        waits.map_or(self.next, |due| due.min(self.next))
    }

    /// Whether the watch is stale: behind more than once in a row.
    fn is_stale(&self) -> bool {
        self.behind > 1
    }

    /// What is to be asked now.
    fn task(&mut self, now: Instant, position: Position) -> Option<Task> {
        let Position::At { version, .. } = position else {
            // A list that has begun has what was pending.
            self.pending.clear();
            return (position == Position::Incomparable && now >= self.next).then_some(Task::Probe);
        };
        self.settle(position, now);
        while self
            .pending
            .front()
            .is_some_and(|(up_to, _)| *up_to <= version)
        {
            self.pending.pop_front();
        }
        match self.pending.front() {
            Some((up_to, since)) if now >= *since + self.probing.patience => Some(Task::Look {
                after: version,
                up_to: *up_to,
            }),
            _ => (now >= self.next).then_some(Task::Probe),
        }
    }

    /// Takes in what a list found that was asked for without a proof.
    fn settle(&mut self, position: Position, now: Instant) {
        let Position::At {
            newest, version, ..
        } = position
        else {
            return;
        };
        // A list that has yet to begin has found nothing.
        match self.before.take_if(|before| version > *before) {
            Some(before) if newest > before => {
                self.behind += 1;
                self.idle = 0;
                self.rest = now;
            }
            Some(_) => {
                self.idle = self.idle.saturating_add(1);
                let factor = 1_u32 << self.idle.min(10);
                let rest = self.probing.patience.saturating_mul(factor);
                self.rest = now + rest.min(LONGEST);
            }
            None => {}
        }
    }

    /// Takes in that the API server is at a version. `None`: no statement yet.
    fn probed(&mut self, now: Instant, seen: Option<u64>, position: Position) -> Option<Verdict> {
        let (
            Some(seen),
            Position::At {
                version, streamed, ..
            },
        ) = (seen, position)
        else {
            let incomparable = seen.is_none() || position == Position::Incomparable;
            return incomparable.then_some(Verdict::of(Outcome::Incomparable));
        };
        if seen <= version {
            // What a list brought is no merit of the watch.
            return streamed.then(|| self.fresh(Outcome::Fresh));
        }
        let newest = self.pending.back().is_none_or(|(last, _)| *last < seen);
        if newest && self.pending.len() < PENDING {
            self.pending.push_back((seen, now));
        }
        None
    }

    /// Takes in what a second watch brought.
    fn looked(&mut self, now: Instant, up_to: u64, sight: &Sight, position: Position) -> Verdict {
        let Position::At {
            version, streamed, ..
        } = position
        else {
            self.pending.clear();
            return Verdict::of(Outcome::Unproven);
        };
        let proven = match *sight {
            _ if version >= up_to => {
                return match streamed {
                    true => self.fresh(Outcome::Fresh),
                    false => Verdict::of(Outcome::Slow),
                };
            }
            Sight::Change(change) if change <= up_to && version >= change => {
                self.wait_again(now);
                return Verdict::of(Outcome::Slow);
            }
            Sight::Change(change) if change <= up_to => return self.is_behind(),
            Sight::Change(change) => change - 1,
            Sight::Bookmark(at) if at >= up_to => {
                self.tells |= !self.selective;
                at
            }
            Sight::Bookmark(_) | Sight::Nothing => return self.unproven(now, version),
        };
        while self
            .pending
            .front()
            .is_some_and(|(up_to, _)| *up_to <= proven)
        {
            self.pending.pop_front();
        }
        self.fresh(Outcome::Quiet)
    }

    /// Takes in that a second watch could not be opened.
    fn failed(&mut self, now: Instant) {
        self.wait_again(now);
    }

    fn wait_again(&mut self, now: Instant) {
        if let Some((_, since)) = self.pending.front_mut() {
            *since = now;
        }
    }

    fn fresh(&mut self, outcome: Outcome) -> Verdict {
        self.behind = 0;
        self.idle = 0;
        Verdict::of(outcome)
    }

    fn is_behind(&mut self) -> Verdict {
        self.behind = self.behind.saturating_add(1);
        self.pending.clear();
        Verdict {
            outcome: Outcome::Behind,
            list: true,
        }
    }

    fn unproven(&mut self, now: Instant, version: u64) -> Verdict {
        if self.tells {
            return self.is_behind();
        }
        self.pending.clear();
        let list = now >= self.rest;
        if list {
            self.before = Some(version);
        }
        Verdict {
            outcome: Outcome::Unproven,
            list,
        }
    }
}

#[cfg(test)]
mod tests;
