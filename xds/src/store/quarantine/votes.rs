//! The votes of proxies on a content: which rejected it, and which accepted it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most proxies of each side that are remembered; further votes change nothing.
const VOTERS: usize = 4096;

/// A proxy with a verified identity, and its principal: the owner of the proxy, such as the service
/// account of its pod.
#[derive(Clone, Debug)]
pub(crate) struct Voter {
    pub(crate) identity: Arc<str>,
    pub(crate) principal: Arc<str>,
}

/// The votes on one content: every proxy counts once, as one that rejected or one that accepted it.
#[derive(Debug, Default)]
pub(super) struct Votes {
    rejected: Side,
    accepted: Side,
}

/// The proxies that voted one way, and their principals.
#[derive(Debug, Default)]
struct Side {
    /// The principal of each proxy, by the proxy's identity.
    voters: HashMap<Arc<str>, Arc<str>>,
    /// The number of proxies on this side, by principal.
    principals: BTreeMap<Arc<str>, usize>,
}

impl Votes {
    pub(super) fn reject(&mut self, voter: &Voter) {
        self.accepted.remove(&voter.identity);
        self.rejected.add(voter);
    }

    /// Counts an acceptance, unless the proxy rejected the content on another stream.
    pub(super) fn accept(&mut self, voter: &Voter) {
        if !self.rejected.voters.contains_key(&voter.identity) {
            self.accepted.add(voter);
        }
    }

    /// Whether the content is bad: proxies of at least `quorum` principals rejected it, and more
    /// proxies and more principals rejected than accepted it. Neither a few old proxies of several
    /// principals nor very many of one decide for all others.
    pub(super) fn condemn(&self, quorum: usize) -> bool {
        let (rejected, accepted) = (&self.rejected, &self.accepted);
        rejected.principals.len() >= quorum
            && rejected.principals.len() > accepted.principals.len()
            && rejected.voters.len() > accepted.voters.len()
    }

    /// The principals of the proxies that rejected it, sorted.
    pub(super) fn accusers(&self) -> Vec<Arc<str>> {
        self.rejected.principals.keys().cloned().collect()
    }

    /// The number of proxies that rejected it, and of those that accepted it.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.rejected.voters.len(), self.accepted.voters.len())
    }
}

impl Side {
    fn add(&mut self, voter: &Voter) {
        if self.voters.len() >= VOTERS || self.voters.contains_key(&voter.identity) {
            return;
        }
        let Voter {
            identity,
            principal,
        } = voter.clone();
        *self.principals.entry(principal.clone()).or_default() += 1;
        self.voters.insert(identity, principal);
    }

    fn remove(&mut self, identity: &Arc<str>) {
        if let Some(principal) = self.voters.remove(identity)
            && let Some(count) = self.principals.get_mut(&principal)
        {
            *count -= 1;
            if *count == 0 {
                self.principals.remove(&principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(identity: &str, principal: &str) -> Voter {
        Voter {
            identity: identity.into(),
            principal: principal.into(),
        }
    }

    #[test]
    fn proxies_of_one_principal_are_one_rule_82() {
        let mut votes = Votes::default();
        for pod in 0..100 {
            votes.reject(&voter(&format!("tenant (pod {pod})"), "tenant"));
        }
        assert!(!votes.condemn(2));
        assert!(votes.condemn(1), "one is enough where one is asked for");
        votes.reject(&voter("other", "other"));
        assert!(votes.condemn(2));
        assert_eq!(votes.accusers(), [Arc::from("other"), "tenant".into()]);
    }

    #[test]
    fn a_few_old_proxies_are_outvoted_by_many_that_took_it_rule_82() {
        let mut votes = Votes::default();
        for canary in ["x", "y", "z"] {
            votes.reject(&voter(canary, canary));
        }
        assert!(votes.condemn(3));
        for pod in 0..3 {
            assert!(votes.condemn(3));
            votes.accept(&voter(&format!("fleet (pod {pod})"), "fleet"));
        }
        assert!(!votes.condemn(3));
        votes.reject(&voter("fleet (pod 0)", "fleet"));
        assert!(votes.condemn(3), "it changed its mind");
        votes.accept(&voter("fleet (pod 0)", "fleet"));
        assert_eq!(votes.counts(), (4, 2));
    }

    #[test]
    fn many_of_few_principals_do_not_decide_for_more_principals_rule_82() {
        let mut votes = Votes::default();
        for number in 0..300 {
            let principal = ["a", "b", "c"][number % 3];
            votes.reject(&voter(&format!("{principal} (pod {number})"), principal));
        }
        for other in ["d", "e", "f"] {
            votes.accept(&voter(other, other));
        }
        assert!(!votes.condemn(3));
    }

    #[test]
    fn who_is_remembered_is_bounded() {
        let mut votes = Votes::default();
        for number in 0..VOTERS + 10 {
            votes.reject(&voter(&number.to_string(), "a"));
            votes.accept(&voter(&format!("other {number}"), "b"));
        }
        assert_eq!(votes.counts(), (VOTERS, VOTERS));
    }
}
