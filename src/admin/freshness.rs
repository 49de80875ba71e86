//! How far a watch has got, and what is known of the rest: the watch says the first, the probes of
//! the API server the second, and `/readyz` and metrics show both.
//!
//! A watch that fails says so itself. What is said here is of a watch that seems to work: its
//! connection is open, and yet others are told what it is not.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// What one probe found out. Names are label values of `freshness_probes_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The watch has reached what the API server had.
    Fresh,
    /// A second watch showed that nothing of the kind has changed up to there.
    Quiet,
    /// The watch has not got there yet, and gets on.
    Slow,
    /// The watch was not told of a change, and another request was.
    Behind,
    /// Nobody is told how far the server is, so nothing is proven.
    Unproven,
    /// There was no answer.
    Failed,
    /// A permission is missing.
    Forbidden,
    /// resourceVersions are no numbers, so that they cannot be compared.
    Incomparable,
}

impl Outcome {
    /// All outcomes.
    pub(crate) const ALL: [Outcome; 8] = [
        Outcome::Fresh,
        Outcome::Quiet,
        Outcome::Slow,
        Outcome::Behind,
        Outcome::Unproven,
        Outcome::Failed,
        Outcome::Forbidden,
        Outcome::Incomparable,
    ];

    /// The label value.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Outcome::Fresh => "fresh",
            Outcome::Quiet => "quiet",
            Outcome::Slow => "slow",
            Outcome::Behind => "behind",
            Outcome::Unproven => "unproven",
            Outcome::Failed => "failed",
            Outcome::Forbidden => "forbidden",
            Outcome::Incomparable => "incomparable",
        }
    }
}

/// Where a watch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// It reads a list, or has yet to begin.
    Listing,
    /// Its resourceVersion is no number.
    Incomparable,
    /// It has read up to this resourceVersion.
    At {
        version: u64,
        /// Something has come on the watch since its list.
        streamed: bool,
        /// The newest resourceVersion of an object in that list.
        newest: u64,
    },
}

/// How far a watch has got, as peers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Everything up to this resourceVersion is known.
    pub(crate) version: u64,
    /// The resourceVersion of the last change.
    pub(crate) changed: u64,
}

/// How far one watch has got, and whether it is stale.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    state: Mutex<State>,
    /// The watch is to list anew.
    list: Notify,
}

/// What is known of one watch.
#[derive(Debug)]
struct State {
    position: Position,
    /// How far it has got, also while it lists.
    reached: Option<Reached>,
    /// How far it is behind by the last probe; `None` before one could tell.
    lag: Option<u64>,
    /// The last probe had no answer.
    unanswered: bool,
    stale: Option<Instant>,
    counts: [u64; Outcome::ALL.len()],
}

impl Default for State {
    fn default() -> State {
        State {
            position: Position::Listing,
            reached: None,
            lag: None,
            unanswered: false,
            stale: None,
            counts: [0; Outcome::ALL.len()],
        }
    }
}

impl Freshness {
    /// Notes that a list begins.
    pub(crate) fn lists(&self) {
        self.lock().position = Position::Listing;
    }

    /// Notes that a list of this version is complete, whose newest object has the version `newest`.
    pub(crate) fn listed(&self, version: &str, newest: u64) {
        let mut state = self.lock();
        let Ok(version) = version.parse() else {
            (state.position, state.reached) = (Position::Incomparable, None);
            return;
        };
        state.position = Position::At {
            version,
            streamed: false,
            newest,
        };
        // What was deleted is not in the list. A server that was restored is at an earlier version.
        let before = state.reached.map(|reached| reached.changed);
        let before = before.filter(|before| *before <= version);
        state.reached = Some(Reached {
            version,
            changed: before.unwrap_or_default().max(newest),
        });
    }

    /// Notes that the watch has got to this version, with a change of an object or without.
    pub(crate) fn streamed(&self, to: &str, change: bool) {
        let mut state = self.lock();
        let Ok(version) = to.parse() else {
            (state.position, state.reached) = (Position::Incomparable, None);
            return;
        };
        if let Position::At { newest, .. } = state.position {
            state.position = Position::At {
                version,
                streamed: true,
                newest,
            };
        }
        if let Some(reached) = &mut state.reached {
            reached.version = version;
            if change {
                reached.changed = version;
            }
        }
    }

    /// How far the watch has got, also while it lists anew; `None` before its first list, and where
    /// versions are no numbers.
    pub(super) fn reached(&self) -> Option<Reached> {
        self.lock().reached
    }

    /// Whether the last probe had no answer, so that nothing is known.
    pub(super) fn is_doubtful(&self) -> bool {
        self.lock().unanswered
    }

    /// Notes that a probe had an answer, of which there is nothing else to say yet.
    pub(crate) fn answered(&self) {
        self.lock().unanswered = false;
    }

    /// Has the watch list anew.
    pub(crate) fn want_list(&self) {
        self.list.notify_one();
    }

    /// Waits until the watch is to list anew.
    pub(crate) async fn list_wanted(&self) {
        self.list.notified().await;
    }

    /// Whether the watch is stale.
    pub(super) fn is_stale(&self) -> bool {
        self.lock().stale.is_some()
    }

    /// Where the watch stands.
    pub(crate) fn position(&self) -> Position {
        self.lock().position
    }

    /// Notes the outcome of a probe that saw the API server at this version.
    pub(crate) fn probed(&self, outcome: Outcome, seen: Option<u64>) {
        let mut state = self.lock();
        if let Some(count) = state.counts.get_mut(outcome as usize) {
            *count = count.saturating_add(1);
        }
        state.unanswered = outcome == Outcome::Failed;
        match (outcome, state.position, seen) {
            (Outcome::Fresh | Outcome::Quiet, ..) => state.lag = Some(0),
            (
                Outcome::Slow | Outcome::Behind | Outcome::Unproven,
                Position::At { version, .. },
                Some(seen),
            ) => state.lag = Some(seen.saturating_sub(version)),
            (Outcome::Incomparable, ..) => state.lag = None,
            _ => {}
        }
    }

    /// Notes whether the watch is stale: behind for not the first time in a row. Returns whether
    /// that has changed.
    pub(super) fn set_stale(&self, stale: bool) -> bool {
        let mut state = self.lock();
        if state.stale.is_some() == stale {
            return false;
        }
        state.stale = stale.then(Instant::now);
        true
    }

    /// Notes that the kind is no longer served: there is nothing to be behind of.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        let counts = state.counts;
        *state = State {
            counts,
            ..State::default()
        };
    }

    /// How many versions the watch is behind; `None` where that cannot be known.
    pub(super) fn lag(&self) -> Option<u64> {
        self.lock().lag
    }

    /// Since when the watch is stale, and how many versions it was behind when that was last
    /// looked at.
    pub(super) fn stale(&self) -> Option<(Instant, u64)> {
        let state = self.lock();
        Some((state.stale?, state.lag.unwrap_or_default()))
    }

    /// How many probes had this outcome.
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        let counts = self.lock().counts;
        counts.get(outcome as usize).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
