//! Changes of a stream's subscriptions by requests of both dialects.

use std::collections::HashSet;
use std::sync::Arc;

use super::{MAX_NAME, MAX_NAMES, MAX_REMEMBERED, ProtocolError, Session};
use crate::dialect::Dialect;
use crate::session::state::subscription::{Mode, WILDCARD};
use crate::session::state::type_state::RemovalForm;
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
        let begins = !self.states[index].subscription().is_active();
        if begins && part.more {
            self.first_in_parts = Some(index);
        }
        let first = begins || self.first_in_parts == Some(index);
        if !first && subscribe.is_empty() && unsubscribe.is_empty() {
            return Ok(());
        }
        self.check(index, subscribe.iter().copied())?;
        self.check(index, initial.iter().map(|(name, _)| *name))?;
        self.states[index].set_digest(None);
        self.interest.add_names(index, subscribe);
        if begins {
            let own = (!subscribe.is_empty(), !unsubscribe.is_empty());
            let none = part.named.unwrap_or(own) == (false, false);
            let mode = match self.types.spec(index).legacy_wildcard && none {
                true => Mode::Legacy,
                false => Mode::Explicit { wildcard: false },
            };
            self.states[index].set_mode(mode);
            if mode == Mode::Legacy {
                self.owe_everything(index, store);
            }
        }
        if let Some(demanded) = self.demanded(index) {
            demanded.change(subscribe, unsubscribe);
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
            Dialect::Delta => self.states[index].subscription().len(),
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
        let mode = self.states[index].subscription().mode();
        if names.is_empty() && (mode == Mode::Legacy || (mode == Mode::Unset && legacy)) {
            if mode == Mode::Unset {
                self.states[index].set_mode(Mode::Legacy);
                self.states[index].set_client_version(parse_version(version));
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
        let mode = self.states[index].subscription().mode();
        self.check(index, names.iter().copied())?;
        self.interest.add_names(index, names);
        if let Some(demanded) = self.demanded(index) {
            demanded.replace(names);
        }
        match names.contains(&WILDCARD) {
            true => {
                if mode == Mode::Unset {
                    self.states[index].set_client_version(parse_version(version));
                }
                self.start_wildcard(index, store);
            }
            false => {
                let state = &mut self.states[index];
                state.set_mode(Mode::Explicit { wildcard: false });
                // A client that comes with something learns from a complete response what of it is
                // gone (xDS rule 21).
                let complete = self.types.spec(index).complete;
                if complete && mode == Mode::Unset && !version.is_empty() {
                    state.require_answer();
                }
            }
        }
        let (ids, missing) = self.find_names(index, names, store)?;
        let returning = mode == Mode::Unset && !version.is_empty();
        self.note_missing(index, &missing, returning, store);
        let state = &mut self.states[index];
        if state.settle_missing(&missing) && self.types.spec(index).complete {
            state.require_answer();
        }
        let (new, fewer) = state.replace_names(ids, missing);
        if fewer || !new.is_empty() || state.subscription().mode() != mode {
            state.set_digest(None);
            if mode != Mode::Unset {
                state.set_client_version(None);
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
        let others = self.remembered_bytes() - self.states[index].subscription().missing_bytes();
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
            state.subscribe_anew(id, &store.slot(index, id).name, now, gate);
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
            Some(id) => state.subscribe(id, name, now, gate),
            None => state.subscribe_missing(name.into()),
        }
    }

    fn unsubscribe(&mut self, index: usize, name: &str, store: &Store, next: &mut ResourceId) {
        let id = self.visible_in_turn(index, name, store, next);
        let (now, gate) = (self.now, self.gate_asked(index));
        let found = id.map(|id| (id, &store.slot(index, id).name));
        let covered = self.states[index].unsubscribe(name, found, now, gate);
        if !covered && let Some(id) = id {
            self.awaited.take(index, &[id]);
            self.awaited.drop_referring(index, |gone| gone == id);
        }
    }

    fn start_wildcard(&mut self, index: usize, store: &Store) {
        let was = self.states[index].subscription().is_wildcard();
        let mode = Mode::Explicit { wildcard: true };
        self.states[index].set_mode(mode);
        if !was {
            self.owe_everything(index, store);
            self.count_what_may_be_read(index, store);
        }
    }

    /// Counts as held, or as removed, what the client may still read in responses to an earlier
    /// wildcard: it may be gone already, or go before it is sent again.
    fn count_what_may_be_read(&mut self, index: usize, store: &Store) {
        // A complete response shows it, and one is due.
        let complete = self.dialect == Dialect::Sotw && self.types.spec(index).complete;
        let says_absent = self.says_absent() && !complete;
        let now = self.now;
        for name in self.states[index].take_unsettled() {
            let id = self.visible(index, &name, store);
            let state = &mut self.states[index];
            match id {
                Some(id) => state.may_be_read(id),
                None if says_absent => state.may_be_read_missing(name, now),
                None => {}
            }
        }
    }

    fn end_wildcard(&mut self, index: usize, store: &Store) {
        let mode = Mode::Explicit { wildcard: false };
        self.states[index].set_mode(mode);
        self.states[index].waive_answer();
        self.drop_uncovered(index, store);
    }

    /// Forgets what was sent or owed of names no longer subscribed to, so that a new subscription
    /// to them is answered anew (xDS rules 24, 44).
    fn drop_uncovered(&mut self, index: usize, store: &Store) {
        if self.removal_form(index) == RemovalForm::Empty {
            self.states[index].drop_empties();
        }
        let state = &mut self.states[index];
        let dropped = state.drop_unsubscribed((store, index));
        if let Some(dropped) = dropped.filter(|_| !self.awaited.is_empty()) {
            self.awaited.take(index, &dropped);
            let subscription = state.subscription();
            self.awaited
                .drop_referring(index, |id| !subscription.is_named(id));
        }
    }

    /// Owes all resources of a type that the stream sees and the client does not hold.
    fn owe_everything(&mut self, index: usize, store: &Store) {
        self.interest = self.interest | Interest::wildcard(index);
        let (now, gate) = (self.now, self.gate_asked(index));
        let state = &mut self.states[index];
        state.require_answer();
        for id in store.ids(index) {
            if store.slot(index, id).resolve(&self.layers).is_some() {
                state.owe_unless_held(id, now, gate);
            }
        }
    }
}
