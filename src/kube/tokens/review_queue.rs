//! Decides which token is reviewed next, so that a flood of tokens does not become a flood of
//! requests: plain state without I/O.
//!
//! The number of reviews at a time and per second is bounded; new tokens take turns with those that
//! are due again, so that neither keeps the other out. When the API server is away, or says that it
//! has too much to do, reviews pause.

use std::collections::VecDeque;
use std::time::Instant;

use super::limits::Limits;
use super::token::Hash;
use crate::kube::backoff::Backoff;
use crate::kube::rate::Rate;
use crate::kube::wire::Failure;

/// The queue of tokens that wait for a review, with rate limit and backoff.
#[derive(Debug)]
pub(super) struct ReviewQueue {
    limits: Limits,
    /// Tokens that are not in the cache, with when they came, the oldest first.
    new: VecDeque<(Instant, Hash)>,
    /// Accepted tokens that are due to be reviewed again.
    again: VecDeque<Hash>,
    /// The last review was a new token's.
    was_new: bool,
    in_flight: usize,
    rate: Rate,
    backoff: Backoff,
    /// Until when no review begins.
    pause: Option<Instant>,
    /// Why the last review failed, if none has succeeded since.
    trouble: Option<Failure>,
}

impl ReviewQueue {
    pub(super) fn new(limits: Limits, random: fastrand::Rng) -> ReviewQueue {
        ReviewQueue {
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

    /// Queues a new token. `false`: the queue is full.
    pub(super) fn add(&mut self, hash: Hash, now: Instant) -> bool {
        let room = self.new.len() < self.limits.waiting;
        if room {
            self.new.push_back((now, hash));
        }
        room
    }

    /// Queues an accepted token that is due again.
    pub(super) fn add_again(&mut self, hash: Hash) {
        self.again.push_back(hash);
    }

    /// Why no review begins now; `None` if reviews may begin.
    pub(super) fn paused(&self, now: Instant) -> Option<&Failure> {
        let paused = self.pause.is_some_and(|pause| pause > now);
        self.trouble.as_ref().filter(|_| paused)
    }

    /// Why the last review failed, if none has succeeded since.
    pub(super) fn trouble(&self) -> Option<&Failure> {
        self.trouble.as_ref()
    }

    /// When there is something to do: a review to begin, or a new token that has waited for too
    /// long.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let late = self
            .new
            .front()
            .map(|(since, _)| *since + self.limits.patience);
        let waiting = !self.new.is_empty() || !self.again.is_empty();
        let turn = (waiting && self.in_flight < self.limits.in_flight).then(|| self.allowed(now));
        late.into_iter().chain(turn).min()
    }

    /// The next token to review; [`ReviewQueue::done`] has to follow.
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

    /// Gives back a token that was taken and needs no review.
    pub(super) fn skip(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Removes a new token that has waited for too long.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<Hash> {
        let (since, _) = self.new.front()?;
        if *since + self.limits.patience > now {
            return None;
        }
        self.new.pop_front().map(|(_, hash)| hash)
    }

    /// Removes all new tokens that wait.
    pub(super) fn take_new(&mut self) -> impl Iterator<Item = Hash> + use<> {
        std::mem::take(&mut self.new)
            .into_iter()
            .map(|(_, hash)| hash)
    }

    /// Takes in that a review has ended. Returns whether every review would meet this failure now.
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

/// Whether a failure is about the server, and not about one token.
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

/// The failure as text, with what to do about it.
pub(super) fn explain(failure: &Failure) -> String {
    match failure {
        Failure::Refused { code: 403, .. } => format!(
            "{failure}; Seaway needs the permission to create tokenreviews (authentication.k8s.io)"
        ),
        failure => failure.to_string(),
    }
}
