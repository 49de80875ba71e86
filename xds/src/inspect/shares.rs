//! How far the clients of streams are with some resources together: for an answer that is made of
//! several, which is true of a client that has all of them.

use std::sync::Arc;

use seaway_proto::TypeUrl;

use super::{Inspector, StreamFacts, lock};
use crate::session::{Session, Standing};
use crate::store::{ResourceId, Store};

/// The most rejections of a stream that are reported.
const LISTED: usize = 8;

/// A stream whose client asks for some of the resources.
#[derive(Clone, Debug)]
pub struct ShareReport {
    /// What is known of the stream from its beginning.
    pub facts: Arc<StreamFacts>,
    /// Where that resource stands with the client that is the furthest from being held.
    pub standing: Standing,
    /// The first of the resources that the client rejects, each with its words.
    pub rejected: Vec<RejectedShare>,
}

/// One of the resources, which a client rejects.
#[derive(Clone, Debug)]
pub struct RejectedShare {
    /// The type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: Arc<str>,
    /// What the client says of it.
    pub error: String,
}

/// A resource, by the index of its type and its id.
type Place = (usize, ResourceId, Arc<str>);

impl Inspector {
    /// The number of streams that `which` chooses, and those of them whose clients ask for some of
    /// these resources: those with one of the types and names, and those that `made` chooses by
    /// type and origin, for which all resources of the type are looked through.
    pub fn shares<'a>(
        &self,
        which: impl Fn(&StreamFacts) -> bool,
        names: impl IntoIterator<Item = (TypeUrl, &'a str)>,
        made: (impl Fn(TypeUrl) -> bool, impl Fn(&str) -> bool),
    ) -> (usize, Vec<ShareReport>) {
        let places = self.places(names, made);
        let mut chosen = self.open.open();
        chosen.retain(|(facts, _)| which(facts));
        let connected = chosen.len();
        if places.is_empty() {
            return (connected, Vec::new());
        }
        let shares = chosen.into_iter().filter_map(|(facts, session)| {
            let session = lock(&session);
            let store = self.snapshots.read();
            let (standing, rejected) = self.share(&session, &store, &places)?;
            Some(ShareReport {
                facts,
                standing,
                rejected,
            })
        });
        (connected, shares.collect())
    }

    fn places<'a>(
        &self,
        names: impl IntoIterator<Item = (TypeUrl, &'a str)>,
        (of_type, made): (impl Fn(TypeUrl) -> bool, impl Fn(&str) -> bool),
    ) -> Vec<Place> {
        let store = self.snapshots.read();
        let named = names.into_iter().filter_map(|(url, name)| {
            let index = self.index(url)?;
            Some((index, store.find(index, name)?, name.into()))
        });
        let mut places: Vec<Place> = named.collect();
        let types = self.types().specs().iter().enumerate();
        for (index, _) in types.filter(|(_, spec)| of_type(spec.url)) {
            let all = store.ids(index).map(|id| (id, store.slot(index, id)));
            let found = all.filter(|(_, slot)| {
                let mut origins = slot.entries.iter().filter_map(|of| of.value.origin());
                origins.any(|origin| made(origin))
            });
            places.extend(found.map(|(id, slot)| (index, id, slot.name.clone())));
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Where the worst of these resources stands with a client, and which of them it rejects;
    /// `None` if it asks for none of them.
    fn share(
        &self,
        session: &Session,
        store: &Store,
        places: &[Place],
    ) -> Option<(Standing, Vec<RejectedShare>)> {
        let (mut worst, mut rejected) = (None, Vec::new());
        for of_type in places.chunk_by(|(one, ..), (other, ..)| one == other) {
            let (index, ..) = of_type.first()?;
            let standings = session.standings(*index);
            for (_, id, name) in of_type {
                // What has come in the place of one that has gone is another resource.
                let slot = store
                    .try_slot(*index, *id)
                    .filter(|slot| slot.name == *name);
                let Some(slot) = slot.filter(|slot| slot.resolve(session.layers()).is_some())
                else {
                    continue;
                };
                let Some(standing) = standings.of(*id, slot) else {
                    continue;
                };
                if standing == Standing::Rejected && rejected.len() < LISTED {
                    let words = session.rejection(*index, name);
                    rejected.push(RejectedShare {
                        type_url: self.types().spec(*index).url,
                        name: name.clone(),
                        error: words.map(|(_, error)| error).unwrap_or_default(),
                    });
                }
                worst = worst.max(Some(standing));
            }
        }
        Some((worst?, rejected))
    }
}
