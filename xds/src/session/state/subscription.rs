//! The subscription of a stream to one type, equal for both dialects.
//!
//! ```text
//!            first request without names                   a name, or `*` dropped
//!   Unset ───────────────────────────────▶ Legacy ─────────────────────────────────▶ Explicit
//!     │        (listeners, clusters)                                                    ▲
//!     └─────────────────────────────────────────────────────────────────────────────────┘
//!                      first request with names, or without for any other type
//! ```
//!
//! `Legacy` never comes back (xDS rules 36, 37); in `Explicit` the wildcard is on exactly while `*`
//! is subscribed.

use std::collections::HashSet;
use std::sync::Arc;

use crate::store::ResourceId;
use crate::store::id_set::Ids;
use crate::store::missing::{Missing, MissingNames};

/// The wildcard's name in requests.
pub(crate) const WILDCARD: &str = "*";

/// The kind of a subscription: none yet, the legacy wildcard, or explicit names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The client has not asked for the type yet.
    #[default]
    Unset,
    /// A wildcard, because the first request named nothing.
    Legacy,
    /// The named resources, and all others too while `wildcard` is set.
    Explicit { wildcard: bool },
}

/// The subscription of a stream to one type. Names that exist in the stream's layers are kept as
/// ids, the others as names: a subscription does not keep an id alive.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    mode: Mode,
    named: Ids,
    missing: MissingNames,
}

impl Subscription {
    /// Lists the missing names in `all`, together with those of other streams.
    pub(super) fn list_missing_in(&mut self, all: Arc<Missing>, type_index: usize) {
        self.missing.list_in(all, type_index);
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Whether the client has ever asked for this type.
    pub(crate) fn is_active(&self) -> bool {
        self.mode != Mode::Unset
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(self.mode, Mode::Legacy | Mode::Explicit { wildcard: true })
    }

    pub(crate) fn is_named(&self, id: ResourceId) -> bool {
        self.named.contains(id)
    }

    /// Whether all these resources are named.
    pub(crate) fn names_all(&self, ids: &Ids) -> bool {
        ids.is_subset(&self.named)
    }

    pub(crate) fn is_missing(&self, name: &str) -> bool {
        self.missing.contains(name)
    }

    /// Whether any subscribed name does not exist.
    pub(crate) fn is_missing_any(&self) -> bool {
        !self.missing.is_empty()
    }

    /// The number of subscribed names that do not exist.
    pub(crate) fn missing_count(&self) -> usize {
        self.missing.len()
    }

    /// The number of subscribed names, whether or not they exist.
    pub(crate) fn len(&self) -> usize {
        self.named.len() + self.missing.len()
    }

    /// The memory that the subscribed names take which do not exist, in bytes.
    pub(crate) fn missing_bytes(&self) -> usize {
        self.missing.bytes()
    }

    #[cfg(test)]
    pub(crate) fn missing(&self) -> impl Iterator<Item = &Arc<str>> {
        self.missing.iter()
    }

    pub(crate) fn named(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.named.iter()
    }

    /// Whether a resource that exists is subscribed to. If its name was missing, it is kept as an
    /// id from now on.
    pub(super) fn covers(&mut self, id: ResourceId, name: &str) -> bool {
        if !self.missing.is_empty() && self.missing.remove(name) {
            self.named.insert(id);
        }
        self.is_wildcard() || self.named.contains(id)
    }

    /// Adds a name that exists.
    pub(super) fn add_id(&mut self, id: ResourceId) {
        self.named.insert(id);
    }

    /// Adds a name that does not exist.
    pub(super) fn add_missing(&mut self, name: Arc<str>) {
        self.missing.insert(name);
    }

    /// Drops a name; returns whether it was subscribed to.
    pub(super) fn drop_name(&mut self, name: &str, id: Option<ResourceId>) -> bool {
        id.is_some_and(|id| self.named.remove(id)) | self.missing.remove(name)
    }

    /// Keeps the name of a subscribed resource that was removed (xDS rules 25, 49).
    pub(super) fn remove_id(&mut self, id: ResourceId, name: &Arc<str>) {
        if self.named.remove(id) {
            self.missing.insert(name.clone());
        }
    }

    /// Replaces all names; returns the ids that were not named before, and whether others are named
    /// no longer.
    pub(super) fn replace_names(
        &mut self,
        ids: Ids,
        missing: HashSet<Arc<str>>,
    ) -> (Vec<ResourceId>, bool) {
        let new: Vec<ResourceId> = ids.iter().filter(|id| !self.named.contains(*id)).collect();
        let fewer = ids.len() - new.len() < self.named.len();
        self.named = ids;
        self.missing.replace(missing);
        (new, fewer)
    }
}
