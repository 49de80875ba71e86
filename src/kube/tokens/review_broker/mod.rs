//! Matches the streams that present tokens with reviews and cached verdicts: plain state without
//! I/O.
//!
//! There is one review per token, however many streams wait for it. `R` is where the answer to one
//! of them goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::cache::Cache;
use super::limits::Limits;
use super::review::Verdict;
use super::review_queue::{ReviewQueue, explain};
use super::token::{Flaw, Hash, Token};
use super::{Account, Refusal};
use crate::kube::wire::Failure;

/// The answer to a stream that presented a token.
pub(super) type Answer = Result<Arc<Account>, Refusal>;

/// Holds the streams that wait for verdicts on tokens, and the answers that are ready for them.
#[derive(Debug)]
pub(super) struct ReviewBroker<R> {
    limits: Limits,
    cache: Cache,
    queue: ReviewQueue,
    /// New tokens whose review has not ended.
    new: HashMap<Hash, New<R>>,
    /// How many streams wait for these.
    askers: usize,
    answers: Vec<(R, Answer)>,
}

/// A token that is not in the cache, with the streams that wait for its verdict.
#[derive(Debug)]
struct New<R> {
    token: Token,
    askers: Vec<R>,
}

impl<R> ReviewBroker<R> {
    pub(super) fn new(limits: Limits, mut random: fastrand::Rng) -> ReviewBroker<R> {
        ReviewBroker {
            limits,
            queue: ReviewQueue::new(limits, random.fork()),
            cache: Cache::new(limits, random),
            new: HashMap::new(),
            askers: 0,
            answers: Vec::new(),
        }
    }

    /// Takes in a token that a stream presents: it is answered from the cache, or waits for a
    /// review.
    pub(super) fn ask(&mut self, token: Token, asker: R, now: Instant) {
        let hash = token.hash;
        match self.cache.look(&hash, now) {
            Some(Ok(account)) => return self.answers.push((asker, Ok(account))),
            Some(Err(why)) => {
                let refusal = Refusal::NotAccepted(why.to_string());
                return self.answers.push((asker, Err(refusal)));
            }
            None => {}
        }
        if self.askers >= self.limits.askers {
            return self.answers.push((asker, Err(Refusal::Busy)));
        }
        if !self.new.contains_key(&hash) {
            if let Some(failure) = self.queue.paused(now) {
                let refusal = Refusal::Unavailable(explain(failure));
                return self.answers.push((asker, Err(refusal)));
            }
            if !self.queue.add(hash, now) {
                return self.answers.push((asker, Err(Refusal::Busy)));
            }
        }
        self.askers += 1;
        let new = self.new.entry(hash).or_insert_with(|| New {
            token,
            askers: Vec::new(),
        });
        new.askers.push(asker);
    }

    /// When [`ReviewBroker::take`] has something to do.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let next = self.queue.next(now).into_iter();
        next.chain(self.cache.next()).min()
    }

    /// The next token to review, if one may begin; [`ReviewBroker::reviewed`] has to follow.
    pub(super) fn take(&mut self, now: Instant) -> Option<Token> {
        while let Some(hash) = self.queue.take_late(now) {
            let refusal = match self.queue.trouble() {
                Some(failure) => Refusal::Unavailable(explain(failure)),
                None => Refusal::Busy,
            };
            self.answer(&hash, &Err(refusal));
        }
        while let Some(hash) = self.cache.take_due(now) {
            self.queue.add_again(hash);
        }
        while let Some(hash) = self.queue.take(now) {
            let new = self.new.get(&hash).map(|new| &new.token);
            // What expired or was answered while it waited has no place any more.
            let token = new.or_else(|| self.cache.token(&hash));
            match token.filter(|token| token.until > now) {
                Some(token) => return Some(token.clone()),
                None => {
                    self.queue.skip();
                    self.answer(&hash, &Err(Flaw::Expired.into()));
                }
            }
        }
        None
    }

    /// Takes in the result of a review.
    pub(super) fn reviewed(&mut self, hash: &Hash, result: Result<Verdict, Failure>, now: Instant) {
        if self.queue.done(result.as_ref().err(), now)
            && let Err(failure) = &result
        {
            let refusal = Err(Refusal::Unavailable(explain(failure)));
            for hash in self.queue.take_new() {
                self.answer(&hash, &refusal);
            }
        }
        let Some(new) = self.new.get(hash) else {
            return self.reviewed_again(hash, result, now);
        };
        let answer = match result {
            Ok(Verdict::Accepted(_)) if new.token.until <= now => Err(Flaw::Expired.into()),
            Ok(Verdict::Accepted(identity)) => {
                let account = self.cache.accept(new.token.clone(), identity, now);
                account.ok_or(Refusal::Busy)
            }
            Ok(Verdict::Refused(why)) => {
                self.cache.refuse(*hash, &why, now);
                Err(Refusal::NotAccepted(why))
            }
            Err(failure) => Err(Refusal::Unavailable(explain(&failure))),
        };
        self.answer(hash, &answer);
    }

    /// Takes the answers that are ready.
    pub(super) fn answers(&mut self) -> Vec<(R, Answer)> {
        std::mem::take(&mut self.answers)
    }

    /// How many accepted tokens are in the cache.
    pub(super) fn cached(&self) -> usize {
        self.cache.len()
    }

    fn reviewed_again(&mut self, hash: &Hash, result: Result<Verdict, Failure>, now: Instant) {
        match result {
            Ok(Verdict::Accepted(identity)) => self.cache.confirm(hash, &identity, now),
            Ok(Verdict::Refused(why)) => self.cache.doubt(hash, &why, now),
            Err(_) => self.cache.unanswered(hash, now),
        }
    }

    /// Answers every stream that waits for this new token.
    fn answer(&mut self, hash: &Hash, answer: &Answer) {
        let askers = self.new.remove(hash).map(|new| new.askers);
        for asker in askers.unwrap_or_default() {
            self.askers -= 1;
            self.answers.push((asker, answer.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
