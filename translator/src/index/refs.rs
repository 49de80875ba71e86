//! Which Services a name matters to: counted references from node and zone names to Services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{EndpointSlice, ServiceKey};

/// For every name the Services that have an endpoint or a hint with it, each with the number of
/// slices that say so.
#[derive(Debug, Default)]
pub(crate) struct Refs(BTreeMap<Arc<str>, BTreeMap<ServiceKey, u32>>);

impl Refs {
    /// The Services this name matters to.
    pub(crate) fn services(&self, name: &str) -> impl Iterator<Item = &ServiceKey> {
        self.0.get(name).into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether it matters to any.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// One more slice of the Service has this name. Returns whether none had it before.
    pub(crate) fn add(&mut self, name: &Arc<str>, service: &ServiceKey) -> bool {
        let first = !self.0.contains_key(name);
        if first {
            self.0.insert(name.clone(), BTreeMap::new());
        }
        if let Some(services) = self.0.get_mut(name) {
            *services.entry(service.clone()).or_default() += 1;
        }
        first
    }

    /// One slice of the Service less has it. Returns whether it was the last one.
    pub(crate) fn remove(&mut self, name: &Arc<str>, service: &ServiceKey) -> bool {
        let Some(services) = self.0.get_mut(name) else {
            return false;
        };
        if let Some(count) = services.get_mut(service) {
            *count -= 1;
            if *count == 0 {
                services.remove(service);
            }
        }
        let last = services.is_empty();
        if last {
            self.0.remove(name);
        }
        last
    }
}

/// What a name is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Node,
    Zone,
}

/// Calls `with` once for every node and zone that a slice names.
pub(super) fn each_name(slice: &EndpointSlice, mut with: impl FnMut(Which, &Arc<str>)) {
    let mut nodes = BTreeSet::new();
    let mut zones = BTreeSet::new();
    for endpoint in &slice.endpoints {
        nodes.extend(endpoint.node.iter().chain(&endpoint.node_hints));
        zones.extend(endpoint.zone.iter().chain(&endpoint.zone_hints));
    }
    for name in nodes {
        with(Which::Node, name);
    }
    for name in zones {
        with(Which::Zone, name);
    }
}
