//! One-shot translation: all objects at once, for one view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl};

use super::Translator;
use crate::{Change, Object, Options, Problem, Role, View};

/// Resources by type and name.
type Resources = BTreeMap<(TypeUrl, Arc<str>), Resource>;

/// The resources that a proxy with one view would be sent, and all problems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The resources the proxy sees, by type and name.
    pub resources: Resources,
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
    translate_targets(options, objects, view, &[])
}

/// The same for a gRPC client that dials these names: the listeners, and what they lead to.
pub fn translate_targets(
    options: Options,
    objects: impl IntoIterator<Item = Object>,
    view: &View,
    targets: &[Arc<str>],
) -> Snapshot {
    let mut translator = Translator::new(options);
    translator.activate(view);
    for target in targets {
        translator.want(target, true);
    }
    for object in objects {
        translator.apply(Change::Apply(object));
    }
    let place = translator.place(view);
    let mut resources: BTreeMap<(TypeUrl, Arc<str>), (usize, Resource)> = BTreeMap::new();
    // What is in a layer that does not only override.
    let mut there = BTreeSet::new();
    for replace in translator.flush() {
        for (layer, resource) in replace.resources {
            let Some(rank) = place.iter().position(|l| *l == layer) else {
                continue;
            };
            let key = (resource.type_url, resource.name.clone());
            if !layer.is_overriding() {
                there.insert(key.clone());
            }
            let known = resources.get(&key).map(|(rank, _)| *rank);
            if known.is_none_or(|known| rank < known) {
                resources.insert(key, (rank, resource));
            }
        }
    }
    resources.retain(|key, _| there.contains(key));
    let resources = resources.into_iter();
    let mut resources = resources
        .map(|(key, (_, resource))| (key, resource))
        .collect();
    if view.role == Role::Grpc {
        resources = asked_for(resources, targets);
        let missing = targets
            .iter()
            .cloned()
            .map(|name| (TypeUrl::LISTENER, name));
        let missing = missing.filter(|key| !resources.contains_key(key));
        let missing = missing.map(|(url, name)| (url.short(), name)).collect();
        translator.set_missing(&missing);
    }
    Snapshot {
        resources,
        problems: translator.problems(),
    }
}

/// The resources that a client asks for which asks for these listeners first.
fn asked_for(mut all: Resources, targets: &[Arc<str>]) -> Resources {
    let mut asked: Vec<(TypeUrl, Arc<str>)> = targets
        .iter()
        .map(|name| (TypeUrl::LISTENER, name.clone()))
        .collect();
    let mut found = Resources::new();
    while let Some(key) = asked.pop() {
        if let Some(resource) = all.remove(&key) {
            let refs = resource.refs.iter();
            asked.extend(refs.map(|to| (to.type_url, to.name.clone())));
            found.insert(key, resource);
        }
    }
    found
}
