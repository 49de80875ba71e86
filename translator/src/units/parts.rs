//! The resources of a Service in the layers of single nodes, made only where they differ from those
//! handed over before.
//!
//! A Service with a Local policy has an assignment on every node with endpoints, one with listeners
//! of its own on nodes has those on every node with a proxy. A change touches one of them. So each
//! such layer is an origin of its own, and what goes into its resources is hashed first: where the
//! hash is that of what was handed over last, nothing is encoded and nothing is handed over.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use seaway_proto::Resource;

use crate::Layer;

/// The layers in which a Service has resources, each with a hash of all inputs of those handed over
/// last.
pub(crate) type Handed = BTreeMap<Layer, u64>;

/// The layers whose resources changed, each with all resources that the Service now has there.
pub(crate) type Changed = Vec<(Layer, Vec<Resource>)>;

/// The resources of a Service in the layers of nodes, not yet encoded.
#[derive(Default)]
pub(crate) struct Parts<'a>(BTreeMap<Layer, Part<'a>>);

/// A function that adds resources of a layer to a list.
type Make<'a> = Box<dyn Fn(&mut Vec<Resource>) + 'a>;

/// The resources of one layer: the hash of their inputs, and the functions that make them.
#[derive(Default)]
struct Part<'a> {
    hash: DefaultHasher,
    make: Vec<Make<'a>>,
}

impl<'a> Parts<'a> {
    /// Adds resources to a layer: `of` is all their input, with the kind of resource where that is
    /// not clear.
    pub(crate) fn add(
        &mut self,
        layer: Layer,
        of: impl Hash,
        make: impl Fn(&mut Vec<Resource>) + 'a,
    ) {
        let part = self.0.entry(layer).or_default();
        of.hash(&mut part.hash);
        part.make.push(Box::new(make));
    }

    /// Makes the resources whose inputs changed, in the layers that are looked at; a layer without
    /// any more resources is handed over empty.
    pub(crate) fn settle(
        self,
        handed: &mut Handed,
        is_looked_at: impl Fn(&Layer) -> bool,
    ) -> Changed {
        let gone = |layer: &&Layer| is_looked_at(layer) && !self.0.contains_key(*layer);
        let gone: Vec<Layer> = handed.keys().filter(gone).cloned().collect();
        let mut changed = Vec::new();
        for layer in gone {
            handed.remove(&layer);
            changed.push((layer, Vec::new()));
        }
        for (layer, part) in self.0 {
            let hash = part.hash.finish();
            if handed.get(&layer) == Some(&hash) {
                continue;
            }
            let mut resources = Vec::with_capacity(part.make.len());
            part.make.iter().for_each(|make| make(&mut resources));
            handed.insert(layer.clone(), hash);
            changed.push((layer, resources));
        }
        changed
    }
}
