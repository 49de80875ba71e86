//! The views in use by proxies, and the layers, of zones and nodes most of all, that therefore
//! exist.
//!
//! Several views may share a node or a zone, so layers are counted. Those that appear or vanish are
//! returned, so that the Services with resources in them are translated again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::ServiceKey;
use crate::{CertificateDelivery, Fleet, Import, ImportTable, Imports, Layer, Role, View};

/// What objects say of the proxies of a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Situation {
    /// The zone in which they are.
    pub zone: Option<Arc<str>>,
    /// What they import; `None` for all there is.
    pub imports: Option<Imports>,
}

/// The views in use, each with its situation.
#[derive(Debug, Default)]
pub(crate) struct ActiveViews {
    views: BTreeMap<View, Situation>,
    by_node: BTreeMap<Arc<str>, BTreeSet<View>>,
    /// The views by the zone that they claim, whether it is known or not.
    by_claim: BTreeMap<Arc<str>, BTreeSet<View>>,
    /// The views of mesh proxies by their namespace.
    by_namespace: BTreeMap<Arc<str>, BTreeSet<View>>,
    /// The views whose situation has changed since [`ActiveViews::take_moved`] was last called.
    moved: BTreeSet<View>,
    /// The number of views that see a layer, by the layer's zone.
    zones: BTreeMap<Arc<str>, usize>,
    nodes: BTreeMap<Arc<str>, BTreeMap<Option<Arc<str>>, usize>>,
    node_roles: BTreeMap<Arc<str>, usize>,
    whole_tables: usize,
    imports: BTreeMap<Import, usize>,
    import_tables: BTreeMap<ImportTable, usize>,
    /// The number of views of mesh proxies, by namespace and the form in which they take routes.
    namespaces: BTreeMap<(Arc<str>, bool), usize>,
    /// The number of views of mesh proxies that import nothing, by namespace.
    consumers: BTreeMap<Arc<str>, usize>,
    /// The number of views of mesh proxies with a certificate, by namespace.
    inbound: BTreeMap<Arc<str>, usize>,
    /// The number of views of ingress proxies, by fleet and by how they come by certificates.
    ingress: BTreeMap<(Fleet, CertificateDelivery), usize>,
}

/// The ways in which the proxies of a fleet come by certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deliveries {
    /// In filter chains. True also where there is no proxy yet.
    pub chains: bool,
    /// On demand.
    pub on_demand: bool,
}

/// The layers of a view that exist while there are such views: those of its node and zone, of its
/// namespace, of its own workloads, of what it imports, and of the form in which it takes routes.
pub(crate) fn own_layers(view: &View, situation: &Situation) -> Vec<Layer> {
    let Situation { zone, imports } = situation;
    let mut layers = Vec::new();
    if let Some(node) = name(&view.node) {
        if view.role == Role::Node {
            layers.push(Layer::NodeRole(node.clone()));
        }
        layers.push(Layer::Node {
            node: node.clone(),
            zone: zone.clone(),
        });
    }
    layers.extend(zone.clone().map(Layer::Zone));
    let namespace = view.mesh_namespace();
    let of_namespace = namespace.map(|name| Layer::Namespace {
        name: name.clone(),
        whole_table: view.whole_table,
    });
    let has_table = view.role == Role::Mesh && view.whole_table;
    let inbound = namespace.filter(|_| view.mesh_tls);
    layers.extend(inbound.cloned().map(Layer::MeshInbound));
    match imports {
        Some(imports) => {
            match has_table {
                true => layers.push(Layer::ImportTable(ImportTable {
                    imports: imports.clone(),
                    namespace: namespace.cloned(),
                })),
                false => layers.extend(of_namespace),
            }
            layers.extend(imports.iter().cloned().map(Layer::Import));
        }
        None => {
            layers.extend(of_namespace);
            layers.extend(namespace.cloned().map(Layer::Consumers));
            layers.extend(has_table.then_some(Layer::WholeTable));
        }
    }
    layers
}

/// The name, or `None` if it is empty.
pub(crate) fn name(name: &Option<Arc<str>>) -> Option<&Arc<str>> {
    name.as_ref().filter(|name| !name.is_empty())
}

impl ActiveViews {
    /// Adds a view, or changes its situation. Returns the layers that appeared and vanished.
    pub(crate) fn put(&mut self, view: &View, situation: Situation) -> Vec<Layer> {
        if self.views.get(view) == Some(&situation) {
            return Vec::new();
        }
        // First what comes, then what goes, so that a layer in both does not vanish in between.
        let mut changed = Vec::new();
        for layer in own_layers(view, &situation) {
            if self.count(&layer) {
                changed.push(layer);
            }
        }
        let is_known = self.views.contains_key(view);
        changed.extend(self.remove(view));
        if is_known {
            self.moved.insert(view.clone());
        }
        file(&mut self.by_node, name(&view.node), view);
        file(&mut self.by_claim, name(&view.zone), view);
        file(&mut self.by_namespace, view.mesh_namespace(), view);
        if view.role == Role::Ingress {
            *self.ingress.entry(delivery(view)).or_default() += 1;
        }
        self.views.insert(view.clone(), situation);
        changed
    }

    /// Removes a view. Returns the layers that vanished.
    pub(crate) fn remove(&mut self, view: &View) -> Vec<Layer> {
        let Some(situation) = self.views.remove(view) else {
            return Vec::new();
        };
        self.moved.remove(view);
        unfile(&mut self.by_node, name(&view.node), view);
        unfile(&mut self.by_claim, name(&view.zone), view);
        unfile(&mut self.by_namespace, view.mesh_namespace(), view);
        if view.role == Role::Ingress {
            decrement(&mut self.ingress, &delivery(view));
        }
        let mut layers = own_layers(view, &situation);
        layers.retain(|layer| self.uncount(layer));
        layers
    }

    /// The views whose situation has changed since the last call.
    pub(crate) fn take_moved(&mut self) -> BTreeSet<View> {
        std::mem::take(&mut self.moved)
    }

    /// The views that claim a zone.
    pub(crate) fn claiming(&self, zone: &str) -> Vec<View> {
        let views = self.by_claim.get(zone).into_iter().flatten();
        views.cloned().collect()
    }

    /// The views of mesh proxies in a namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<View> {
        let views = self.by_namespace.get(namespace).into_iter().flatten();
        views.cloned().collect()
    }

    /// The views on a node.
    pub(crate) fn on_node(&self, node: &str) -> Vec<View> {
        let views = self.by_node.get(node).into_iter().flatten();
        views.cloned().collect()
    }

    /// Whether a view in use is in this zone.
    pub(crate) fn has_zone(&self, zone: &str) -> bool {
        self.zones.contains_key(zone)
    }

    /// The zones of the views on this node: one, or several if they contradict each other about an
    /// unknown Node.
    pub(crate) fn zones_of(&self, node: &str) -> impl Iterator<Item = Option<&Arc<str>>> {
        let zones = self.nodes.get(node).into_iter().flat_map(BTreeMap::keys);
        zones.map(Option::as_ref)
    }

    /// The nodes on which there is a proxy of role `node`.
    pub(crate) fn node_roles(&self) -> impl Iterator<Item = &Arc<str>> {
        self.node_roles.keys()
    }

    /// In which ways the proxies of a fleet come by certificates.
    pub(crate) fn deliveries(&self, fleet: &Fleet) -> Deliveries {
        let has = |delivery| self.ingress.contains_key(&(fleet.clone(), delivery));
        let on_demand = has(CertificateDelivery::OnDemand);
        Deliveries {
            chains: !on_demand || has(CertificateDelivery::Chains),
            on_demand,
        }
    }

    /// Whether a proxy of role `node` is on this node.
    pub(crate) fn has_node_role(&self, node: &str) -> bool {
        self.node_roles.contains_key(node)
    }

    /// Whether a view in use takes the routes of all Services as one table.
    pub(crate) fn takes_whole_table(&self) -> bool {
        self.whole_tables > 0
    }

    /// The layers of those that import a Service: by its namespace, or by its name.
    pub(crate) fn importing(&self, key: &ServiceKey) -> impl Iterator<Item = Layer> {
        let of = |service: Option<&Arc<str>>| Import {
            namespace: key.namespace.clone(),
            service: service.cloned(),
        };
        let is_there = |import: &Import| self.imports.contains_key(import);
        let imports = match self.imports.is_empty() {
            true => Vec::new(),
            false => vec![of(None), of(Some(&key.name))],
        };
        imports.into_iter().filter(is_there).map(Layer::Import)
    }

    /// The tables of those that import something and take routes as one table.
    pub(crate) fn import_tables(&self) -> impl Iterator<Item = &ImportTable> {
        self.import_tables.keys()
    }

    /// The namespaces of mesh proxies, each with the form in which they take routes.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &(Arc<str>, bool)> {
        self.namespaces.keys()
    }

    /// Whether a mesh proxy is in this namespace and takes routes in this form.
    pub(crate) fn has_namespace(&self, namespace: &Arc<str>, whole_table: bool) -> bool {
        let key = (namespace.clone(), whole_table);
        self.namespaces.contains_key(&key)
    }

    /// Whether a mesh proxy in this namespace imports nothing, and so has all.
    pub(crate) fn has_consumers(&self, namespace: &str) -> bool {
        self.consumers.contains_key(namespace)
    }

    /// Whether a mesh proxy in this namespace has a certificate.
    pub(crate) fn has_inbound(&self, namespace: &str) -> bool {
        self.inbound.contains_key(namespace)
    }

    /// Counts one more view that sees the layer; true if it is the first.
    fn count(&mut self, layer: &Layer) -> bool {
        let count = match layer {
            Layer::Zone(zone) => self.zones.entry(zone.clone()).or_default(),
            Layer::NodeRole(node) => self.node_roles.entry(node.clone()).or_default(),
            Layer::Node { node, zone } => {
                let zones = self.nodes.entry(node.clone()).or_default();
                zones.entry(zone.clone()).or_default()
            }
            Layer::WholeTable => &mut self.whole_tables,
            Layer::Import(import) => self.imports.entry(import.clone()).or_default(),
            Layer::ImportTable(table) => self.import_tables.entry(table.clone()).or_default(),
            Layer::Namespace { name, whole_table } => {
                let key = (name.clone(), *whole_table);
                self.namespaces.entry(key).or_default()
            }
            Layer::All | Layer::Inside | Layer::Captured | Layer::Importers => return false,
            Layer::Consumers(name) => self.consumers.entry(name.clone()).or_default(),
            Layer::MeshInbound(name) => self.inbound.entry(name.clone()).or_default(),
            Layer::MeshTls | Layer::MeshCertificates => return false,
            Layer::Role(_) | Layer::Fleet(_) | Layer::Chains(_) | Layer::OnDemand(_) => {
                return false;
            }
        };
        *count += 1;
        *count == 1
    }

    /// Counts one view less that sees the layer; true if it was the last.
    fn uncount(&mut self, layer: &Layer) -> bool {
        match layer {
            Layer::Zone(zone) => decrement(&mut self.zones, zone),
            Layer::NodeRole(node) => decrement(&mut self.node_roles, node),
            Layer::Node { node, zone } => {
                let Some(zones) = self.nodes.get_mut(node) else {
                    return false;
                };
                let last = decrement(zones, zone);
                if zones.is_empty() {
                    self.nodes.remove(node);
                }
                last
            }
            Layer::Namespace { name, whole_table } => {
                decrement(&mut self.namespaces, &(name.clone(), *whole_table))
            }
            Layer::Import(import) => decrement(&mut self.imports, import),
            Layer::ImportTable(table) => decrement(&mut self.import_tables, table),
            Layer::WholeTable => {
                self.whole_tables -= 1;
                self.whole_tables == 0
            }
            Layer::All | Layer::Inside | Layer::Captured | Layer::Importers => false,
            Layer::Consumers(name) => decrement(&mut self.consumers, name),
            Layer::MeshInbound(name) => decrement(&mut self.inbound, name),
            Layer::MeshTls | Layer::MeshCertificates => false,
            Layer::Role(_) | Layer::Fleet(_) | Layer::Chains(_) | Layer::OnDemand(_) => false,
        }
    }
}

fn delivery(view: &View) -> (Fleet, CertificateDelivery) {
    (view.fleet.clone(), view.certificates)
}

/// Puts a view among those with a name, if it has one.
fn file(views: &mut BTreeMap<Arc<str>, BTreeSet<View>>, name: Option<&Arc<str>>, view: &View) {
    if let Some(name) = name {
        views.entry(name.clone()).or_default().insert(view.clone());
    }
}

fn unfile(views: &mut BTreeMap<Arc<str>, BTreeSet<View>>, name: Option<&Arc<str>>, view: &View) {
    if let Some(name) = name
        && let Some(with_name) = views.get_mut(name)
    {
        with_name.remove(view);
        if with_name.is_empty() {
            views.remove(name);
        }
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) -> bool {
    let Some(count) = counts.get_mut(key) else {
        return false;
    };
    *count -= 1;
    let last = *count == 0;
    if last {
        counts.remove(key);
    }
    last
}
