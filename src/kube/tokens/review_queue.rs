//! Whose review is next: plain state that keeps a flood of tokens from becoming a flood of requests.
//!
//! So many reviews at a time and so many a second, whatever comes; those that wait take turns with those that are due again, so that
//! neither keeps the other out. When the API server is away, or says that it has too much to do, nobody asks for a while.

use std::collections::VecDeque;
use std::time::Instant;

use super::limits::Limits;
use super::token::Hash;
use crate::kube::backoff::Backoff;
use crate::kube::rate::Rate;
use crate::kube::wire::Failure;

/// Who waits for a review.
#[derive(Debug)]
pub(super) struct Turns {
    limits: Limits,
    /// Tokens seen for the first time, with when they came, the oldest first.
    new: VecDeque<(Instant, Hash)>,
    /// Known tokens that are to be looked at again.
    again: VecDeque<Hash>,
    /// The last turn was a new one's.
    was_new: bool,
    in_flight: usize,
    rate: Rate,
    backoff: Backoff,
    /// Until when nobody asks.
    pause: Option<Instant>,
    /// Why the last review failed, if none was answered since.
    trouble: Option<Failure>,
}

impl Turns {
    pub(super) fn new(limits: Limits, random: fastrand::Rng) -> Turns {
        Turns {
            limits,
            new: VecDeque::new(),
            again: VecDeque::new(),
            was_new: false,
            in_flight: 0,
            rate: Rate::new(limits.burst, limits.each),
            backoff: Backoff::new(random),
            pause: None,
            trouble: None,
        }
    }

    /// A new token waits from now on. `false`: too many do.
    pub(super) fn add(&mut self, hash: Hash, now: Instant) -> bool {
        let room = self.new.len() < self.limits.waiting;
        if room {
            self.new.push_back((now, hash));
        }
        room
    }

    /// A known token is due again.
    pub(super) fn add_again(&mut self, hash: Hash) {
        self.again.push_back(hash);
    }

    /// Why nobody asks now.
    pub(super) fn paused(&self, now: Instant) -> Option<&Failure> {
        let paused = self.pause.is_some_and(|pause| pause > now);
        self.trouble.as_ref().filter(|_| paused)
    }

    /// Why the last review failed, if none was answered since.
    pub(super) fn trouble(&self) -> Option<&Failure> {
        self.trouble.as_ref()
    }

    /// When there is something to do: a turn to take, or somebody who has waited for too long.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let late = self
            .new
            .front()
            .map(|(since, _)| *since + self.limits.patience);
        let waiting = !self.new.is_empty() || !self.again.is_empty();
        let turn = (waiting && self.in_flight < self.limits.in_flight).then(|| self.allowed(now));
        late.into_iter().chain(turn).min()
    }

    /// The next token to review; [`Turns::done`] is to follow.
    pub(super) fn take(&mut self, now: Instant) -> Option<Hash> {
        if self.in_flight >= self.limits.in_flight || self.allowed(now) > now {
            return None;
        }
        let new = !self.new.is_empty() && (self.again.is_empty() || !self.was_new);
        let hash = if new {
            self.new.pop_front().map(|(_, hash)| hash)?
        } else {
            self.again.pop_front()?
        };
        self.was_new = new;
        self.in_flight += 1;
        self.rate.take(now);
        Some(hash)
    }

    /// The token that was taken needs no review after all.
    pub(super) fn skip(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A new token that has waited for too long.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<Hash> {
        let (since, _) = self.new.front()?;
        if *since + self.limits.patience > now {
            return None;
        }
        self.new.pop_front().map(|(_, hash)| hash)
    }

    /// All new tokens that wait.
    pub(super) fn take_new(&mut self) -> impl Iterator<Item = Hash> + use<> {
        std::mem::take(&mut self.new)
            .into_iter()
            .map(|(_, hash)| hash)
    }

    /// A review has ended. Says whether the failure is one that everybody would meet now.
    pub(super) fn done(&mut self, failure: Option<&Failure>, now: Instant) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(failure) = failure else {
            if let Some(failure) = self.trouble.take() {
                tracing::info!(source = "kube", %failure, "tokens can be reviewed again");
            }
            return false;
        };
        if self.trouble.as_ref() != Some(failure) {
            let failure = explain(failure);
            tracing::warn!(source = "kube", failure, "tokens cannot be reviewed");
        }
        self.trouble = Some(failure.clone());
        // Reviews that were under way when the first one failed say nothing new.
        if !meets_all(failure) || self.pause.is_some_and(|pause| pause > now) {
            return false;
        }
        self.pause = Some(now + self.backoff.after(failure, now));
        true
    }

    fn allowed(&self, now: Instant) -> Instant {
        let from = self.pause.map_or(now, |pause| pause.max(now));
        self.rate.allowed(from)
    }
}

/// Whether it is about the server, and not about one token.
fn meets_all(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Refused { code, .. } => matches!(code, 401 | 403 | 404 | 429 | 503),
        // A token may be one that it takes long to check, or that it fails over.
        Failure::Silent(_)
        | Failure::Garbled(_)
        | Failure::Foreign(_)
        | Failure::Reversed(_)
        | Failure::Endless(_) => false,
    }
}

/// The failure, with what to do about it.
pub(super) fn explain(failure: &Failure) -> String {
    match failure {
        Failure::Refused { code: 403, .. } => format!(
            "{failure}; Seaway needs the permission to create tokenreviews (authentication.k8s.io)"
        ),
        failure => failure.to_string(),
    }
}
