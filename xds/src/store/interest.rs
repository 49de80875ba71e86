//! Approximate sets by which a commit is matched with the connections that it concerns: a change
//! wakes the streams that subscribe to it and see it, and few others (xDS rule 133).
//!
//! The interest of a connection is a set of bits, in which every type and every name has its own
//! bit or shares one with few others. The notifier keeps the interests of all connections in one
//! array, and a commit scans it. A match may be false, and the woken stream then finds nothing to
//! send; no match is ever missed.

use std::collections::BTreeMap;
use std::ops::BitOr;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::store::{LayerId, PlacementId};

const WORDS: usize = 4;

/// A bit set of types and names: those that a commit changed, or those that a connection's streams
/// subscribe to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest([u64; WORDS]);

impl Interest {
    /// The set of all types and names.
    #[cfg(test)]
    pub(crate) const EVERYTHING: Interest = Interest([u64::MAX; WORDS]);

    /// The subscription to all names of a type.
    pub(crate) fn wildcard(type_index: usize) -> Interest {
        // The first word is for types; more of them than it has bits share the last.
        Interest([1 << type_index.min(u64::BITS as usize - 1), 0, 0, 0])
    }

    /// The subscription to one name of a type.
    pub(crate) fn name(type_index: usize, name: &str) -> Interest {
        let hash = xxh3_64_with_seed(name.as_bytes(), type_index as u64);
        let mut words = [0; WORDS];
        let word = 1 + (hash >> 32) as usize % (WORDS - 1);
        words[word] = 1 << (hash % u64::from(u64::BITS));
        Interest(words)
    }

    /// A change of one name of a type: it concerns subscriptions to that name and to all names.
    pub(crate) fn change(type_index: usize, name: &str) -> Interest {
        Interest::name(type_index, name) | Interest::wildcard(type_index)
    }

    /// Adds subscriptions to names. With very many of them every bit for names is set, and further
    /// ones change nothing.
    pub(crate) fn add_names(&mut self, type_index: usize, names: &[&str]) {
        for name in names {
            if self.0[1..].iter().all(|word| *word == u64::MAX) {
                return;
            }
            *self = *self | Interest::name(type_index, name);
        }
    }

    /// Whether the two sets have a bit in common.
    pub(crate) fn meets(self, other: Interest) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }
}

/// The scope of a commit: what changed in each layer, and which placements have other layers than
/// before. It decides which connections are woken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concerns {
    /// The changes of all layers together.
    any: Interest,
    by_layer: BTreeMap<LayerId, Interest>,
    /// The placements that have other layers than before, in ascending order.
    moved: Vec<PlacementId>,
    /// The changes that concern every connection with that interest, whatever its layers.
    anywhere: Interest,
}

impl Concerns {
    /// A scope that concerns every connection with this interest, whatever its layers.
    pub(crate) fn anywhere(interest: Interest) -> Concerns {
        Concerns {
            anywhere: interest,
            ..Concerns::default()
        }
    }

    /// Adds a change in a layer.
    pub(crate) fn add(&mut self, layer: LayerId, change: Interest) {
        self.any = self.any | change;
        let known = self.by_layer.entry(layer).or_default();
        *known = *known | change;
    }

    /// Sets the placements that have other layers than before.
    pub(crate) fn set_moved(&mut self, mut moved: Vec<PlacementId>) {
        moved.sort_unstable();
        self.moved = moved;
    }

    pub(crate) fn is_empty(&self) -> bool {
        let nothing = Interest::default();
        self.any == nothing && self.anywhere == nothing && self.moved.is_empty()
    }

    /// Whether the commit concerns a connection with this interest, given the placement and layers
    /// of each of its streams.
    pub(crate) fn meets<'a>(
        &self,
        interest: Interest,
        mut all_layers: impl Iterator<Item = (PlacementId, &'a [LayerId])>,
    ) -> bool {
        if interest.meets(self.anywhere) {
            return true;
        }
        let met = interest.meets(self.any);
        if !met && self.moved.is_empty() {
            return false;
        }
        let is_changed = |layer: &LayerId| {
            let change = self.by_layer.get(layer);
            change.is_some_and(|change| interest.meets(*change))
        };
        // A placement may have a hundred layers, where a commit is mostly of one or two.
        let sees_change = |layers: &[LayerId]| match self.by_layer.len() < layers.len() {
            true => {
                let mut changes = self.by_layer.iter();
                changes.any(|(layer, change)| interest.meets(*change) && layers.contains(layer))
            }
            false => layers.iter().any(is_changed),
        };
        all_layers.any(|(placement, layers)| {
            (met && sees_change(layers)) || self.moved.binary_search(&placement).is_ok()
        })
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_concerns_who_asks_for_it_and_few_others() {
        let change = Interest::change(1, "default/web/80");
        assert!(change.meets(Interest::name(1, "default/web/80")));
        assert!(change.meets(Interest::wildcard(1)));
        assert!(change.meets(Interest::EVERYTHING));
        assert!(!change.meets(Interest::wildcard(0)));
        assert!(!change.meets(Interest::default()));
        let others = (0..1000).map(|other| Interest::name(1, &format!("default/web-{other}/80")));
        let in_vain = others.filter(|other| change.meets(*other)).count();
        assert!(in_vain < 20, "{in_vain}");
    }

    #[test]
    fn a_commit_concerns_who_looks_through_the_layer_or_was_moved() {
        let (all, n1, n2) = (LayerId(0), LayerId(1), LayerId(2));
        let mut commit = Concerns::default();
        assert!(commit.is_empty());
        commit.add(n1, Interest::change(1, "a"));
        commit.set_moved(vec![PlacementId(7), PlacementId(5)]);
        let meets = |interest, placement, layers: &[LayerId]| {
            commit.meets(interest, std::iter::once((PlacementId(placement), layers)))
        };
        let interest = Interest::wildcard(1);
        assert!(meets(interest, 1, &[n1, all]));
        assert!(!meets(interest, 2, &[n2, all]));
        assert!(!meets(Interest::wildcard(0), 1, &[n1, all]));
        assert!(meets(Interest::default(), 5, &[n2, all]));
    }
}
