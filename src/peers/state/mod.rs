//! Which replica is behind, which disagree, and whether this one leaves its proxies to the others.
//! Plain state: digests go in, with when they came by this machine's clock; a [`Standing`] comes
//! out. No clock of another machine is ever looked at.
//!
//! A replica leaves only by proof that others serve better: one that is fresh has answered within
//! the last seconds, and this one has told for longer than that that it is stale. Who was told
//! that does not count on this one, so of replicas that become stale together the last one to say
//! so stays.

mod compare;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::digest::{ContentKey, Digest, State};
use compare::Comparison;
pub(crate) use compare::{Behind, Disagreement};

/// How many peers there may be.
pub(crate) const MAX_PEERS: usize = 16;
/// How long a peer that has fallen silent is remembered.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// A version that a peer has been at for so long, and this replica has not reached, is a lag.
    pub(crate) behind: Duration,
    /// A peer that has said nothing for longer does not count.
    pub(crate) answered: Duration,
    /// For so long a replica tells that it is stale before it leaves: longer than `answered`.
    pub(crate) told: Duration,
    /// After so long without a fresh peer a replica that has left comes back.
    pub(crate) alone: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            behind: Duration::from_secs(10),
            answered: Duration::from_secs(3),
            told: Duration::from_secs(4),
            alone: Duration::from_secs(5),
        }
    }
}

/// Where this replica stands among its peers.
#[derive(Debug, PartialEq)]
pub(crate) struct Standing {
    /// What this replica is to tell of itself.
    pub(crate) state: State,
    /// The watches that lack what a peer has, the first peer that has it for each.
    pub(crate) behind: Vec<Behind>,
    /// Watches that are to list anew; each is named once for each lag.
    pub(crate) list: Vec<Arc<str>>,
    /// What equal replicas make differently of the same objects.
    pub(crate) disagreements: Vec<Disagreement>,
    /// What the peers say of themselves; `None` of those that do not answer.
    pub(crate) peers: Vec<Option<State>>,
}

/// What is known of one peer.
#[derive(Debug)]
struct Peer {
    digest: Digest,
    heard: Instant,
    comparison: Comparison,
}

/// This replica and its peers.
#[derive(Debug)]
pub(crate) struct Peers {
    timing: Timing,
    others: BTreeMap<Arc<str>, Peer>,
    /// Since when this replica tells that it is stale.
    stale: Option<Instant>,
    out: bool,
    /// When a fresh peer last was there.
    company: Option<Instant>,
}

impl Peers {
    /// No peers yet.
    pub(crate) fn new(timing: Timing) -> Peers {
        Peers {
            timing,
            others: BTreeMap::new(),
            stale: None,
            out: false,
            company: None,
        }
    }

    /// Takes in the digest of a peer. `false`: there are too many peers.
    pub(crate) fn heard(&mut self, digest: Digest, now: Instant) -> bool {
        if let Some(peer) = self.others.get_mut(&digest.instance) {
            (peer.digest, peer.heard) = (digest, now);
            return true;
        }
        if self.others.len() >= MAX_PEERS {
            return false;
        }
        let peer = Peer {
            comparison: Comparison::default(),
            heard: now,
            digest,
        };
        self.others.insert(peer.digest.instance.clone(), peer);
        true
    }

    /// Looks at everything. `own` has the state that this replica would have without its peers:
    /// it is syncing, fresh, stale by its own probes, doubtful or draining.
    pub(crate) fn look(&mut self, own: &Digest, now: Instant) -> Standing {
        self.others
            .retain(|_, peer| now.saturating_duration_since(peer.heard) < FORGOTTEN);
        let timing = self.timing;
        let mut standing = Standing {
            state: own.state,
            behind: Vec::new(),
            list: Vec::new(),
            disagreements: Vec::new(),
            peers: Vec::new(),
        };
        let answers = |peer: &Peer| now.saturating_duration_since(peer.heard) <= timing.answered;
        for peer in self.others.values_mut() {
            let answers = answers(peer);
            let state = answers.then_some(peer.digest.state);
            standing.peers.push(state);
            // Only who is told everything is a measure for others.
            let fresh = state == Some(State::Fresh);
            let Peer {
                digest, comparison, ..
            } = peer;
            comparison.update(own, digest, fresh, now);
            standing
                .behind
                .extend(comparison.behind(digest, now, timing.behind));
            standing
                .list
                .extend(comparison.take_late(now, timing.behind));
            if own.state == State::Fresh {
                let found = comparison.disagreements(digest, now, timing.behind);
                standing.disagreements.extend(found);
            }
        }
        standing.list.sort();
        standing.list.dedup();
        let others = self.others.values();
        let fresh = others.filter(|peer| answers(peer) && peer.digest.state == State::Fresh);
        let fresh: Vec<&Digest> = fresh.map(|peer| &peer.digest).collect();
        if !fresh.is_empty() {
            self.company = Some(now);
        }
        let stale = own.state == State::Stale || !standing.behind.is_empty();
        let equal = fresh.iter().any(|peer| compare::is_equal(own, peer));
        standing.state = match own.state {
            State::Fresh | State::Stale | State::Doubtful => {
                let decided = self.decide(stale, !fresh.is_empty(), equal, now);
                match decided {
                    State::Fresh => own.state,
                    other => other,
                }
            }
            other => {
                (self.out, self.stale) = (false, None);
                other
            }
        };
        standing
    }

    /// Decides whether this replica serves. `fresh`: a peer is; `equal`: and has nothing else than
    /// this replica.
    fn decide(&mut self, stale: bool, fresh: bool, equal: bool, now: Instant) -> State {
        let since = match stale {
            true => Some(*self.stale.get_or_insert(now)),
            false => None,
        };
        self.stale = since;
        let company = self.company;
        let is_alone =
            company.is_none_or(|at| now.saturating_duration_since(at) >= self.timing.alone);
        if self.out {
            // What it has is better than nobody.
            let back = is_alone || (!stale && equal);
            if back {
                self.out = false;
                self.stale = stale.then_some(now);
            }
        } else if let Some(since) = since {
            let told = now.saturating_duration_since(since) >= self.timing.told;
            self.out = told && fresh;
        }
        match (self.out, stale) {
            (true, _) => State::Out,
            (false, true) => State::Stale,
            (false, false) => State::Fresh,
        }
    }
}

#[cfg(test)]
mod tests;
