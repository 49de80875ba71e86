//! Where what a client has differs from what it is to have, resource by resource.

use std::sync::Arc;
use std::time::Instant;

use seaway_proto::{TypeUrl, Version};

use super::resources::first;
use super::{Inspector, lock};
use crate::session::{Session, Standing, Standings};
use crate::store::{ResourceId, Store};

/// A resource that a client does not have as it is to have it.
#[derive(Clone, Debug)]
pub struct DifferenceReport {
    /// The type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: Arc<str>,
    /// The object that the resource is made from; `None` if that is no longer known.
    pub origin: Option<Arc<str>>,
    /// The version that the client is to have. `None`: it is to have none.
    pub version: Option<Version>,
    /// How far the client is with it. `None`: its removal is still to be sent.
    pub standing: Option<Standing>,
    /// Whether the client was sent the resource in some version.
    pub has_some: bool,
    /// The version that the client has instead, where that is known.
    pub kept: Option<Version>,
    /// Since when it is so, as far as that is remembered.
    pub since: Option<Instant>,
    /// What the client said when it rejected the resource.
    pub error: Option<String>,
}

/// A name of a type with which the client is not as it is to be.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    name: Arc<str>,
    /// The resource that has the name and that the client is to have.
    id: Option<ResourceId>,
    /// Since when the name is gone, if its removal is still to be sent.
    gone: Option<Instant>,
}

impl Inspector {
    /// The resources that the client of a stream does not have as it is to have them, sorted by
    /// type (in the order in which types go out) and name: how many there are, and up to `limit` of
    /// those behind `after`. `None`: there is no such stream.
    pub fn differences(
        &self,
        stream: u64,
        after: Option<(TypeUrl, &str)>,
        limit: usize,
    ) -> Option<(usize, Vec<DifferenceReport>)> {
        let (_, session) = self.open.find(stream)?;
        let session = lock(&session);
        let store = self.snapshots.read();
        let first_index = after.map_or(0, |(url, _)| self.index(url).unwrap_or(usize::MAX));
        let (mut total, mut page) = (0, Vec::new());
        for (index, spec) in self.types().specs().iter().enumerate() {
            let standings = session.standings(index);
            let mut found = differing((&session, &standings), index, &store);
            total += found.len();
            if index < first_index || page.len() >= limit {
                continue;
            }
            if let Some((_, behind)) = after.filter(|_| index == first_index) {
                found.retain(|of| *of.name > *behind);
            }
            let found = first(found.into_iter(), limit - page.len()).into_iter();
            page.extend(found.map(|of| {
                let session = (&*session, &standings);
                self.difference(session, &store, (spec.url, index), of)
            }));
        }
        Some((total, page))
    }

    fn difference(
        &self,
        (session, standings): (&Session, &Standings<'_>),
        store: &Store,
        (type_url, index): (TypeUrl, usize),
        Found { name, id, gone }: Found,
    ) -> DifferenceReport {
        let id = id.or_else(|| store.find(index, &name));
        let changes = self.snapshots.changes();
        let slot = id.and_then(|id| Some((id, store.try_slot(index, id)?)));
        let body = slot.and_then(|(_, slot)| slot.resolve(session.layers()));
        let standing = slot.filter(|_| body.is_some());
        let standing = standing.and_then(|(id, slot)| standings.of(id, slot));
        let rejection = (standing == Some(Standing::Rejected)).then(|| {
            let since = id.and_then(|id| session.rejected_since(index, id));
            (
                since,
                session.rejection(index, &name).map(|(_, words)| words),
            )
        });
        let published = slot
            .and_then(|(_, slot)| slot.decided_since(session.layers()))
            .and_then(|seq| changes.committed_at(seq));
        let gone = gone.filter(|_| body.is_none());
        let (rejected_since, error) = rejection.unwrap_or_default();
        DifferenceReport {
            type_url,
            origin: (body.or_else(|| slot.and_then(|(_, slot)| slot.any_body())))
                .map(|body| body.origin.clone()),
            version: body.map(|body| body.version),
            standing,
            has_some: body.is_none() || id.is_some_and(|id| session.has_some(index, id)),
            kept: id.and_then(|id| session.kept_version(index, id)),
            since: rejected_since.or(gone).or(published),
            error,
            name,
        }
    }
}

/// The resources of a type that the client has not as it is to have them, in no order.
fn differing(
    (session, standings): (&Session, &Standings<'_>),
    index: usize,
    store: &Store,
) -> Vec<Found> {
    let leaving = session.leaving(index).map(|(name, since)| Found {
        name: name.clone(),
        id: None,
        gone: Some(since),
    });
    let mut found: Vec<Found> = leaving.collect();
    let removed = found.len();
    for id in store.ids(index) {
        let slot = store.slot(index, id);
        let there = slot.resolve(session.layers()).map(|_| id);
        let differs = match there {
            Some(id) => {
                let standing = standings.of(id, slot);
                standing.is_some_and(|standing| standing != Standing::Held)
            }
            None => session.has_some(index, id),
        };
        if differs {
            found.push(Found {
                name: slot.name.clone(),
                id: there,
                gone: None,
            });
        }
    }
    // One that is gone and came back is to be sent, and not to be removed.
    if removed > 0 {
        found.sort_by(|one, other| (&one.name, other.id).cmp(&(&other.name, one.id)));
        found.dedup_by(|one, other| one.name == other.name);
    }
    found
}
