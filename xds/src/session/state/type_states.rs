//! The states of all types of a stream. Most types have nothing to send most of the time, and their
//! states are not read then: most of the cost of a delivery is memory that is not in the cache.

use std::ops::{Index, IndexMut};

use super::type_state::TypeState;
use crate::store::changes::Delivery;

/// The state of each type by its index, and which of them changed since they last had nothing to
/// send.
#[derive(Debug)]
pub(in crate::session) struct TypeStates {
    all: Vec<TypeState>,
    /// One bit for each type; types beyond the last bit share it.
    touched: u64,
    /// The types that were ever changed: all others are as they were made.
    used: u64,
    /// The types that may follow commits of which something is still to be sent.
    following: u64,
}

impl TypeStates {
    pub(in crate::session) fn new(types: usize) -> TypeStates {
        let mut all = Vec::new();
        all.resize_with(types, TypeState::default);
        TypeStates {
            all,
            touched: 0,
            used: 0,
            following: 0,
        }
    }

    pub(in crate::session) fn len(&self) -> usize {
        self.all.len()
    }

    /// The state of a type, for reading only: the type does not count as touched.
    pub(in crate::session) fn at(&self, index: usize) -> &TypeState {
        &self.all[index]
    }

    /// Has a type follow a commit, with which it has no more to send than before: the type does not
    /// count as touched.
    pub(in crate::session) fn follow(&mut self, index: usize, delivery: Delivery) {
        self.following |= bit(index);
        self.used |= bit(index);
        self.all[index].follow(delivery);
    }

    /// Follows no longer the commits of which nothing is left to send.
    pub(in crate::session) fn settle_deliveries(&mut self) {
        if self.following == 0 {
            return;
        }
        let mut following = 0;
        for (index, state) in self.all.iter_mut().enumerate() {
            if self.following & bit(index) != 0 && state.settle_deliveries() {
                following |= bit(index);
            }
        }
        self.following = following;
    }

    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = &TypeState> {
        self.all.iter()
    }

    /// The states that are not as they were made, or may not be.
    pub(in crate::session) fn used(&self) -> impl Iterator<Item = &TypeState> {
        let all = self.all.iter().enumerate();
        all.filter(|(index, _)| self.used & bit(*index) != 0)
            .map(|(_, state)| state)
    }

    /// Whether this type may have something to send; if not, it has nothing.
    pub(in crate::session) fn is_touched(&self, index: usize) -> bool {
        self.touched & bit(index) != 0
    }

    /// Whether any type has something to send, now or later.
    pub(in crate::session) fn is_pending(&mut self) -> bool {
        let mut pending = false;
        let mut touched = 0;
        for (index, state) in self.all.iter().enumerate() {
            if self.touched & bit(index) != 0 && state.is_pending() {
                touched |= bit(index);
                pending = true;
            }
        }
        self.touched = touched;
        pending
    }
}

/// The bit of a type.
pub(in crate::session) fn bit(index: usize) -> u64 {
    1 << index.min(u64::BITS as usize - 1)
}

impl Index<usize> for TypeStates {
    type Output = TypeState;

    fn index(&self, index: usize) -> &TypeState {
        &self.all[index]
    }
}

impl IndexMut<usize> for TypeStates {
    fn index_mut(&mut self, index: usize) -> &mut TypeState {
        self.touched |= bit(index);
        self.used |= bit(index);
        &mut self.all[index]
    }
}
