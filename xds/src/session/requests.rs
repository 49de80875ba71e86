//! Changes of a stream's subscriptions by requests of both dialects.

use std::collections::HashSet;
use std::sync::Arc;

use super::{MAX_NAME, MAX_NAMES, MAX_REMEMBERED, ProtocolError, Session};
use crate::dialect::Dialect;
use crate::session::state::subscription::{Mode, WILDCARD};
use crate::store::id_set::Ids;
use crate::store::interest::Interest;
use crate::store::name_map::cost;
use crate::store::{ResourceId, Store};
use crate::wire::request::{List, Part};
use crate::wire::response::parse_version;
use crate::xdstp;

/// The number of names after which it is checked whether too much is remembered.
const CHECKED: usize = 64;

impl Session {
    /// Takes the names of a delta request, which add and drop subscriptions (xDS rules 41-44,
    /// 46-50, 56, 57).
    pub(super) fn change_names(
        &mut self,
        index: usize,
        (subscribe, unsubscribe): (&[&str], &[&str]),
        initial: &[(&str, &str)],
        part: Part,
        store: &Store,
    ) -> Result<(), ProtocolError> {
        let begins = !self.states[index].subscription.is_active();
        if begins && part.more {
            self.first_in_parts = Some(index);
        }
        let first = begins || self.first_in_parts == Some(index);
        if !first && subscribe.is_empty() && unsubscribe.is_empty() {
            return Ok(());
        }
        self.check(index, subscribe.iter().copied())?;
        self.check(index, initial.iter().map(|(name, _)| *name))?;
        self.states[index].digest = None;
        self.interest.add_names(index, subscribe);
        if begins {
            let own = (!subscribe.is_empty(), !unsubscribe.is_empty());
            let none = part.named.unwrap_or(own) == (false, false);
            let mode = match self.types.spec(index).legacy_wildcard && none {
                true => Mode::Legacy,
                false => Mode::Explicit { wildcard: false },
            };
            self.states[index].subscription.set_mode(mode);
            if mode == Mode::Legacy {
                self.owe_everything(index, store);
            }
        }
        let mut next = ResourceId::FIRST;
        for names in subscribe.chunks(CHECKED) {
            for name in names {
                match *name {
                    WILDCARD => self.start_wildcard(index, store),
                    name => self.subscribe(index, name, store, &mut next),
                }
            }
            self.check_remembered()?;
        }
        for name in unsubscribe {
            match *name {
                WILDCARD => self.end_wildcard(index, store),
                name => self.unsubscribe(index, name, store, &mut next),
            }
        }
        if first {
            self.resume(index, initial, part, store)?;
        }
        if !part.more {
            self.first_in_parts = None;
        }
        Ok(())
    }

    /// Checks the lengths of names, and their number together with the names subscribed to already
    /// (xDS rule 218).
    fn check<'a>(
        &self,
        index: usize,
        names: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<(), ProtocolError> {
        let count = names.len();
        let mut lengths = names.map(str::len);
        if let Some(long) = lengths.find(|length| *length > MAX_NAME) {
            return Err(ProtocolError::LongName(long));
        }
        let before = match self.dialect {
            Dialect::Delta => self.states[index].subscription.len(),
            Dialect::Sotw => 0,
        };
        match before + count > MAX_NAMES {
            true => Err(ProtocolError::TooManyNames),
            false => Ok(()),
        }
    }

    /// Takes the names of a state-of-the-world request, which are the complete new subscription
    /// (xDS rules 20-29, 37).
    pub(super) fn complete_names(
        &mut self,
        index: usize,
        names: &List<'_>,
        version: &str,
        store: &Store,
    ) -> Result<(), ProtocolError> {
        let legacy = self.types.spec(index).legacy_wildcard;
        let mode = self.states[index].subscription.mode();
        if names.is_empty() && (mode == Mode::Legacy || (mode == Mode::Unset && legacy)) {
            if mode == Mode::Unset {
                self.states[index].subscription.set_mode(Mode::Legacy);
                self.states[index].client_version = parse_version(version);
                self.owe_everything(index, store);
            }
            return Ok(());
        }
        if self.states[index].repeats(names) {
            return Ok(());
        }
        let names = names.read()?;
        xdstp::with(&names, |names| self.set_names(index, names, version, store))
    }

    /// Makes these names the subscription, and owes or drops what differs from the subscription
    /// before.
    fn set_names(
        &mut self,
        index: usize,
        names: &[&str],
        version: &str,
        store: &Store,
    ) -> Result<(), ProtocolError> {
        let mode = self.states[index].subscription.mode();
        self.check(index, names.iter().copied())?;
        self.interest.add_names(index, names);
        match names.contains(&WILDCARD) {
            true => {
                if mode == Mode::Unset {
                    self.states[index].client_version = parse_version(version);
                }
                self.start_wildcard(index, store);
            }
            false => {
                let state = &mut self.states[index];
                state
                    .subscription
                    .set_mode(Mode::Explicit { wildcard: false });
                // A client that comes with something learns from a complete response what of it is
                // gone (xDS rule 21).
                let complete = self.types.spec(index).complete;
                state.must_answer |= complete && mode == Mode::Unset && !version.is_empty();
            }
        }
        let (ids, missing) = self.find_names(index, names, store)?;
        let returning = mode == Mode::Unset && !version.is_empty();
        self.note_missing(index, &missing, returning, store);
        let state = &mut self.states[index];
        let unsettled = state.unsettled.len();
        state.unsettled.retain(|name| !missing.contains(name));
        state.must_answer |= state.unsettled.len() < unsettled && self.types.spec(index).complete;
        let (new, fewer) = state.subscription.replace_names(ids, missing);
        if fewer || !new.is_empty() || state.subscription.mode() != mode {
            state.digest = None;
            if mode != Mode::Unset {
                state.client_version = None;
            }
        }
        self.owe_new(index, &new, store);
        self.drop_uncovered(index, store);
        self.check_remembered()
    }

    /// The ids of the names that exist in this stream's layers, and the names that do not.
    fn find_names(
        &self,
        index: usize,
        names: &[&str],
        store: &Store,
    ) -> Result<(Ids, HashSet<Arc<str>>), ProtocolError> {
        let (mut ids, mut missing, mut next) = (Ids::default(), HashSet::new(), ResourceId::FIRST);
        // They take the place of those there are.
        let others = self.remembered_bytes() - self.states[index].subscription.missing_bytes();
        let mut left = MAX_REMEMBERED.saturating_sub(others);
        for name in names.iter().filter(|name| **name != WILDCARD) {
            match self.visible_in_turn(index, name, store, &mut next) {
                Some(id) => _ = ids.insert(id),
                None => {
                    left = left.checked_sub(cost(name)).ok_or(ProtocolError::TooMuch)?;
                    missing.insert(Arc::from(*name));
                }
            }
        }
        Ok((ids, missing))
    }

    /// Owes resources that are newly subscribed to, even if the client was sent them before (xDS
    /// rule 23).
    fn owe_new(&mut self, index: usize, new: &[ResourceId], store: &Store) {
        let (now, gate) = (self.now, self.gate_asked(index));
        let state = &mut self.states[index];
        for id in new.iter().copied() {
            state.owed.insert(id, now, gate);
            state.held_back.remove(id);
            if state.unsettled.contains(&store.slot(index, id).name) {
                state.held.insert(id);
            }
        }
    }

    /// The id of a name that exists in this stream's layers.
    pub(super) fn visible(&self, index: usize, name: &str, store: &Store) -> Option<ResourceId> {
        let id = store.find(index, name)?;
        store.slot(index, id).resolve(&self.layers)?;
        Some(id)
    }

    /// The id of one of a list of names, if it exists in this stream's layers. `next` is kept over
    /// the list (`Store::find_in_turn`).
    pub(super) fn visible_in_turn(
        &self,
        index: usize,
        name: &str,
        store: &Store,
        next: &mut ResourceId,
    ) -> Option<ResourceId> {
        let id = store.find_in_turn(index, name, next)?;
        store.slot(index, id).resolve(&self.layers)?;
        Some(id)
    }

    fn subscribe(&mut self, index: usize, name: &str, store: &Store, next: &mut ResourceId) {
        let id = self.visible_in_turn(index, name, store, next);
        let (now, gate) = (self.now, self.gate_asked(index));
        let state = &mut self.states[index];
        match id {
            // Even if the client should have it (xDS rule 47), or has rejected it.
            Some(id) => {
                state.subscription.add_id(id);
                state.owed.insert(id, now, gate);
                state.held_back.remove(id);
                state.not_found.remove(name);
            }
            None => {
                let name: Arc<str> = name.into();
                state.subscription.add_missing(name.clone());
                state.deny(name, false);
            }
        }
    }

    fn unsubscribe(&mut self, index: usize, name: &str, store: &Store, next: &mut ResourceId) {
        let id = self.visible_in_turn(index, name, store, next);
        let (now, gate) = (self.now, self.gate_asked(index));
        let state = &mut self.states[index];
        let named = state.subscription.drop_name(name, id);
        match (state.subscription.is_wildcard(), id) {
            // Still in the wildcard, or not: the client is told which (xDS rule 42).
            (true, Some(id)) if named && !matches!(state.held_back.get(id), Some(None)) => {
                state.owed.insert(id, now, gate);
            }
            (true, id) if named => {
                let had = id.is_some_and(|id| state.held.remove(id));
                state.deny(name.into(), had);
            }
            (true, _) => {}
            (false, id) => {
                if let Some(id) = id {
                    state.drop_id(id, &store.slot(index, id).name);
                    self.awaited.take(index, &[id]);
                    self.awaited.drop_referring(index, |gone| gone == id);
                }
                let state = &mut self.states[index];
                let not_found = state.not_found.remove(name).filter(|(_, had)| *had);
                let had = not_found.map(|(name, _)| name);
                for name in state.removed.remove(name).into_iter().chain(had) {
                    state.unsettle(&name);
                }
            }
        }
    }

    fn start_wildcard(&mut self, index: usize, store: &Store) {
        let was = self.states[index].subscription.is_wildcard();
        let mode = Mode::Explicit { wildcard: true };
        self.states[index].subscription.set_mode(mode);
        if !was {
            self.owe_everything(index, store);
            self.doubt_what_it_reads(index, store);
        }
    }

    /// Counts as held, or as removed, what the client may still read in responses to an earlier
    /// wildcard: it may be gone already, or go before it is sent again.
    fn doubt_what_it_reads(&mut self, index: usize, store: &Store) {
        // A complete response says it by itself, and one is due.
        let complete = self.dialect == Dialect::Sotw && self.types.spec(index).complete;
        let says_absent = self.says_absent() && !complete;
        let now = self.now;
        for name in self.states[index].unsettled.take().into_keys() {
            let id = self.visible(index, &name, store);
            let state = &mut self.states[index];
            match id {
                Some(id) => _ = state.held.insert(id),
                None if says_absent && !state.not_found.contains(&name) => {
                    state.removed.insert_new(name, now);
                }
                None => {}
            }
        }
    }

    fn end_wildcard(&mut self, index: usize, store: &Store) {
        let mode = Mode::Explicit { wildcard: false };
        self.states[index].subscription.set_mode(mode);
        self.states[index].must_answer = false;
        self.drop_uncovered(index, store);
    }

    /// Forgets what was sent or owed of names no longer subscribed to, so that a new subscription
    /// to them is answered anew (xDS rules 24, 44).
    fn drop_uncovered(&mut self, index: usize, store: &Store) {
        self.drop_emptied(index);
        let state = &mut self.states[index];
        for (name, had) in state.not_found.take() {
            let named = |id| state.subscription.is_named(id);
            if state.subscription.is_missing(&name) || store.find(index, &name).is_some_and(named) {
                state.not_found.insert(name, had);
            } else if had {
                state.unsettle(&name);
            }
        }
        if state.subscription.is_wildcard() {
            return;
        }
        let known = state.held.iter().chain(state.owed.iter());
        let dropped = known.filter(|id| !state.subscription.is_named(*id));
        let dropped: Vec<ResourceId> = dropped.collect();
        for id in &dropped {
            state.drop_id(*id, &store.slot(index, *id).name);
        }
        if !self.awaited.is_empty() {
            self.awaited.take(index, &dropped);
            self.awaited
                .drop_referring(index, |id| !state.subscription.is_named(id));
        }
        let subscription = &state.subscription;
        state.held_back.retain(|id| subscription.is_named(id));
        state.last_good.retain(|id| subscription.is_named(id));
        state.rejections.retain(|id| subscription.is_named(id));
        for name in state
            .removed
            .take_unless(|name| subscription.is_missing(name))
        {
            state.unsettle(&name);
        }
    }

    /// Owes all resources of a type that the stream sees and the client does not hold.
    fn owe_everything(&mut self, index: usize, store: &Store) {
        self.interest = self.interest | Interest::wildcard(index);
        let (now, gate) = (self.now, self.gate_asked(index));
        let state = &mut self.states[index];
        state.must_answer = true;
        for id in store.ids(index) {
            let visible = store.slot(index, id).resolve(&self.layers).is_some();
            if visible && !state.held.contains(id) {
                state.owed.insert(id, now, gate);
            }
        }
    }
}
