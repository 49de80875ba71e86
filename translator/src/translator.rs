//! The translator as its user sees it: changes go in, replacements of what changed come out.

mod flush;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl};

use crate::active::{self, Active};
use crate::book::Book;
use crate::healthz::Healthz;
use crate::index::{Dirty, Index, SliceKey, Zones};
use crate::mesh::Mesh;
use crate::model::{EndpointSlice, Node, Service, ServiceKey};
use crate::parts::Handed;
use crate::redirect::{self, Redirect};
use crate::service::Listeners;
use crate::sockets::Sockets;
use crate::{
    Change, Layer, Object, ObjectId, ObjectKind, Options, Problem, Reason, View, endpoints,
    node_ports,
};

/// The complete set of resources that one origin has now. Whatever it had before and has no longer is gone; an empty set takes
/// everything away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// Where they come from: `Service default/web`, `mesh` for the route table and its listener, `redirect` for the listeners that
    /// hand connections over, or `healthz`. What a Service has in a layer of a single node is an origin of its own, as
    /// `Service default/web node:n1@za`.
    pub origin: Arc<str>,
    /// The resources, each with the layer it lies in.
    pub resources: Vec<(Layer, Resource)>,
}

/// Translates Services, EndpointSlices and Nodes into Envoy resources, incrementally.
#[derive(Debug)]
pub struct Translator {
    options: Options,
    index: Index,
    active: Active,
    mesh: Mesh,
    healthz: Healthz,
    redirect: Redirect,
    sockets: Sockets,
    book: Book,
    /// The Services of which anything may have changed.
    dirty: Dirty,
    /// The Services of which endpoints have changed, or the places from which somebody looks at them.
    dirty_endpoints: Dirty,
    /// The Services of which listeners may have changed on these nodes alone.
    dirty_nodes: BTreeMap<ServiceKey, BTreeSet<Arc<str>>>,
    /// The listeners of those that may have one per node.
    listeners: BTreeMap<ServiceKey, Listeners>,
    /// What was handed over of each Service in the layers of nodes.
    handed: BTreeMap<ServiceKey, Handed>,
}

impl Translator {
    /// A translator that has seen nothing.
    pub fn new(mut options: Options) -> Translator {
        options.cluster_domain = options
            .cluster_domain
            .trim_matches('.')
            .to_ascii_lowercase();
        Translator {
            options,
            index: Index::default(),
            active: Active::default(),
            mesh: Mesh::new(),
            healthz: Healthz::new(),
            redirect: Redirect::default(),
            sockets: Sockets::default(),
            book: Book::default(),
            dirty: Dirty::new(),
            dirty_endpoints: Dirty::new(),
            dirty_nodes: BTreeMap::new(),
            listeners: BTreeMap::new(),
            handed: BTreeMap::new(),
        }
    }

    /// Updates the index and marks what the change dirtied; nothing is translated yet.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Apply(Object::Service(service)) => {
                let key = service.key.clone();
                self.set_service(&key, Some(service));
            }
            Change::Apply(Object::EndpointSlice(slice)) => {
                let key = (slice.namespace.clone(), slice.name.clone());
                self.set_slice(key, Some(slice));
            }
            Change::Apply(Object::Node(node)) => {
                let name = node.name.clone();
                self.set_node(&name, Some(node));
            }
            Change::Delete(id) => match id.kind {
                ObjectKind::Service => {
                    let key = ServiceKey {
                        namespace: id.namespace,
                        name: id.name,
                    };
                    self.set_service(&key, None);
                }
                ObjectKind::EndpointSlice => self.set_slice((id.namespace, id.name), None),
                ObjectKind::Node => self.set_node(&id.name, None),
            },
        }
    }

    /// A proxy with this view connected: marks dirty exactly the Services whose resources differ for its node and zone. Views count
    /// once, however many proxies have them. Returns whether there are any: then the proxy has all that is meant for it with the next
    /// flush, else with the last one.
    pub fn activate(&mut self, view: &View) -> bool {
        let zone = self.zone(view);
        let layers = self.active.put(view, zone);
        let marked = self.mark(&layers);
        self.note_node(active::name(&view.node));
        marked
    }

    /// No proxy with this view is left: what only its layers held goes with the next flush.
    pub fn deactivate(&mut self, view: &View) {
        let layers = self.active.remove(view);
        self.mark(&layers);
        self.note_node(active::name(&view.node));
    }

    /// The active views that look through other layers since this was asked last: because a Node's zone changed (Service rules 69,
    /// 150), or the zone they claim came to be known.
    pub fn take_moved(&mut self) -> BTreeSet<View> {
        self.active.take_moved()
    }

    /// The layers that a proxy with this view looks through, most specific first. Those of an active view may change with a Node or a
    /// slice; [`Translator::take_moved`] says so.
    pub fn place(&self, view: &View) -> Vec<Layer> {
        let zone = self.zone(view);
        let mut layers = active::own_layers(view, zone.as_ref());
        layers.push(Layer::Role(view.role));
        if redirect::is_captured(view.role, &self.options) {
            layers.push(Layer::Captured);
        }
        layers.push(Layer::All);
        layers
    }

    /// Everything that is wrong as of the last flush, sorted.
    pub fn problems(&self) -> Vec<Problem> {
        self.book.all()
    }

    /// The problems that appeared (`true`) and those that ended since this was asked last, as of the last flush: never more than
    /// changed, however many stand.
    pub fn take_problem_changes(&mut self) -> BTreeMap<Problem, bool> {
        self.book.take_changed()
    }

    /// How many problems stand, by reason. Cheap.
    pub fn problem_counts(&self) -> BTreeMap<Reason, usize> {
        self.book.counts().clone()
    }

    fn set_service(&mut self, key: &ServiceKey, service: Option<Arc<Service>>) {
        self.index
            .set_service(key, service, &self.options, &mut self.dirty);
    }

    fn set_slice(&mut self, key: SliceKey, slice: Option<Arc<EndpointSlice>>) {
        let problems = slice
            .as_ref()
            .map_or_else(Vec::new, |slice| self.slice_problems(slice));
        self.book.set(slice_id(&key), problems);
        let zones = self.index.set_slice(key, slice, &mut self.dirty_endpoints);
        self.move_claimants(zones);
    }

    /// What was found while reading the slice, the addresses that the options refuse, and those that were Services' at the last flush.
    fn slice_problems(&self, slice: &EndpointSlice) -> Vec<Problem> {
        let refused = slice.endpoints.iter().filter_map(|endpoint| {
            let why = endpoints::refused(endpoint.ip, &self.options)?;
            Some(Problem::error(
                format!("EndpointSlice {}/{}", slice.namespace, slice.name),
                format!("endpoints[{}].addresses[0]", endpoint.index),
                Reason::EndpointAddressRefused,
                format!("{} is {why}; --allow-endpoint-cidr allows it", endpoint.ip),
            ))
        });
        let services = self.index.refusals(slice);
        let problems = slice.problems.iter().cloned().chain(refused);
        problems.chain(services).collect()
    }

    fn set_node(&mut self, name: &Arc<str>, node: Option<Arc<Node>>) {
        let change = self.index.set_node(name, node, &mut self.dirty);
        self.note_node(Some(name));
        if change.zone {
            // The proxies on it look through other layers now; only what differs there is translated.
            for view in self.active.on_node(name) {
                self.activate(&view);
            }
        }
        self.move_claimants(change.zones);
        if change.leaving && self.active.has_node_role(name) {
            self.healthz.touch();
        }
        if change.addresses && self.active.has_node_role(name) {
            self.mark_listeners(name);
        }
    }

    /// The zones are known now, or no longer: the proxies that claim them look through other layers.
    fn move_claimants(&mut self, zones: Zones) {
        for zone in zones {
            for view in self.active.claiming(&zone) {
                self.activate(&view);
            }
        }
    }

    /// What is wrong with a Node: what was found while reading it, or that it is not known where its addresses are needed.
    fn note_node(&mut self, name: Option<&Arc<str>>) {
        let Some(name) = name else {
            return;
        };
        let needed = self.active.has_node_role(name) && node_ports::any_per_node(&self.options);
        let id = ObjectId {
            kind: ObjectKind::Node,
            namespace: "".into(),
            name: name.clone(),
        };
        let problems = match self.index.node(name) {
            Some(node) => node.problems.to_vec(),
            None if needed => vec![Problem::warning(
                id.to_string(),
                "",
                Reason::UnknownNode,
                "a proxy says it runs there, but the Node is not known: no node port is served there, since --nodeport-addresses \
                 chooses among its addresses",
            )],
            None => Vec::new(),
        };
        self.book.set(id, problems);
    }

    /// The zone a view really is in: a known Node's label, whatever it says, wins over the proxy's word (Service rule 150). A zone that
    /// no Node is in and no slice names is none: nothing could differ there, and a proxy may claim what it likes.
    fn zone(&self, view: &View) -> Option<Arc<str>> {
        let node = active::name(&view.node).and_then(|name| self.index.node(name));
        let zone = node.map_or(&view.zone, |node| &node.zone);
        let zone = active::name(zone).filter(|zone| self.index.knows_zone(zone));
        zone.cloned()
    }

    /// Marks the Services that have, or had, something in these layers. Returns whether there are any.
    fn mark(&mut self, layers: &[Layer]) -> bool {
        let mut marked = Dirty::new();
        let mut touched = false;
        for layer in layers {
            match layer {
                Layer::Zone(zone) => marked.extend(self.index.depending_on_zone(zone).cloned()),
                Layer::Node { node, .. } => {
                    marked.extend(self.index.depending_on_node(node).cloned());
                }
                Layer::NodeRole(node) => {
                    for key in self.index.checked_on_node(node) {
                        let nodes = self.dirty_nodes.entry(key.clone()).or_default();
                        nodes.insert(node.clone());
                        touched = true;
                    }
                    // Listeners name the addresses of Nodes that are known.
                    if let Some(known) = self.index.node(node) {
                        if known.leaving {
                            self.healthz.touch();
                            touched = true;
                        }
                        touched |= self.mark_listeners(node);
                    }
                }
                Layer::All | Layer::Captured | Layer::Role(_) => {}
            }
        }
        touched |= !marked.is_empty();
        self.dirty_endpoints.extend(marked);
        touched
    }

    /// Marks what Services with listeners of their own on nodes have on this one. Returns whether there are any.
    fn mark_listeners(&mut self, node: &Arc<str>) -> bool {
        let mut any = false;
        for key in self.index.with_node_listeners() {
            let nodes = self.dirty_nodes.entry(key.clone()).or_default();
            nodes.insert(node.clone());
            any = true;
        }
        any
    }
}

fn slice_id(key: &SliceKey) -> ObjectId {
    ObjectId {
        kind: ObjectKind::EndpointSlice,
        namespace: key.0.clone(),
        name: key.1.clone(),
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
