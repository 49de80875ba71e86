//! Changes of what a stream subscribes to.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Fault, MAX_NAME, MAX_NAMES, MAX_REMEMBERED, Session};
use crate::dialect::Dialect;
use crate::session::state::subscription::{Mode, WILDCARD};
use crate::store::Store;
use crate::store::id_set::Ids;
use crate::store::interest::Interest;
use crate::store::name_map::cost;
use crate::wire::request::{List, Part};
use crate::wire::response::parse_version;
use crate::xdstp;

/// After so many names it is looked whether they are too much to remember.
const CHECKED: usize = 64;

impl Session {
    /// Delta: adds and drops names (xDS rules 41-44, 46-50, 56, 57).
    pub(super) fn change_names(
        &mut self,
        index: usize,
        (subscribe, unsubscribe): (&[&str], &[&str]),
        initial: &[(&str, &str)],
        part: Part,
        store: &Store,
    ) -> Result<(), Fault> {
        let begins = !self.subs[index].subscription.is_active();
        if begins && part.more {
            self.first_in_parts = Some(index);
        }
        let first = begins || self.first_in_parts == Some(index);
        if !first && subscribe.is_empty() && unsubscribe.is_empty() {
            return Ok(());
        }
        self.check(index, subscribe.iter().copied())?;
        self.check(index, initial.iter().map(|(name, _)| *name))?;
        self.subs[index].digest = None;
        self.interest.add_names(index, subscribe);
        if begins {
            let own = (!subscribe.is_empty(), !unsubscribe.is_empty());
            let none = part.named.unwrap_or(own) == (false, false);
            let mode = match self.types.spec(index).legacy_wildcard && none {
                true => Mode::Legacy,
                false => Mode::Explicit { wildcard: false },
            };
            self.subs[index].subscription.set_mode(mode);
            if mode == Mode::Legacy {
                self.owe_everything(index, store);
            }
        }
        let mut next = 0;
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

    /// Whether so many names of such lengths are taken besides those that are asked for already (xDS rule 218).
    fn check<'a>(
        &self,
        index: usize,
        names: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<(), Fault> {
        let count = names.len();
        let mut lengths = names.map(str::len);
        if let Some(long) = lengths.find(|length| *length > MAX_NAME) {
            return Err(Fault::LongName(long));
        }
        let before = match self.dialect {
            Dialect::Delta => self.subs[index].subscription.len(),
            Dialect::Sotw => 0,
        };
        match before + count > MAX_NAMES {
            true => Err(Fault::TooManyNames),
            false => Ok(()),
        }
    }

    /// State of the world: the names are the complete new set (xDS rules 20-29, 37).
    pub(super) fn complete_names(
        &mut self,
        index: usize,
        names: &List<'_>,
        version: &str,
        store: &Store,
    ) -> Result<(), Fault> {
        let legacy = self.types.spec(index).legacy_wildcard;
        let mode = self.subs[index].subscription.mode();
        if names.is_empty() && (mode == Mode::Legacy || (mode == Mode::Unset && legacy)) {
            if mode == Mode::Unset {
                self.subs[index].subscription.set_mode(Mode::Legacy);
                self.subs[index].client_version = parse_version(version);
                self.owe_everything(index, store);
            }
            return Ok(());
        }
        if self.subs[index].repeats(names) {
            return Ok(());
        }
        let names = names.read()?;
        xdstp::with(&names, |names| self.set_names(index, names, version, store))
    }

    fn set_names(
        &mut self,
        index: usize,
        names: &[&str],
        version: &str,
        store: &Store,
    ) -> Result<(), Fault> {
        let mode = self.subs[index].subscription.mode();
        self.check(index, names.iter().copied())?;
        self.interest.add_names(index, names);
        match names.contains(&WILDCARD) {
            true => {
                if mode == Mode::Unset {
                    self.subs[index].client_version = parse_version(version);
                }
                self.start_wildcard(index, store);
            }
            false => {
                let sub = &mut self.subs[index];
                sub.subscription
                    .set_mode(Mode::Explicit { wildcard: false });
                // A client that comes with something learns from a complete response what of it is gone (xDS rule 21).
                let complete = self.types.spec(index).complete;
                sub.must_answer |= complete && mode == Mode::Unset && !version.is_empty();
            }
        }
        let (ids, missing) = self.find_names(index, names, store)?;
        let returning = mode == Mode::Unset && !version.is_empty();
        self.note_missing(index, &missing, returning, store);
        let sub = &mut self.subs[index];
        let doubted = sub.doubted.len();
        sub.doubted.retain(|name| !missing.contains(name));
        sub.must_answer |= sub.doubted.len() < doubted && self.types.spec(index).complete;
        let (new, fewer) = sub.subscription.replace_names(ids, missing);
        if fewer || !new.is_empty() || sub.subscription.mode() != mode {
            sub.digest = None;
            if mode != Mode::Unset {
                sub.client_version = None;
            }
        }
        self.owe_new(index, &new, store);
        self.drop_uncovered(index, store);
        self.check_remembered()
    }

    /// The ids of the names that have a value, and the names that have none.
    fn find_names(
        &self,
        index: usize,
        names: &[&str],
        store: &Store,
    ) -> Result<(Ids, HashSet<Arc<str>>), Fault> {
        let (mut ids, mut missing, mut next) = (Ids::default(), HashSet::new(), 0);
        // They take the place of those there are.
        let others = self.remembered_bytes() - self.subs[index].subscription.missing_bytes();
        let mut left = MAX_REMEMBERED.saturating_sub(others);
        for name in names.iter().filter(|name| **name != WILDCARD) {
            match self.visible(index, name, store, &mut next) {
                Some(id) => _ = ids.insert(id),
                None => {
                    left = left.checked_sub(cost(name)).ok_or(Fault::TooMuch)?;
                    missing.insert(Arc::from(*name));
                }
            }
        }
        Ok((ids, missing))
    }

    /// Names that are newly asked for, even if the client was sent them before (xDS rule 23).
    fn owe_new(&mut self, index: usize, new: &[u32], store: &Store) {
        let (now, gate) = (self.now, self.gate_asked(index));
        let sub = &mut self.subs[index];
        for id in new.iter().copied() {
            sub.owed.insert(id, now, gate);
            sub.held_back.remove(id);
            if sub.doubted.contains(&store.slot(index, id).name) {
                sub.held.insert(id);
            }
        }
    }

    /// The id of a name that has a value in this stream's layers. `next` is kept over a list of names (`Store::find_in_turn`).
    pub(super) fn visible(
        &self,
        index: usize,
        name: &str,
        store: &Store,
        next: &mut u32,
    ) -> Option<u32> {
        let id = store.find_in_turn(index, name, next)?;
        store.slot(index, id).resolve(&self.layers)?;
        Some(id)
    }

    fn subscribe(&mut self, index: usize, name: &str, store: &Store, next: &mut u32) {
        let id = self.visible(index, name, store, next);
        let (now, gate) = (self.now, self.gate_asked(index));
        let sub = &mut self.subs[index];
        match id {
            // Even if the client should have it (xDS rule 47), or has rejected it.
            Some(id) => {
                sub.subscription.add_id(id);
                sub.owed.insert(id, now, gate);
                sub.held_back.remove(id);
                sub.absent.remove(name);
            }
            None => {
                let name: Arc<str> = name.into();
                sub.subscription.add_missing(name.clone());
                sub.deny(name, false);
            }
        }
    }

    fn unsubscribe(&mut self, index: usize, name: &str, store: &Store, next: &mut u32) {
        let id = self.visible(index, name, store, next);
        let (now, gate) = (self.now, self.gate_asked(index));
        let sub = &mut self.subs[index];
        let named = sub.subscription.drop_name(name, id);
        match (sub.subscription.is_wildcard(), id) {
            // Still in the wildcard, or not: the client is told which (xDS rule 42).
            (true, Some(id)) if named && !matches!(sub.held_back.get(id), Some(None)) => {
                sub.owed.insert(id, now, gate);
            }
            (true, id) if named => {
                let had = id.is_some_and(|id| sub.held.remove(id));
                sub.deny(name.into(), had);
            }
            (true, _) => {}
            (false, id) => {
                if let Some(id) = id {
                    sub.drop_id(id, &store.slot(index, id).name);
                    self.awaited.take(index, &[id]);
                    self.awaited.drop_referring(index, |gone| gone == id);
                }
                let sub = &mut self.subs[index];
                let absent = sub.absent.remove(name).filter(|(_, had)| *had);
                let had = absent.map(|(name, _)| name);
                for name in sub.removed.remove(name).into_iter().chain(had) {
                    sub.doubt(&name);
                }
            }
        }
    }

    fn start_wildcard(&mut self, index: usize, store: &Store) {
        let was = self.subs[index].subscription.is_wildcard();
        let mode = Mode::Explicit { wildcard: true };
        self.subs[index].subscription.set_mode(mode);
        if !was {
            self.owe_everything(index, store);
            self.doubt_what_it_reads(index, store);
        }
    }

    /// What the client is about to read of an earlier wildcard, it has then: it may be gone already, or go before it is sent again.
    fn doubt_what_it_reads(&mut self, index: usize, store: &Store) {
        // A complete response says it by itself, and one is due.
        let complete = self.dialect == Dialect::Sotw && self.types.spec(index).complete;
        let says_absent = self.says_absent() && !complete;
        let now = self.now;
        for name in self.subs[index].doubted.take().into_keys() {
            let id = self.visible(index, &name, store, &mut 0);
            let sub = &mut self.subs[index];
            match id {
                Some(id) => _ = sub.held.insert(id),
                None if says_absent && !sub.absent.contains(&name) => {
                    sub.removed.insert_new(name, now);
                }
                None => {}
            }
        }
    }

    fn end_wildcard(&mut self, index: usize, store: &Store) {
        let mode = Mode::Explicit { wildcard: false };
        self.subs[index].subscription.set_mode(mode);
        self.subs[index].must_answer = false;
        self.drop_uncovered(index, store);
    }

    /// Forgets what was sent or owed of names no longer subscribed to, so that their return is answered anew (xDS rules 24, 44).
    fn drop_uncovered(&mut self, index: usize, store: &Store) {
        self.drop_emptied(index);
        let sub = &mut self.subs[index];
        for (name, had) in sub.absent.take() {
            let named = |id| sub.subscription.is_named(id);
            if sub.subscription.is_missing(&name) || store.find(index, &name).is_some_and(named) {
                sub.absent.insert(name, had);
            } else if had {
                sub.doubt(&name);
            }
        }
        if sub.subscription.is_wildcard() {
            return;
        }
        let known = sub.held.iter().chain(sub.owed.iter());
        let dropped = known.filter(|id| !sub.subscription.is_named(*id));
        let dropped: Vec<u32> = dropped.collect();
        for id in &dropped {
            sub.drop_id(*id, &store.slot(index, *id).name);
        }
        if !self.awaited.is_empty() {
            self.awaited.take(index, &dropped);
            self.awaited
                .drop_referring(index, |id| !sub.subscription.is_named(id));
        }
        let subscription = &sub.subscription;
        sub.held_back.retain(|id| subscription.is_named(id));
        sub.last_good.retain(|id| subscription.is_named(id));
        sub.rejections.retain(|id| subscription.is_named(id));
        for name in sub
            .removed
            .take_unless(|name| subscription.is_missing(name))
        {
            sub.doubt(&name);
        }
    }

    fn owe_everything(&mut self, index: usize, store: &Store) {
        self.interest = self.interest | Interest::wildcard(index);
        let (now, gate) = (self.now, self.gate_asked(index));
        let sub = &mut self.subs[index];
        sub.must_answer = true;
        for id in store.ids(index) {
            let visible = store.slot(index, id).resolve(&self.layers).is_some();
            if visible && !sub.held.contains(id) {
                sub.owed.insert(id, now, gate);
            }
        }
    }
}
