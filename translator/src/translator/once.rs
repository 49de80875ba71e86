//! One-shot translation: all objects at once, for one view.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl};

use super::Translator;
use crate::{Change, Object, Options, Problem, View};

/// The resources that a proxy with one view would be sent, and all problems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The resources the proxy sees, by type and name.
    pub resources: BTreeMap<(TypeUrl, Arc<str>), Resource>,
    /// All problems, whatever the view, sorted.
    pub problems: Vec<Problem>,
}

/// Translates all objects at once and returns the resources that a [`Translator`] would have a
/// proxy with this view see.
pub fn translate_once(
    options: Options,
    objects: impl IntoIterator<Item = Object>,
    view: &View,
) -> Snapshot {
    let mut translator = Translator::new(options);
    translator.activate(view);
    for object in objects {
        translator.apply(Change::Apply(object));
    }
    let place = translator.place(view);
    let mut resources: BTreeMap<(TypeUrl, Arc<str>), (usize, Resource)> = BTreeMap::new();
    for replace in translator.flush() {
        for (layer, resource) in replace.resources {
            let Some(rank) = place.iter().position(|l| *l == layer) else {
                continue;
            };
            let key = (resource.type_url, resource.name.clone());
            let known = resources.get(&key).map(|(rank, _)| *rank);
            if known.is_none_or(|known| rank < known) {
                resources.insert(key, (rank, resource));
            }
        }
    }
    Snapshot {
        resources: resources
            .into_iter()
            .map(|(key, (_, resource))| (key, resource))
            .collect(),
        problems: translator.problems(),
    }
}
