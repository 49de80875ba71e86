//! A set of resource ids of one type, one bit each: what a stream subscribes to, holds, or is owed.

use fixedbitset::FixedBitSet;

use crate::store::ResourceId;

/// An empty set keeps the memory of this many bits, so that a stream which is owed now one resource
/// and now another does not ask for memory each time.
const KEPT: usize = 8192;
/// A set grows by this many bits at least: most are filled from the first id to the last.
const STEP: usize = 512;

/// A set of resource ids of one type, one bit each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    bits: FixedBitSet,
    len: usize,
}

impl Ids {
    pub(crate) fn contains(&self, id: ResourceId) -> bool {
        self.bits.contains(id.index())
    }

    /// Adds the id; returns whether it is new.
    pub(crate) fn insert(&mut self, id: ResourceId) -> bool {
        let id = id.index();
        if id >= self.bits.len() {
            self.bits.grow((id + 1).next_multiple_of(STEP));
        }
        let new = !self.bits.put(id);
        self.len += usize::from(new);
        new
    }

    /// Removes the id; returns whether it was there.
    pub(crate) fn remove(&mut self, id: ResourceId) -> bool {
        let there = self.contains(id);
        if there {
            self.bits.remove(id.index());
            self.len -= 1;
            if self.len == 0 && self.bits.len() > KEPT {
                self.bits = FixedBitSet::new();
            }
        }
        there
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_subset(&self, of: &Ids) -> bool {
        self.len <= of.len && self.bits.is_subset(&of.bits)
    }

    /// Whether any id is in both.
    pub(crate) fn meets(&self, other: &Ids) -> bool {
        !self.is_empty() && !other.is_empty() && !self.bits.is_disjoint(&other.bits)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.bits.ones().map(ResourceId::from_index)
    }

    pub(crate) fn clear(&mut self) {
        *self = Ids::default();
    }
}

impl Extend<ResourceId> for Ids {
    fn extend<T: IntoIterator<Item = ResourceId>>(&mut self, ids: T) {
        for id in ids {
            self.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_each_id_once() {
        let id = ResourceId::from_index;
        let mut ids = Ids::default();
        ids.extend([3, 3, 70, 20_000].map(id));
        assert_eq!(
            (ids.len(), ids.iter().collect::<Vec<_>>()),
            (3, [3, 70, 20_000].map(id).to_vec())
        );
        assert!(ids.remove(id(70)) && !ids.remove(id(70)) && !ids.remove(id(71)));
        assert!(ids.remove(id(3)) && ids.remove(id(20_000)));
        assert!(ids.is_empty() && !ids.contains(id(3)));
        ids.insert(id(1));
        assert_eq!(ids.len(), 1);
        let mut others = Ids::default();
        assert!(!ids.meets(&others));
        others.insert(id(70_000));
        assert!(!ids.meets(&others) && !others.meets(&ids));
        others.insert(id(1));
        assert!(ids.meets(&others) && others.meets(&ids));
    }
}
