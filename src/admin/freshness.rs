//! How far a watch has got, and what is known of the rest: the watch says the first, the probes of
//! the API server the second, and `/readyz` and metrics show both.
//!
//! A watch that fails says so itself. What is said here is of a watch that seems to work: its
//! connection is open, and yet others are told what it is not.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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
    /// resourceVersions are no numbers, so that they cannot be compared.
    Incomparable,
}

impl Outcome {
    /// All outcomes.
    pub(crate) const ALL: [Outcome; 7] = [
        Outcome::Fresh,
        Outcome::Quiet,
        Outcome::Slow,
        Outcome::Behind,
        Outcome::Unproven,
        Outcome::Failed,
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

/// How far one watch has got, and whether it is stale.
#[derive(Debug)]
pub(crate) struct Freshness(Mutex<State>);

/// What is known of one watch.
#[derive(Debug)]
struct State {
    position: Position,
    /// How far it is behind by the last probe; `None` before one could tell.
    lag: Option<u64>,
    /// When a probe last showed that it has everything.
    proven: Option<Instant>,
    stale: Option<Instant>,
    counts: [u64; Outcome::ALL.len()],
}

impl Default for Freshness {
    fn default() -> Freshness {
        Freshness(Mutex::new(State {
            position: Position::Listing,
            lag: None,
            proven: None,
            stale: None,
            counts: [0; Outcome::ALL.len()],
        }))
    }
}

impl Freshness {
    /// Notes that a list begins.
    pub(crate) fn lists(&self) {
        self.lock().position = Position::Listing;
    }

    /// Notes that a list of this version is complete, whose newest object has the version `newest`.
    pub(crate) fn listed(&self, version: &str, newest: u64) {
        self.lock().position = match version.parse() {
            Ok(version) => Position::At {
                version,
                streamed: false,
                newest,
            },
            Err(_) => Position::Incomparable,
        };
    }

    /// Notes that the watch has got to this version.
    pub(crate) fn streamed(&self, to: &str) {
        let mut state = self.lock();
        state.position = match (to.parse(), state.position) {
            (Ok(version), Position::At { newest, .. }) => Position::At {
                version,
                streamed: true,
                newest,
            },
            (Ok(_), other) => other,
            (Err(_), _) => Position::Incomparable,
        };
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
        match (outcome, state.position, seen) {
            (Outcome::Fresh | Outcome::Quiet, ..) => {
                state.lag = Some(0);
                state.proven = Some(Instant::now());
            }
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
        (state.position, state.lag, state.stale) = (Position::Listing, None, None);
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
