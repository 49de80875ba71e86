//! The set of quarantined contents, indexed for the lookups of streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_proto::Version;

use super::{QuarantineReason, Quarantined};
use crate::client_kind::ClientKind;
use crate::store::ResourceId;
use crate::store::body::Body;
use crate::store::id_set::Ids;

/// The most contents that are held back for one reason.
pub(super) const HELD: usize = 1024;

/// A content (one version of a resource) that is held back from proxies that were not sent it yet.
#[derive(Debug)]
pub(crate) struct QuarantinedContent {
    pub(crate) type_index: usize,
    pub(crate) id: ResourceId,
    pub(crate) version: Version,
    pub(crate) instead: Option<Arc<Body>>,
    /// The generation of the quarantine since which it is held back.
    pub(crate) since: u64,
    pub(super) report: Quarantined,
}

impl QuarantinedContent {
    /// Whether the content is held back from clients of this kind.
    pub(crate) fn concerns(&self, agent: ClientKind) -> bool {
        match self.report.reason {
            QuarantineReason::Rejected { .. } => true,
            QuarantineReason::TooLarge { .. } => agent != ClientKind::Envoy,
        }
    }

    /// Whether the content is held back for its rejections, so that acceptances are counted, too.
    pub(crate) fn is_rejected(&self) -> bool {
        matches!(self.report.reason, QuarantineReason::Rejected { .. })
    }
}

/// All contents that are held back, indexed by type and id.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuarantinedSet {
    by_name: BTreeMap<(usize, ResourceId), Vec<Arc<QuarantinedContent>>>,
    /// The ids by type, to be intersected with what a client is owed.
    ids: BTreeMap<usize, Ids>,
}

impl QuarantinedSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<QuarantinedContent>> {
        self.by_name.values().flatten()
    }

    /// The contents of a name that are held back.
    pub(crate) fn of(&self, type_index: usize, id: ResourceId) -> &[Arc<QuarantinedContent>] {
        self.by_name
            .get(&(type_index, id))
            .map_or(&[], Vec::as_slice)
    }

    pub(crate) fn find(
        &self,
        type_index: usize,
        id: ResourceId,
        version: Version,
    ) -> Option<&Arc<QuarantinedContent>> {
        let mut held = self.of(type_index, id).iter();
        held.find(|held| held.version == version)
    }

    /// The ids of which a content is held back, by type.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (usize, &Ids)> {
        self.ids.iter().map(|(type_index, ids)| (*type_index, ids))
    }

    /// Whether one more content may be held back for this reason.
    pub(super) fn has_room(&self, reason: &QuarantineReason) -> bool {
        let like = |held: &&Arc<QuarantinedContent>| held.report.reason.as_str() == reason.as_str();
        self.iter().filter(like).count() < HELD
    }

    pub(super) fn insert(&mut self, held: QuarantinedContent) {
        let (type_index, id) = (held.type_index, held.id);
        self.ids.entry(type_index).or_default().insert(id);
        let of_name = self.by_name.entry((type_index, id)).or_default();
        of_name.push(Arc::new(held));
    }

    /// Removes those contents of a name for which `is_over` holds. Returns whether there were any.
    pub(super) fn remove(
        &mut self,
        type_index: usize,
        id: ResourceId,
        is_over: impl Fn(&QuarantinedContent) -> bool,
    ) -> bool {
        let Some(of_name) = self.by_name.get_mut(&(type_index, id)) else {
            return false;
        };
        let before = of_name.len();
        of_name.retain(|held| !is_over(held));
        let removed = of_name.len() < before;
        if of_name.is_empty() {
            self.by_name.remove(&(type_index, id));
            if let Some(ids) = self.ids.get_mut(&type_index) {
                ids.remove(id);
                if ids.is_empty() {
                    self.ids.remove(&type_index);
                }
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use seaway_proto::TypeUrl;

    use super::*;

    fn held(id: ResourceId, version: &str, reason: QuarantineReason) -> QuarantinedContent {
        let version = Version::of(version.as_bytes());
        QuarantinedContent {
            type_index: 1,
            id,
            version,
            instead: None,
            since: 1,
            report: Quarantined {
                type_url: TypeUrl::ROUTE,
                name: "a".into(),
                version,
                origin: "b".into(),
                instead: None,
                reason,
            },
        }
    }

    #[test]
    fn what_is_held_back_is_found_by_name_and_bounded_by_reason() {
        let too_large = QuarantineReason::TooLarge { bytes: 1 };
        let rejected = QuarantineReason::Rejected {
            by: Vec::new(),
            error: String::new(),
        };
        let mut set = QuarantinedSet::default();
        let one = ResourceId::from_index(7);
        for id in (0..HELD).map(ResourceId::from_index) {
            assert!(set.has_room(&too_large));
            set.insert(held(id, "x", too_large.clone()));
        }
        assert!(!set.has_room(&too_large) && set.has_room(&rejected));
        set.insert(held(one, "y", rejected));
        assert_eq!(set.of(1, one).len(), 2);
        assert!(set.remove(1, one, QuarantinedContent::is_rejected));
        assert!(!set.remove(1, one, QuarantinedContent::is_rejected));
        assert!(set.find(1, one, Version::of(b"x")).is_some());
        for id in (0..HELD).map(ResourceId::from_index) {
            assert!(set.remove(1, id, |_| true));
        }
        assert!(set.is_empty() && set.ids().next().is_none());
    }
}
