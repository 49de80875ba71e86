//! What has to be translated again, and how much of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::service::Extent;
use crate::index::ServiceSet;
use crate::model::ServiceKey;

/// What is translated at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A Service, and the nodes that came, went or changed.
    Service(ServiceKey, Extent, BTreeSet<Arc<str>>),
    /// The listener behind `capture: redirect`.
    Redirect,
    /// The route table of mesh proxies and the listener before it.
    Mesh,
    /// How many listeners a proxy has to bind.
    Sockets,
    /// The proxy's own health.
    Healthz,
}

/// The units that have to be translated again.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    /// The Services of which anything may have changed.
    pub services: ServiceSet,
    /// The Services of which endpoints have changed, or the places from which somebody looks at
    /// them.
    pub endpoints: ServiceSet,
    /// The Services of which listeners may have changed on these nodes alone.
    nodes: BTreeMap<ServiceKey, BTreeSet<Arc<str>>>,
    /// A Node with a proxy of role `node` came, went, or is about to go.
    pub healthz: bool,
}

impl Dirty {
    /// Before anything is known: the proxy's own health is there already.
    pub(crate) fn at_first() -> Dirty {
        Dirty {
            healthz: true,
            ..Dirty::default()
        }
    }

    /// What a Service has on a node may have changed.
    pub(crate) fn mark_on_node(&mut self, service: &ServiceKey, node: &Arc<str>) {
        let nodes = self.nodes.entry(service.clone()).or_default();
        nodes.insert(node.clone());
    }

    /// Takes all of them, in the order in which they are to be translated: what is made of Services
    /// comes after them.
    pub(crate) fn take(&mut self) -> Vec<Unit> {
        let Dirty {
            services,
            endpoints,
            mut nodes,
            healthz,
        } = std::mem::take(self);
        let mut all: BTreeMap<ServiceKey, Extent> = endpoints
            .into_iter()
            .map(|key| (key, Extent::Endpoints))
            .collect();
        all.extend(services.into_iter().map(|key| (key, Extent::Whole)));
        let mut units = Vec::with_capacity(all.len() + nodes.len() + 4);
        for (key, extent) in all {
            let nodes = nodes.remove(&key).unwrap_or_default();
            units.push(Unit::Service(key, extent, nodes));
        }
        let on_nodes = nodes.into_iter();
        units.extend(on_nodes.map(|(key, nodes)| Unit::Service(key, Extent::Nodes, nodes)));
        units.extend([Unit::Redirect, Unit::Mesh, Unit::Sockets]);
        units.extend(healthz.then_some(Unit::Healthz));
        units
    }
}
