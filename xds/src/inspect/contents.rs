//! What a stream's client asks for: each resource with its bytes, and where it stands with the
//! client.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use seaway_proto::{TypeUrl, Version};

use super::resources::first;
use super::{Inspector, lock};
use crate::session::Standing;
use crate::types::TypeSpec;

/// A resource that a client asks for, in its present content.
#[derive(Clone, Debug)]
pub struct ContentReport {
    /// The type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: Arc<str>,
    /// The object the resource was made from.
    pub origin: Arc<str>,
    /// The version: a hash of the content.
    pub version: Version,
    /// Where it stands with the client.
    pub standing: Standing,
    /// The version that the client has instead, if it rejected this one, or is not to have it.
    pub kept: Option<Version>,
    /// When the client rejected it, and its words.
    pub rejection: Option<(Instant, String)>,
    /// When the content was published, or a time before that if it was long ago.
    pub changed: Option<Instant>,
    /// The encoded message; `None` for types whose contents are for their client alone.
    pub value: Option<Bytes>,
}

impl Inspector {
    /// The resources that the client of a stream asks for and that exist for it, sorted by type (in
    /// the order in which types go out) and name: up to `limit` of those behind `after` that
    /// `which` chooses by type and name. `None`: there is no such stream.
    pub fn contents(
        &self,
        stream: u64,
        which: impl Fn(TypeUrl, &str) -> bool,
        after: Option<(TypeUrl, &str)>,
        limit: usize,
    ) -> Option<Vec<ContentReport>> {
        let (_, session) = self.open.find(stream)?;
        let session = lock(&session);
        let store = self.snapshots.read();
        let changes = self.snapshots.changes();
        let mut reports = Vec::new();
        for (index, behind) in self.pages(after) {
            if reports.len() >= limit {
                break;
            }
            let TypeSpec { url, sensitive, .. } = *self.types().spec(index);
            let asked = session.asked(index, &store);
            let asked = asked.filter(|(_, slot)| {
                behind.is_none_or(|name| &*slot.name > name) && which(url, &slot.name)
            });
            let keys = asked.map(|(id, slot)| (&*slot.name, id));
            let standings = session.standings(index);
            for (name, id) in first(keys, limit - reports.len()) {
                let slot = store.slot(index, id);
                let layers = session.layers();
                let standing = standings.of(id, slot);
                let (Some(body), Some(standing)) = (slot.resolve(layers), standing) else {
                    continue;
                };
                let rejected = standing == Standing::Rejected;
                let since = slot.resolved_since(layers);
                reports.push(ContentReport {
                    type_url: url,
                    origin: body.origin.clone(),
                    version: body.version,
                    standing,
                    kept: session.kept_version(index, id),
                    rejection: rejected.then(|| session.rejection(index, name)).flatten(),
                    changed: since.and_then(|seq| changes.committed_at(seq)),
                    value: (!sensitive).then(|| body.value()),
                    name: slot.name.clone(),
                });
            }
        }
        Some(reports)
    }

    /// The indexes of the types from the one of a key on, and what of the first of them is behind
    /// that: names after this one.
    fn pages<'a>(
        &self,
        after: Option<(TypeUrl, &'a str)>,
    ) -> impl Iterator<Item = (usize, Option<&'a str>)> + use<'a> {
        let first = after.map_or(0, |(url, _)| self.index(url).unwrap_or(usize::MAX));
        let all = first..self.types().len().max(first);
        all.map(move |index| {
            let behind = after.filter(|_| index == first);
            (index, behind.map(|(_, name)| name))
        })
    }
}

impl ContentReport {
    /// The key of the resource, without a layer.
    pub fn key(&self) -> (TypeUrl, &str) {
        (self.type_url, &self.name)
    }
}
