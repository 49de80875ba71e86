//! The translator as its user sees it: changes go in, replacements of what changed come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl};

use crate::{Change, Layer, Object, Options, Problem, Reason, View};

/// The complete set of resources that one origin has now. Whatever it had before and has no longer is gone; an empty set takes
/// everything away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// Where they come from: `Service default/web`, or `mesh` for the route table and its listener.
    pub origin: Arc<str>,
    /// The resources, each with the layer it lies in.
    pub resources: Vec<(Layer, Resource)>,
}

/// Translates Services, EndpointSlices and Nodes into Envoy resources, incrementally.
#[derive(Debug)]
pub struct Translator {
    options: Options,
}

impl Translator {
    /// A translator that has seen nothing.
    pub fn new(options: Options) -> Translator {
        Translator { options }
    }

    /// Updates the index and marks what the change dirtied; nothing is translated yet.
    pub fn apply(&mut self, change: Change) {
        let _ = change;
    }

    /// A proxy with this view connected: marks dirty exactly the Services whose resources differ for its node and zone.
    pub fn activate(&mut self, view: &View) {
        let _ = view;
    }

    /// No proxy with this view is left.
    pub fn deactivate(&mut self, view: &View) {
        let _ = view;
    }

    /// The layers that a proxy with this view looks through, most specific first. May change when a Node does (Service rules
    /// 69, 150).
    pub fn place(&self, view: &View) -> Vec<Layer> {
        vec![Layer::Role(view.role), Layer::All]
    }

    /// Translates what is dirty, in a deterministic order.
    pub fn flush(&mut self) -> Vec<Replace> {
        let _ = &self.options;
        Vec::new()
    }

    /// Everything that is wrong now, sorted.
    pub fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// How many problems stand, by reason. Cheap.
    pub fn problem_counts(&self) -> BTreeMap<Reason, usize> {
        BTreeMap::new()
    }
}

/// What one proxy would be sent, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The resources the proxy sees, by type and name.
    pub resources: BTreeMap<(TypeUrl, Arc<str>), Resource>,
    /// Everything that is wrong, sorted; whatever the view.
    pub problems: Vec<Problem>,
}

/// Translates a whole world at once, for one view: what [`Translator`] would have a proxy with it see.
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
