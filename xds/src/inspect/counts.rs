//! How many streams see each resource of a page, and how far their clients are with it.
//!
//! A page has up to a thousand resources and a server as many streams, nearly all of which hold all
//! they ask for. What only one layer has is therefore taken together, and a stream that holds all
//! of that is counted once.

use std::collections::BTreeMap;

use super::resources::{Place, ResourceReport};
use super::{Inspector, lock};
use crate::session::Session;
use crate::store::id_set::Ids;
use crate::store::{LayerId, Store};

/// A page: each resource with its place.
pub(super) type Page = Vec<(Place, ResourceReport)>;

/// The resources of one type on a page.
struct OfType {
    index: usize,
    /// What one layer alone has.
    groups: BTreeMap<LayerId, Group>,
    /// The positions on the page of all others.
    others: Vec<usize>,
}

/// Resources of one type that one layer has and no other.
#[derive(Default)]
struct Group {
    ids: Ids,
    /// Their positions on the page.
    positions: Vec<usize>,
    /// The commit that was the last to change one of them.
    newest: u64,
    /// The number of streams whose client has all of them.
    held_by: usize,
}

impl Inspector {
    /// A page with each stream counted for what it sees of it.
    pub(super) fn counted(&self, mut page: Page) -> Vec<ResourceReport> {
        if !page.is_empty() {
            let (seq, mut types) = self.grouped(&page);
            for (_, session) in self.open.open() {
                let session = lock(&session);
                let store = self.snapshots.read();
                let unchanged = store.seq() == seq;
                for of_type in &mut types {
                    of_type.count(&session, (&store, unchanged), &mut page);
                }
            }
            for group in types.iter().flat_map(|of| of.groups.values()) {
                for at in &group.positions {
                    if let Some((_, report)) = page.get_mut(*at) {
                        report.seen_by += group.held_by;
                        report.held_by += group.held_by;
                    }
                }
            }
        }
        page.into_iter().map(|(_, report)| report).collect()
    }

    /// The resources of a page by type and layer, and the commit of which that is true.
    fn grouped(&self, page: &Page) -> (u64, Vec<OfType>) {
        let store = self.snapshots.read();
        let mut types: Vec<OfType> = Vec::new();
        for (at, ((index, id), report)) in page.iter().enumerate() {
            if types.last().is_none_or(|of| of.index != *index) {
                types.push(OfType {
                    index: *index,
                    groups: BTreeMap::new(),
                    others: Vec::new(),
                });
            }
            let Some(of_type) = types.last_mut() else {
                continue;
            };
            let slot = store.try_slot(*index, *id);
            let alone = slot.filter(|slot| {
                let mut entries = slot.entries.iter().filter(|of| !of.value.is_nothing());
                let only = entries.next().filter(|_| entries.next().is_none());
                only.is_some_and(|of| of.layer == report.layer && of.since == report.seq)
            });
            match alone.filter(|_| report.version.is_some()) {
                Some(slot) => {
                    let group = of_type.groups.entry(report.layer).or_default();
                    group.ids.insert(*id);
                    group.positions.push(at);
                    group.newest = group.newest.max(slot.changed());
                }
                None => of_type.others.push(at),
            }
        }
        (store.seq(), types)
    }
}

impl OfType {
    /// Counts a stream for those of the resources that it sees.
    fn count(&mut self, session: &Session, (store, unchanged): (&Store, bool), page: &mut Page) {
        let standings = session.standings(self.index);
        let mut singly = |positions: &[usize]| {
            for at in positions {
                let Some(((index, id), report)) = page.get_mut(*at) else {
                    continue;
                };
                let Some(slot) = store.try_slot(*index, *id) else {
                    continue;
                };
                let decisive = slot.decisive(session.layers());
                // What has changed since the page was made is another resource.
                if decisive.is_none_or(|of| of.layer != report.layer || of.since != report.seq) {
                    continue;
                }
                match standings.of(*id, slot) {
                    Some(standing) if report.version.is_some() => report.count(standing),
                    Some(_) => report.seen_by += 1,
                    None => {}
                }
            }
        };
        singly(&self.others);
        for layer in session.layers().iter() {
            match self.groups.get_mut(layer) {
                Some(of) if unchanged && standings.are_held(&of.ids, of.newest) => of.held_by += 1,
                Some(of) => singly(&of.positions),
                None => {}
            }
        }
    }
}
