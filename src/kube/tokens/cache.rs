//! Caches the verdicts of TokenReviews: which tokens the API server accepted or refused, and when
//! to review them again. It is plain state without I/O.
//!
//! A token in use is reviewed again now and then. Only a refusal takes it away, and only one that
//! is repeated: an API server that is away or fails changes nothing until the token expires
//! (invariant 2).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Account;
use super::limits::Limits;
use super::review::Identity;
use super::token::{Hash, Token};

/// The accepted and refused tokens, with a schedule of when accepted ones are reviewed again.
#[derive(Debug)]
pub(super) struct Cache {
    limits: Limits,
    accepted: HashMap<Hash, Accepted>,
    refused: Refused,
    /// When to review accepted tokens again. Those whose review is under way are not in it.
    schedule: BTreeSet<(Instant, Hash)>,
    random: fastrand::Rng,
}

/// A token that the API server accepted.
#[derive(Debug)]
struct Accepted {
    token: Token,
    account: Arc<Account>,
    /// When a proxy last presented it.
    used: Instant,
    /// Its time in the schedule, if it is there.
    at: Option<Instant>,
    /// Its last review refused it.
    doubted: bool,
}

impl Accepted {
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.account) > 1
    }
}

impl Cache {
    pub(super) fn new(limits: Limits, random: fastrand::Rng) -> Cache {
        Cache {
            limits,
            accepted: HashMap::new(),
            refused: Refused::default(),
            schedule: BTreeSet::new(),
            random,
        }
    }

    /// How many accepted tokens are known.
    pub(super) fn len(&self) -> usize {
        self.accepted.len()
    }

    /// The verdict on a token that a proxy presents, if there is one in the cache.
    pub(super) fn look(
        &mut self,
        hash: &Hash,
        now: Instant,
    ) -> Option<Result<Arc<Account>, Arc<str>>> {
        if self.is_over(hash, now) {
            self.remove(hash);
        }
        if let Some(accepted) = self.accepted.get_mut(hash) {
            accepted.used = now;
            return Some(Ok(accepted.account.clone()));
        }
        self.refused.why(hash, now).map(Err)
    }

    /// The token with this hash, if it was accepted.
    pub(super) fn token(&self, hash: &Hash) -> Option<&Token> {
        self.accepted.get(hash).map(|accepted| &accepted.token)
    }

    /// Adds a new token that was accepted. `None`: the cache is full, and all of its tokens are in
    /// use.
    pub(super) fn accept(
        &mut self,
        token: Token,
        identity: Identity,
        now: Instant,
    ) -> Option<Arc<Account>> {
        if self.accepted.len() >= self.limits.accepted && !self.make_room() {
            return None;
        }
        let account = Arc::new(Account {
            namespace: identity.namespace,
            name: identity.name,
            node: identity.node,
            pod: identity.pod,
            expires: token.expires,
            revoked: CancellationToken::new(),
        });
        let hash = token.hash;
        let accepted = Accepted {
            token,
            account: account.clone(),
            used: now,
            at: None,
            doubted: false,
        };
        self.remove(&hash);
        self.accepted.insert(hash, accepted);
        self.look_again_about(&hash, now, self.limits.every);
        Some(account)
    }

    /// Adds a new token that was refused.
    pub(super) fn refuse(&mut self, hash: Hash, why: &str, now: Instant) {
        let until = now + self.limits.refused_for;
        self.refused.add(hash, why, until, self.limits.refused);
    }

    /// When [`Cache::take_due`] has a token to give.
    pub(super) fn next(&self) -> Option<Instant> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// The next token to review again. Expired tokens, and those no longer in use, are dropped on
    /// the way.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Hash> {
        while self.next().is_some_and(|at| at <= now) {
            let (_, hash) = self.schedule.pop_first()?;
            let Some(accepted) = self.accepted.get_mut(&hash) else {
                continue;
            };
            accepted.at = None;
            let recently = now.saturating_duration_since(accepted.used) < self.limits.every;
            if accepted.token.until > now && (accepted.is_held() || recently) {
                return Some(hash);
            }
            self.accepted.remove(&hash);
        }
        None
    }

    /// Takes in that another review accepted a token.
    pub(super) fn confirm(&mut self, hash: &Hash, identity: &Identity, now: Instant) {
        let Some(accepted) = self.accepted.get_mut(hash) else {
            return;
        };
        accepted.doubted = false;
        if !is_same(&accepted.account, identity) {
            self.revoke(hash, "it is another account's now");
            return;
        }
        self.look_again_about(hash, now, self.limits.every);
    }

    /// Takes in that another review refused a token: the second time in a row revokes it.
    pub(super) fn doubt(&mut self, hash: &Hash, why: &str, now: Instant) {
        let Some(accepted) = self.accepted.get_mut(hash) else {
            return;
        };
        if accepted.doubted {
            self.revoke(hash, why);
            self.refuse(*hash, why, now);
            return;
        }
        accepted.doubted = true;
        self.look_again(hash, now + self.limits.confirm);
    }

    /// Takes in that another review of a token failed.
    pub(super) fn unanswered(&mut self, hash: &Hash, now: Instant) {
        self.look_again_about(hash, now, self.limits.retry);
    }

    fn revoke(&mut self, hash: &Hash, why: &str) {
        let Some(accepted) = self.remove(hash) else {
            return;
        };
        let Account {
            namespace,
            name,
            pod,
            ..
        } = &*accepted.account;
        let pod = pod.as_deref().unwrap_or_default();
        if accepted.is_held() {
            tracing::warn!(
                source = "kube",
                account = format!("{namespace}/{name}"),
                pod,
                why,
                "a token in use is no longer accepted"
            );
        }
        accepted.account.revoked.cancel();
    }

    /// Schedules the next review of a token, or its removal when it expires before.
    fn look_again(&mut self, hash: &Hash, at: Instant) {
        let Some(accepted) = self.accepted.get_mut(hash) else {
            return;
        };
        let at = at.min(accepted.token.until);
        if let Some(before) = accepted.at.replace(at) {
            self.schedule.remove(&(before, *hash));
        }
        self.schedule.insert((at, *hash));
    }

    /// Schedules the next review with 10 % jitter, so that tokens that came together do not stay
    /// together.
    fn look_again_about(&mut self, hash: &Hash, now: Instant, time: Duration) {
        let time = time.mul_f64(0.9 + self.random.f64() / 5.0);
        self.look_again(hash, now + time);
    }

    fn is_over(&self, hash: &Hash, now: Instant) -> bool {
        let token = self.token(hash);
        token.is_some_and(|token| token.until <= now)
    }

    /// Drops the token that has been out of use for the longest time.
    fn make_room(&mut self) -> bool {
        let unused = self
            .accepted
            .iter()
            .filter(|(_, accepted)| !accepted.is_held());
        let oldest = unused.min_by_key(|(_, accepted)| accepted.used);
        let Some(hash) = oldest.map(|(hash, _)| *hash) else {
            return false;
        };
        self.remove(&hash).is_some()
    }

    fn remove(&mut self, hash: &Hash) -> Option<Accepted> {
        let accepted = self.accepted.remove(hash)?;
        if let Some(at) = accepted.at {
            self.schedule.remove(&(at, *hash));
        }
        Some(accepted)
    }
}

fn is_same(account: &Account, identity: &Identity) -> bool {
    let Identity {
        namespace,
        name,
        node,
        pod,
    } = identity;
    (
        &account.namespace,
        &account.name,
        &account.node,
        &account.pod,
    ) == (namespace, name, node, pod)
}

/// Tokens that were refused recently, by hash, with the reasons.
#[derive(Debug, Default)]
struct Refused {
    why: HashMap<Hash, (Instant, Arc<str>)>,
    /// The order in which they are dropped.
    order: VecDeque<(Instant, Hash)>,
}

impl Refused {
    fn add(&mut self, hash: Hash, why: &str, until: Instant, most: usize) {
        self.why.insert(hash, (until, why.into()));
        self.order.push_back((until, hash));
        while self.order.len() > most {
            self.forget_first();
        }
    }

    fn why(&mut self, hash: &Hash, now: Instant) -> Option<Arc<str>> {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
        self.why.get(hash).map(|(_, why)| why.clone())
    }

    fn forget_first(&mut self) {
        let Some((until, hash)) = self.order.pop_front() else {
            return;
        };
        // It may have been refused once more since.
        if self
            .why
            .get(&hash)
            .is_some_and(|(other, _)| *other == until)
        {
            self.why.remove(&hash);
        }
    }
}
