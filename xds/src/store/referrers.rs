//! The reverse references between resources: for each name of a type that clients reload after
//! another type (assignments after clusters), the resources of that other type that refer to it in
//! any layer.
//!
//! The writer updates them with each resource that it puts, so no lookup scans all resources.

use std::collections::HashMap;
use std::sync::Arc;

use seaway_proto::{ResourceRef, TypeUrl};
use smallvec::SmallVec;

use crate::store::ResourceId;
use crate::types::Types;

/// The reverse references: which resources refer to a name, for the types that clients reload.
#[derive(Debug, Default)]
pub(crate) struct Referrers {
    /// For each type, the index and the URL of the type that clients reload after it.
    targets: Vec<Option<(usize, TypeUrl)>>,
    /// For each type, the resources that refer to its names.
    names: Vec<HashMap<Arc<str>, SmallVec<[Referrer; 1]>>>,
}

/// A resource that refers to a given name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Referrer {
    pub(crate) type_index: usize,
    pub(crate) id: ResourceId,
    /// The number of its references to the name, in all its layers.
    times: u32,
}

impl Referrers {
    pub(crate) fn new(types: &Types) -> Referrers {
        let target = |url: TypeUrl| Some((types.index(url.as_str())?, url));
        let specs = types.specs().iter();
        let mut names = Vec::new();
        names.resize_with(types.len(), HashMap::new);
        Referrers {
            targets: specs.map(|spec| target(spec.reloads?)).collect(),
            names,
        }
    }

    /// The resources that refer to a name.
    pub(crate) fn of(&self, type_index: usize, name: &str) -> &[Referrer] {
        let names = self.names.get(type_index);
        names.and_then(|names| names.get(name)).map_or(&[], |of| of)
    }

    /// Replaces the references that a resource has in one of its layers: `before` by `now`.
    pub(crate) fn replace(
        &mut self,
        (type_index, id): (usize, ResourceId),
        before: &[ResourceRef],
        now: &[ResourceRef],
    ) {
        let Some((target, url)) = self.targets.get(type_index).copied().flatten() else {
            return;
        };
        if before == now {
            return;
        }
        let names = &mut self.names[target];
        let is_referrer = |of: &Referrer| (of.type_index, of.id) == (type_index, id);
        for reference in now.iter().filter(|of| of.type_url == url) {
            let all = names.entry(reference.name.clone()).or_default();
            match all.iter_mut().find(|of| is_referrer(of)) {
                Some(of) => of.times += 1,
                None => all.push(Referrer {
                    type_index,
                    id,
                    times: 1,
                }),
            }
        }
        for reference in before.iter().filter(|of| of.type_url == url) {
            let Some(all) = names.get_mut(&reference.name) else {
                continue;
            };
            all.retain(|of| {
                of.times -= u32::from(is_referrer(of));
                of.times > 0
            });
            if all.is_empty() {
                names.remove(&reference.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(names: &[&str]) -> Vec<ResourceRef> {
        let to = |name: &&str| ResourceRef {
            type_url: TypeUrl::ENDPOINT,
            name: (*name).into(),
        };
        names.iter().map(to).collect()
    }

    #[test]
    fn a_name_is_referred_to_as_long_as_any_layer_of_a_resource_does() {
        let id = ResourceId::from_index;
        let mut all = Referrers::new(&Types::envoy());
        let ids = |all: &Referrers, name: &str| -> Vec<usize> {
            all.of(1, name).iter().map(|of| of.id.index()).collect()
        };
        all.replace((0, id(5)), &[], &refs(&["a", "b"]));
        all.replace((0, id(5)), &[], &refs(&["a"]));
        all.replace((0, id(6)), &[], &refs(&["a"]));
        assert_eq!((ids(&all, "a"), ids(&all, "b")), (vec![5, 6], vec![5]));
        all.replace((0, id(5)), &refs(&["a", "b"]), &refs(&["c"]));
        assert_eq!((ids(&all, "a"), ids(&all, "b")), (vec![5, 6], vec![]));
        all.replace((0, id(5)), &refs(&["a"]), &[]);
        all.replace((0, id(6)), &refs(&["a"]), &refs(&["a"]));
        assert_eq!((ids(&all, "a"), ids(&all, "c")), (vec![6], vec![5]));
        all.replace((0, id(6)), &refs(&["a"]), &[]);
        all.replace((0, id(5)), &refs(&["c"]), &[]);
        assert!(all.names.iter().all(HashMap::is_empty));
        // Nothing is loaded anew after a listener.
        all.replace((3, id(1)), &[], &refs(&["a"]));
        assert!(ids(&all, "a").is_empty());
    }
}
