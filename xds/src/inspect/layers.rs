//! The layers: what each has of each type, and how many streams look through it.

use std::collections::BTreeMap;

use seaway_proto::TypeUrl;

use super::{Inspector, lock};
use crate::store::LayerId;

/// What a layer has, and how many streams look through it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerReport {
    /// What it has of each type, in the order in which types go out; nothing of the others.
    pub types: Vec<LayerTypeReport>,
    /// The number of open streams that look through it.
    pub seen_by: usize,
}

/// What a layer has of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerTypeReport {
    /// The type.
    pub type_url: TypeUrl,
    /// The number of resources.
    pub count: usize,
    /// Their size, in bytes.
    pub bytes: usize,
}

impl Inspector {
    /// The layers that have something, or through which a stream looks.
    pub fn layers(&self) -> BTreeMap<LayerId, LayerReport> {
        let mut layers: BTreeMap<LayerId, LayerReport> = BTreeMap::new();
        for (index, spec) in self.types().specs().iter().enumerate() {
            // For one type at a time, so that a commit waits no longer than that takes.
            for (layer, (count, bytes)) in self.sizes(index) {
                layers
                    .entry(layer)
                    .or_default()
                    .types
                    .push(LayerTypeReport {
                        type_url: spec.url,
                        count,
                        bytes,
                    });
            }
        }
        for (_, session) in self.open.open() {
            for layer in lock(&session).layers().iter() {
                layers.entry(*layer).or_default().seen_by += 1;
            }
        }
        layers
    }

    /// The number of resources of a type in each layer, and their bytes.
    fn sizes(&self, index: usize) -> BTreeMap<LayerId, (usize, usize)> {
        let store = self.snapshots.read();
        let mut sizes: BTreeMap<LayerId, (usize, usize)> = BTreeMap::new();
        for id in store.ids(index) {
            for entry in &store.slot(index, id).entries {
                if let Some(body) = entry.value.body() {
                    let (count, bytes) = sizes.entry(entry.layer).or_default();
                    *count += 1;
                    *bytes += body.len();
                }
            }
        }
        sizes
    }
}
