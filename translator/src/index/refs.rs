//! Counted references from the names of nodes and zones to the Services whose EndpointSlices name
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{EndpointSlice, ServiceKey};

/// The Services with an endpoint or a hint for each name, each with the number of slices in which
/// it stands.
#[derive(Debug, Default)]
pub(crate) struct Refs(BTreeMap<Arc<str>, BTreeMap<ServiceKey, u32>>);

impl Refs {
    /// The Services with an endpoint or a hint for this name.
    pub(crate) fn services(&self, name: &str) -> impl Iterator<Item = &ServiceKey> {
        self.0.get(name).into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether any Service has an endpoint or a hint for this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Counts one more slice of the Service with this name. Returns whether no slice of any Service
    /// had it before.
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

    /// Counts one slice less of the Service with this name. Returns whether it was the last one of
    /// any Service.
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

/// Whether a name in an EndpointSlice is that of a node or of a zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    /// The name of a Node.
    Node,
    /// The name of a zone.
    Zone,
}

/// Calls `with` once for every node and zone that a slice names.
pub(super) fn each_name(slice: &EndpointSlice, mut with: impl FnMut(NameKind, &Arc<str>)) {
    let mut nodes = BTreeSet::new();
    let mut zones = BTreeSet::new();
    for endpoint in &slice.endpoints {
        nodes.extend(endpoint.node.iter().chain(&endpoint.node_hints));
        zones.extend(endpoint.zone.iter().chain(&endpoint.zone_hints));
    }
    for name in nodes {
        with(NameKind::Node, name);
    }
    for name in zones {
        with(NameKind::Zone, name);
    }
}
