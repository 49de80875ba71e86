//! [`Translator`]: takes changes of objects and views, and returns the resources that they replace.

pub mod diff;
mod explain;
mod flush;
mod namespaces;
mod once;
mod problem_store;
mod rejections;
mod resource;
mod situation;
mod standing;
mod status;
mod summaries;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::index::{Index, ServiceSet, Zones};
use crate::kinds::Apply;
use crate::model::{
    EndpointSlice, Gateway, GatewayClass, HTTPRoute, Ingress, IngressClass, Namespace, Node,
    ReferenceGrant, Secret, Service, ServiceKey,
};
use crate::place::active_views::{self, ActiveViews, Deliveries, Situation};
use crate::place::imports;
use crate::place::targets::Targets;
use crate::plan::host::Table;
use crate::plan::rejections::Rejections;
use crate::policy::endpoint_addresses::refused;
use crate::policy::node_ports;
use crate::problem::Unread;
use crate::units::Units;
use crate::units::dirty::Dirty;
use crate::{
    CertificateDelivery, Change, Layer, ObjectId, Options, Problem, Reason, Role, Subject, View,
};
pub use once::{Snapshot, translate_once, translate_targets};
use problem_store::ProblemStore;
pub use standing::Standing;
use status::StatusChanges;
use summaries::Summaries;

/// Translates Services, EndpointSlices and Nodes into Envoy resources, incrementally.
#[derive(Debug)]
pub struct Translator {
    options: Options,
    index: Index,
    views: ActiveViews,
    targets: Targets,
    units: Units,
    problems: ProblemStore,
    /// What the source says is wrong with its objects.
    unread: Unread,
    dirty: Dirty,
    statuses: StatusChanges,
    summaries: Summaries,
    rejections: Rejections,
    /// What is held back from proxies that were not sent it yet.
    held_back: Rejections,
    /// The names that proxies ask for and nobody has, each with its type in a word.
    missing: BTreeSet<(&'static str, Arc<str>)>,
}

impl Translator {
    /// A translator without any objects or views.
    pub fn new(mut options: Options) -> Translator {
        options.cluster_domain = options
            .cluster_domain
            .trim_matches('.')
            .to_ascii_lowercase();
        Translator {
            options,
            index: Index::default(),
            views: ActiveViews::default(),
            targets: Targets::default(),
            units: Units::default(),
            problems: ProblemStore::default(),
            unread: Unread::default(),
            dirty: Dirty::at_first(),
            statuses: StatusChanges::default(),
            summaries: Summaries::default(),
            rejections: Rejections::default(),
            held_back: Rejections::default(),
            missing: BTreeSet::new(),
        }
    }

    /// Updates the index and marks what the change dirtied; nothing is translated yet.
    pub fn apply(&mut self, change: Change) {
        change.apply_to(self);
    }

    /// Takes in all problems of the source's input, which explanations name: an object that cannot
    /// be read is none that does not exist. Nothing is translated by them.
    pub fn set_unread<'p>(&mut self, problems: impl IntoIterator<Item = &'p Problem>) {
        self.unread = Unread::new(problems);
    }

    /// A proxy with this view connected: marks dirty exactly the Services whose resources differ
    /// for its node and zone, and the certificates of its fleet if it is the first that comes by
    /// them in its way. Views count once, however many proxies have them. Returns whether there are
    /// any: then the proxy has all that is meant for it with the next flush, else with the last
    /// one.
    pub fn activate(&mut self, view: &View) -> bool {
        let situation = self.situation(view);
        let deliveries = self.views.deliveries(&view.fleet);
        let layers = self.views.put(view, situation);
        let mut marked = self.mark(&layers);
        marked |= self.mark_certificates(view, deliveries);
        self.note_node(active_views::name(&view.node));
        marked
    }

    /// No proxy with this view is left: resources in layers that only this view saw are removed
    /// with the next flush.
    pub fn deactivate(&mut self, view: &View) {
        let deliveries = self.views.deliveries(&view.fleet);
        let layers = self.views.remove(view);
        self.mark(&layers);
        self.mark_certificates(view, deliveries);
        self.note_node(active_views::name(&view.node));
    }

    /// The active views whose layers changed since the last call: because a Node's zone changed
    /// (Service rules 69, 150), the zone they claim came to be known, or their Namespace imports
    /// something else.
    pub fn take_moved(&mut self) -> BTreeSet<View> {
        self.views.take_moved()
    }

    /// The layers whose resources a proxy with this view gets, most specific first. Those of an
    /// active view may change with a Node or a slice; [`Translator::take_moved`] says so.
    pub fn place(&self, view: &View) -> Vec<Layer> {
        self.layers(view, &self.situation(view))
    }

    /// The layers of a view in a situation.
    fn layers(&self, view: &View, situation: &Situation) -> Vec<Layer> {
        let mut layers = active_views::own_layers(view, situation);
        let has_inbound = self.options.mesh_inbound.is_some();
        layers.retain(|layer| has_inbound || !matches!(layer, Layer::MeshInbound(_)));
        let is_import = |layer: &Layer| matches!(layer, Layer::Import(_));
        let above = layers.iter().position(is_import).unwrap_or(layers.len());
        layers.splice(above..above, self.mesh_tls_layers(view));
        if view.role == Role::Ingress {
            let fleet = view.fleet.clone();
            layers.push(match view.certificates {
                CertificateDelivery::Chains => Layer::Chains(fleet),
                CertificateDelivery::OnDemand => Layer::OnDemand(fleet),
            });
            layers.push(Layer::Fleet(view.fleet.clone()));
        }
        layers.extend(imports::common(view.role, situation, &self.options));
        layers
    }

    /// All problems as of the last flush, sorted.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.all()
    }

    /// The problems that appeared (`true`) and those that ended since the last call, as of the last
    /// flush: never more than changed, however many stand.
    pub fn take_problem_changes(&mut self) -> BTreeMap<Problem, bool> {
        self.problems.take_changed()
    }

    /// The number of problems that stand, by reason. Cheap.
    pub fn problem_counts(&self) -> BTreeMap<Reason, usize> {
        self.problems.counts().clone()
    }

    /// The problems of a slice: those found while reading it, the addresses that the options
    /// refuse, and those that were addresses of Services at the last flush.
    fn slice_problems(&self, slice: &EndpointSlice) -> Vec<Problem> {
        let refused = slice.endpoints.iter().filter_map(|endpoint| {
            let why = refused(endpoint.ip, &self.options)?;
            Some(Problem::error(
                ObjectId::of_slice(&slice.namespace, &slice.name),
                format!("endpoints[{}].addresses[0]", endpoint.index),
                Reason::EndpointAddressRefused,
                format!("{} is {why}; --allow-endpoint-cidr allows it", endpoint.ip),
            ))
        });
        let services = self.index.refusals(slice);
        let problems = slice.problems.iter().cloned().chain(refused);
        problems.chain(services).collect()
    }

    /// Moves the views that claim these zones to their new layers, after the zones came to be known
    /// or are known no longer.
    fn move_claimants(&mut self, zones: Zones) {
        for zone in zones {
            for view in self.views.claiming(&zone) {
                self.activate(&view);
            }
        }
    }

    /// Sets the problems of a Node: those found while reading it, or that it is not known where its
    /// addresses are needed.
    fn note_node(&mut self, name: Option<&Arc<str>>) {
        let Some(name) = name else {
            return;
        };
        let needed = self.views.has_node_role(name) && node_ports::any_per_node(&self.options);
        let subject = Subject::Object(ObjectId::of_node(name));
        let problems = match self.index.node(name) {
            Some(node) => node.problems.to_vec(),
            None if needed => vec![Problem::warning(
                subject.clone(),
                "",
                Reason::UnknownNode,
                "a proxy says it runs there, but the Node is not known: no node port is served there, since --nodeport-addresses \
                 chooses among its addresses",
            )],
            None => Vec::new(),
        };
        self.problems.set(subject, problems);
    }

    /// Marks the Services that have, or had, resources in these layers. Returns whether there are
    /// any.
    fn mark(&mut self, layers: &[Layer]) -> bool {
        let mut marked = ServiceSet::new();
        let mut touched = false;
        for layer in layers {
            match layer {
                Layer::Zone(zone) => marked.extend(self.index.depending_on_zone(zone).cloned()),
                Layer::Node { node, .. } => {
                    marked.extend(self.index.depending_on_node(node).cloned());
                }
                Layer::NodeRole(node) => {
                    for key in self.index.checked_on_node(node) {
                        self.dirty.mark_on_node(key, node);
                        touched = true;
                    }
                    // Listeners name the addresses of Nodes that are known.
                    if let Some(known) = self.index.node(node) {
                        if known.leaving {
                            self.dirty.healthz = true;
                            touched = true;
                        }
                        touched |= self.mark_listeners(node);
                    }
                }
                Layer::Import(import) => marked.extend(self.index.imported(import).cloned()),
                // Every flush looks whether somebody takes it.
                Layer::WholeTable => touched = true,
                Layer::ImportTable(table) => {
                    let namespace = table.namespace.iter();
                    let consumed =
                        namespace.flat_map(|name| self.index.routing().consumed_in(name));
                    let consumed = consumed.filter(|key| table.imports.has(key));
                    self.dirty.services.extend(consumed.cloned());
                    touched = true;
                }
                Layer::Namespace { name, whole_table } => {
                    let key = (name.clone(), *whole_table);
                    self.dirty.namespaces.insert(key);
                    let consumed = self.index.routing().consumed_in(name);
                    self.dirty.services.extend(consumed.cloned());
                    touched = true;
                }
                Layer::All | Layer::Inside | Layer::Captured | Layer::Importers => {}
                Layer::Consumers(name) => {
                    let consumed = self.index.routing().consumed_in(name);
                    self.dirty.services.extend(consumed.cloned());
                    touched = true;
                }
                Layer::MeshInbound(name) => {
                    self.units.renew_inbound(name);
                    touched = true;
                }
                Layer::MeshTls | Layer::MeshCertificates => {}
                Layer::Role(_) | Layer::Fleet(_) | Layer::Chains(_) | Layer::OnDemand(_) => {}
            }
        }
        touched |= !marked.is_empty();
        self.dirty.endpoints.extend(marked);
        touched
    }

    /// Marks the certificates of the fleet of a view, if its proxies come by them in other ways
    /// than before. Returns whether there are any.
    fn mark_certificates(&mut self, view: &View, before: Deliveries) -> bool {
        let table = Table::https(&view.fleet, &self.options);
        before != self.views.deliveries(&view.fleet)
            && self
                .index
                .routing()
                .mark_certificates(&table, &mut self.dirty.routing)
    }

    /// Marks, on this node, all Services with listeners per node. Returns whether there are any.
    fn mark_listeners(&mut self, node: &Arc<str>) -> bool {
        let mut any = false;
        for key in self.index.with_node_listeners() {
            self.dirty.mark_on_node(key, node);
            any = true;
        }
        any
    }
}

impl Apply for Translator {
    fn apply_service(&mut self, id: ObjectId, service: Option<Arc<Service>>) {
        let key = ServiceKey {
            namespace: id.namespace,
            name: id.name,
        };
        self.index.set_service(
            &key,
            service,
            &self.options,
            &mut self.dirty.services,
            &mut self.dirty.routing,
        );
        self.note_addresses_of(&key);
    }

    fn apply_endpoint_slice(&mut self, id: ObjectId, slice: Option<Arc<EndpointSlice>>) {
        let problems = slice
            .as_ref()
            .map_or_else(Vec::new, |slice| self.slice_problems(slice));
        let key = (id.namespace.clone(), id.name.clone());
        self.problems.set(Subject::Object(id), problems);
        let old = self
            .index
            .slice(&key)
            .and_then(|slice| slice.service.clone());
        let new = slice.as_ref().and_then(|slice| slice.service.clone());
        for service in old.iter().chain(&new) {
            self.note_addresses_of(service);
        }
        let zones = self.index.set_slice(key, slice, &mut self.dirty.endpoints);
        self.move_claimants(zones);
    }

    fn apply_ingress_class(&mut self, id: ObjectId, class: Option<Arc<IngressClass>>) {
        let problems = class.as_ref().map_or(&[][..], |class| &class.problems);
        self.problems.set(Subject::from(&id), problems.to_vec());
        let (routing, changes) = (self.index.routing_mut(), &mut self.dirty.routing);
        routing.set_ingress_class(&id.name, class, &self.options, changes);
    }

    fn apply_ingress(&mut self, id: ObjectId, ingress: Option<Arc<Ingress>>) {
        let key = (id.namespace, id.name);
        let (routing, changes) = (self.index.routing_mut(), &mut self.dirty.routing);
        routing.set_ingress(key, ingress, &self.options, changes);
    }

    fn apply_gateway_class(&mut self, id: ObjectId, class: Option<Arc<GatewayClass>>) {
        let (routing, changes) = (self.index.routing_mut(), &mut self.dirty.routing);
        routing.set_gateway_class(&id.name, class, &self.options, changes);
    }

    fn apply_gateway(&mut self, id: ObjectId, gateway: Option<Arc<Gateway>>) {
        let key = (id.namespace, id.name);
        let (routing, changes) = (self.index.routing_mut(), &mut self.dirty.routing);
        routing.set_gateway(key, gateway, &self.options, changes);
    }

    fn apply_http_route(&mut self, id: ObjectId, route: Option<Arc<HTTPRoute>>) {
        let key = (id.namespace, id.name);
        let (routing, changes) = (self.index.routing_mut(), &mut self.dirty.routing);
        routing.set_http_route(key, route, &self.options, changes);
    }

    fn apply_reference_grant(&mut self, id: ObjectId, grant: Option<Arc<ReferenceGrant>>) {
        let problems = grant.as_ref().map_or(&[][..], |grant| &grant.problems);
        self.problems.set(Subject::from(&id), problems.to_vec());
        let key = (id.namespace, id.name);
        let (routing, changes) = (self.index.routing_mut(), &mut self.dirty.routing);
        let namespace = key.0.clone();
        if routing.set_reference_grant(key, grant, changes) {
            let (services, changes) = (&mut self.dirty.services, &mut self.dirty.routing);
            self.index
                .grants_changed(&namespace, &self.options, services, changes);
        }
    }

    fn apply_namespace(&mut self, id: ObjectId, namespace: Option<Arc<Namespace>>) {
        self.set_namespace(&id, namespace);
        // The proxies in it may look through other layers now.
        for view in self.views.in_namespace(&id.name) {
            self.activate(&view);
        }
    }

    fn apply_secret(&mut self, id: ObjectId, secret: Option<Arc<Secret>>) {
        let key = (id.namespace, id.name);
        let (routing, changes) = (self.index.routing_mut(), &mut self.dirty.routing);
        routing.set_secret(&key, secret, changes);
    }

    fn apply_node(&mut self, id: ObjectId, node: Option<Arc<Node>>) {
        let name = &id.name;
        let change = self.index.set_node(name, node, &mut self.dirty.services);
        self.note_node(Some(name));
        self.note_addresses_of_nodes();
        if change.zone {
            // The proxies on it look through other layers now; only what differs there is
            // translated.
            for view in self.views.on_node(name) {
                self.activate(&view);
            }
        }
        self.move_claimants(change.zones);
        if change.leaving && self.views.has_node_role(name) {
            self.dirty.healthz = true;
        }
        if change.addresses && self.views.has_node_role(name) {
            self.mark_listeners(name);
        }
    }
}
