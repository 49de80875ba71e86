//! The published resources, page by page: each in each of its layers, with how many streams see
//! that, and how far their clients are with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use seaway_proto::{ResourceRef, TypeUrl, Version};

use super::counts::Page;
use super::{Inspector, StreamFacts, lock};
use crate::session::Standing;
use crate::store::slot::{Entry, LayerValue, Slot};
use crate::store::{LayerId, ResourceId};
use crate::types::TypeSpec;

/// What a page begins behind: the key of the last resource of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceKey {
    /// The resource's type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: Arc<str>,
    /// The layer.
    pub layer: LayerId,
}

/// A resource in one of its layers, and the streams that see it there.
#[derive(Clone, Debug)]
pub struct ResourceReport {
    /// The type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: Arc<str>,
    /// The layer.
    pub layer: LayerId,
    /// The object the resource was made from, or that hides the name.
    pub origin: Arc<str>,
    /// The version: a hash of the content. `None`: the layer hides the name.
    pub version: Option<Version>,
    /// The size of the content with its frame, in bytes.
    pub bytes: usize,
    /// The commit since which the layer has this.
    pub seq: u64,
    /// When that was made, or a later time if it was long ago.
    pub changed: Option<Instant>,
    /// What the resource refers to.
    pub refs: Box<[ResourceRef]>,
    /// The encoded message; `None` where the layer hides the name, and for types whose contents are
    /// for their client alone.
    pub value: Option<Bytes>,
    /// The number of streams that ask for the name and see what this layer has.
    pub seen_by: usize,
    /// The number of those whose client has this very content, as far as it has said.
    pub held_by: usize,
    /// The number of those whose client was sent it and has not answered.
    pub sent_to: usize,
    /// The number of those whose client is still to be sent it.
    pub owed_by: usize,
    /// The number of those whose client rejects it.
    pub rejected_by: usize,
    /// The number of those from whose client it is held back (xDS rules 82, 127).
    pub held_back_from: usize,
}

impl ResourceReport {
    /// The key of the resource.
    pub fn key(&self) -> ResourceKey {
        ResourceKey {
            type_url: self.type_url,
            name: self.name.clone(),
            layer: self.layer,
        }
    }

    pub(super) fn count(&mut self, standing: Standing) {
        self.seen_by += 1;
        *match standing {
            Standing::Held => &mut self.held_by,
            Standing::Sent => &mut self.sent_to,
            Standing::Owed => &mut self.owed_by,
            Standing::Rejected => &mut self.rejected_by,
            Standing::HeldBack => &mut self.held_back_from,
        } += 1;
    }
}

/// A published resource in one of its layers, which may be chosen.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: &'a str,
    /// The layer.
    pub layer: LayerId,
    value: &'a LayerValue,
}

impl<'a> Candidate<'a> {
    /// The object the resource was made from, or that hides the name. It is not beside the rest in
    /// memory: of many candidates only those that the rest speaks for should be asked.
    pub fn origin(&self) -> &'a str {
        self.value.origin().map_or("", |origin| origin)
    }
}

/// What clients ask for and are to have: each resource with the layer in which they see it.
#[derive(Clone, Debug, Default)]
pub struct Asked(HashMap<TypeUrl, HashMap<Arc<str>, LayerId>>);

impl Asked {
    /// Whether a resource in a layer is among it.
    pub fn has(&self, type_url: TypeUrl, name: &str, layer: LayerId) -> bool {
        let of_type = self.0.get(&type_url);
        of_type.and_then(|of| of.get(name)) == Some(&layer)
    }
}

/// A resource of a page: the index of its type, and its id.
pub(super) type Place = (usize, ResourceId);

/// Some of the published resources, and how many there are.
#[derive(Clone, Debug)]
pub struct ResourcePage {
    /// How many were chosen, each in each of its layers.
    pub total: usize,
    /// Those of the page.
    pub resources: Vec<ResourceReport>,
}

impl Inspector {
    /// The published resources in each of their layers that `which` chooses: how many there are,
    /// and up to `limit` of those behind `after`, sorted by type (in the order in which types go
    /// out), name and layer.
    ///
    /// `which` is asked while nothing can be published, once for each resource in each layer.
    pub fn resources(
        &self,
        which: impl Fn(&Candidate<'_>) -> bool,
        after: Option<&ResourceKey>,
        limit: usize,
    ) -> ResourcePage {
        let (total, page) = self.page(which, after, limit);
        ResourcePage {
            total,
            resources: self.counted(page),
        }
    }

    /// What the clients of these streams ask for and are to have.
    pub fn asked_by(&self, streams: &[Arc<StreamFacts>]) -> Asked {
        let mut asked = Asked::default();
        let open = streams.iter().filter_map(|of| self.open.find(of.number));
        for (_, session) in open {
            let session = lock(&session);
            let store = self.snapshots.read();
            for (index, spec) in self.types().specs().iter().enumerate() {
                let all = session.asked(index, &store);
                let all = all.filter_map(|(_, slot)| {
                    let layer = slot.decisive(session.layers())?.layer;
                    Some((slot.name.clone(), layer))
                });
                asked.0.entry(spec.url).or_default().extend(all);
            }
        }
        asked
    }

    fn page(
        &self,
        which: impl Fn(&Candidate<'_>) -> bool,
        after: Option<&ResourceKey>,
        limit: usize,
    ) -> (usize, Page) {
        let after = after.map(|key| {
            let index = self.index(key.type_url).unwrap_or(usize::MAX);
            (index, &*key.name, key.layer)
        });
        let store = self.snapshots.read();
        let mut total = 0;
        let mut page = Page::new();
        for index in 0..self.types().len() {
            let spec = *self.types().spec(index);
            let is_chosen = &|slot: &Slot, entry: &Entry| {
                let candidate = Candidate {
                    type_url: spec.url,
                    name: &slot.name,
                    layer: entry.layer,
                    value: &entry.value,
                };
                !entry.value.is_nothing() && which(&candidate)
            };
            let entries = store.ids(index).flat_map(|id| {
                let slot = store.slot(index, id);
                let entries = slot.entries.iter();
                let chosen = entries.filter(move |entry| is_chosen(slot, entry));
                chosen.map(move |entry| (&*slot.name, entry.layer, id))
            });
            let behind = entries.inspect(|_| total += 1).filter(|(name, layer, _)| {
                after.is_none_or(|after| (index, *name, *layer) > after)
            });
            for (_, layer, id) in first(behind, limit - page.len()) {
                let slot = store.slot(index, id);
                if let Some(entry) = slot.entry(layer) {
                    let report = self.resource_report(&spec, slot.name.clone(), entry);
                    page.push(((index, id), report));
                }
            }
        }
        (total, page)
    }

    fn resource_report(&self, spec: &TypeSpec, name: Arc<str>, entry: &Entry) -> ResourceReport {
        let body = entry.value.body();
        ResourceReport {
            type_url: spec.url,
            name,
            layer: entry.layer,
            origin: entry.value.origin().cloned().unwrap_or_default(),
            version: body.map(|body| body.version),
            bytes: body.map_or(0, |body| body.len()),
            seq: entry.since,
            changed: self.snapshots.changes().committed_at(entry.since),
            refs: entry.value.refs().into(),
            value: body.filter(|_| !spec.sensitive).map(|body| body.value()),
            seen_by: 0,
            held_by: 0,
            sent_to: 0,
            owed_by: 0,
            rejected_by: 0,
            held_back_from: 0,
        }
    }
}

/// The first of all, in order.
pub(super) fn first<T: Ord>(all: impl Iterator<Item = T>, limit: usize) -> Vec<T> {
    let mut first: Vec<T> = Vec::new();
    // The last of the first, as soon as there are enough. Twice as many are kept as are wanted, so
    // that not each has to be put into its place.
    let mut last = None;
    for one in all {
        if last.is_some_and(|last| first.get(last).is_some_and(|last| one >= *last)) {
            continue;
        }
        first.push(one);
        if first.len() >= limit.saturating_mul(2).max(64) {
            cut(&mut first, limit);
            last = limit.checked_sub(1);
        }
    }
    cut(&mut first, limit);
    first.sort_unstable();
    first
}

fn cut<T: Ord>(all: &mut Vec<T>, limit: usize) {
    if all.len() > limit && limit > 0 {
        all.select_nth_unstable(limit - 1);
    }
    all.truncate(limit);
}
