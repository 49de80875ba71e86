//! A set of resource ids of one type, one bit each: what a stream subscribes to, holds, or is owed.

use fixedbitset::FixedBitSet;

#[derive(Clone, Debug, Default)]
pub(crate) struct Ids(FixedBitSet);

impl Ids {
    pub(crate) fn contains(&self, id: u32) -> bool {
        self.0.contains(id as usize)
    }

    pub(crate) fn insert(&mut self, id: u32) {
        self.0.grow_and_insert(id as usize);
    }

    /// Removes the id; returns whether it was there.
    pub(crate) fn remove(&mut self, id: u32) -> bool {
        let there = self.contains(id);
        if there {
            self.0.remove(id as usize);
        }
        there
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_clear()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.count_ones(..)
    }

    pub(crate) fn is_subset(&self, of: &Ids) -> bool {
        self.0.is_subset(&of.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.ones().map(|id| id as u32)
    }

    /// Empties the set and gives its memory back.
    pub(crate) fn clear(&mut self) {
        self.0 = FixedBitSet::new();
    }
}
