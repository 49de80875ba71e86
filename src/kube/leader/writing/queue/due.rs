//! The objects that are due: routes, and those whose status says something of many routes, which go
//! before them. A thousand new routes would else keep their Gateway's status wrong for seconds.

use std::collections::BTreeSet;
use std::time::Instant;

use seaway_translator::{ObjectId, ObjectKind};

/// One of so many turns is a route's, whatever else is due.
const ROUTES: u32 = 4;

/// Objects by the moment from which they are due.
#[derive(Debug, Default)]
pub(super) struct Due {
    routes: BTreeSet<(Instant, ObjectId)>,
    others: BTreeSet<(Instant, ObjectId)>,
    turns: u32,
}

impl Due {
    pub(super) fn len(&self) -> usize {
        self.routes.len() + self.others.len()
    }

    pub(super) fn clear(&mut self) {
        self.routes.clear();
        self.others.clear();
    }

    pub(super) fn insert(&mut self, at: Instant, id: ObjectId) {
        self.of_kind(id.kind).insert((at, id));
    }

    pub(super) fn remove(&mut self, at: Instant, id: &ObjectId) {
        self.of_kind(id.kind).remove(&(at, id.clone()));
    }

    /// When the first of all is due.
    pub(super) fn first(&self) -> Option<Instant> {
        let firsts = [self.routes.first(), self.others.first()];
        firsts.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// Takes out the object whose turn it is, if one is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<ObjectId> {
        let is_due = |set: &BTreeSet<(Instant, ObjectId)>| {
            let first = set.first();
            first.is_some_and(|(at, _)| *at <= now)
        };
        let set = match (is_due(&self.others), is_due(&self.routes)) {
            (false, false) => return None,
            (true, false) => &mut self.others,
            (false, true) => &mut self.routes,
            (true, true) => {
                self.turns = (self.turns + 1) % ROUTES;
                match self.turns {
                    0 => &mut self.routes,
                    _ => &mut self.others,
                }
            }
        };
        set.pop_first().map(|(_, id)| id)
    }

    fn of_kind(&mut self, kind: ObjectKind) -> &mut BTreeSet<(Instant, ObjectId)> {
        match kind {
            ObjectKind::HTTPRoute => &mut self.routes,
            _ => &mut self.others,
        }
    }
}
