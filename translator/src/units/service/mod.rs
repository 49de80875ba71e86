//! The unit of one Service: its clusters, assignments, listeners and scopes, and its problems.
//!
//! A Service is always translated whole, but for what it has on single nodes. What comes out equal
//! to what was there costs nothing further: resources are compared by version where they are
//! published.

mod captured;
mod listeners;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use seaway_proto::Resource;

use super::Output;
use super::parts::{Changed, Handed, Parts};
use crate::envoy::{assignment, cluster, health, route};
use crate::model::{Kind, Service, ServiceKey};
use crate::place::endpoints::Candidate;
use crate::plan::clusters::ClusterPlan;
use crate::plan::explain::summary;
use crate::plan::health::HealthCheckPlan;
use crate::plan::host::routed_for;
use crate::plan::hosts::{self, Host};
use crate::plan::listeners::Planner;
use crate::plan::service::{ServicePlan, health_check_on};
use crate::plan::{Context, external_name, problems};
use crate::{Layer, Origin, Problem, Replace, Role, ServiceSummary, Subject};
use listeners::Listeners;

/// The layer of what gRPC clients have in a form of their own.
const GRPC: Layer = Layer::Role(Role::Grpc);

/// How much of a Service may have changed, and so has to be translated again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything about the Service.
    Whole,
    /// The Service's endpoints, or the places of the proxies that use them.
    Endpoints,
    /// Only the resources that the Service has on single nodes.
    Nodes,
}

/// The state that is kept of a Service between translations.
#[derive(Debug, Default)]
pub(crate) struct ServiceUnit {
    /// The Service's listeners, if it may have some per node.
    listeners: Option<Listeners>,
    /// The hashes of the resources that were handed over in the layers of nodes.
    handed: Handed,
}

/// The result of translating a Service, as others see it.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) output: Output,
    /// How many listeners a proxy of role `node` has to bind for it.
    pub(super) sockets: usize,
    /// The summary of the Service, if it is asked for and may have changed; of one that is gone
    /// there is none.
    pub(super) summary: Option<Option<ServiceSummary>>,
}

/// The result of translating a Service once, or only its resources on some nodes.
#[derive(Debug, Default)]
struct Made {
    /// The resources that are not a single node's; `None` if they have not changed.
    resources: Option<Vec<(Layer, Resource)>>,
    on_nodes: Changed,
    /// The problems found by the translation; those found while reading are in the Service.
    problems: Vec<Problem>,
    /// How many listeners a proxy of role `node` has to bind for it.
    sockets: usize,
    /// The summary of the Service, if it is asked for and may have changed.
    summary: Option<ServiceSummary>,
}

impl ServiceUnit {
    /// Whether there is no state to be kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.listeners.is_none() && self.handed.is_empty()
    }

    /// Translates a Service, or its resources on these nodes.
    pub(super) fn translate(
        &mut self,
        key: &ServiceKey,
        extent: Extent,
        nodes: &BTreeSet<Arc<str>>,
        context: &Context<'_>,
    ) -> Translated {
        let service = context.index.service(key).map(|service| &**service);
        let known = self.listeners.take().filter(|_| extent != Extent::Whole);
        let mut made = match (service, known) {
            (None, _) => self.nothing(),
            (Some(service), known) => match (&service.kind, known) {
                (Kind::ExternalName(_), _) => self.external_name(context, service),
                (_, Some(known)) if extent == Extent::Nodes => {
                    self.on_nodes(context, service, known, nodes)
                }
                (_, known) => self.whole(context, service, known, nodes),
            },
        };
        if !context.index.has_node_listeners(key) {
            self.listeners = None;
        }
        // On single nodes alone there is nothing that the summary says.
        let is_whole = context.summaries && (service.is_none() || made.summary.is_some());
        let summary = made.summary.take();
        Translated {
            sockets: made.sockets,
            output: output(key, service, made),
            summary: is_whole.then_some(summary),
        }
    }

    /// The empty result of a Service that is gone.
    fn nothing(&mut self) -> Made {
        Made {
            resources: Some(Vec::new()),
            on_nodes: Parts::default().settle(&mut self.handed, |_| true),
            ..Made::default()
        }
    }

    fn external_name(&mut self, context: &Context<'_>, service: &Service) -> Made {
        let plan = external_name::plan(context, service);
        let clusters = plan.clusters.iter();
        let clusters =
            clusters.map(|plan| (plan.layer.clone(), cluster::dns(plan, context.options)));
        let mut resources: Vec<_> = clusters.collect();
        let for_grpc = plan.clusters.iter().filter(|plan| plan.is_for_mesh());
        resources.extend(for_grpc.map(|plan| (GRPC, cluster::dns_for_grpc(plan))));
        let problems = problems::of_external_name(service, &plan);
        let summary = context.summaries;
        let summary = summary.then(|| summary::of_external_name(service, &plan));
        add_scopes(service, plan.hosts, context, &mut resources);
        Made {
            resources: Some(resources),
            problems,
            summary,
            ..self.nothing()
        }
    }

    /// Translates a Service with endpoints of its own. The `known` listeners are still right if
    /// nothing but endpoints changed, or `nodes`, and the same frontends are served.
    fn whole(
        &mut self,
        context: &Context<'_>,
        service: &Service,
        known: Option<Listeners>,
        nodes: &BTreeSet<Arc<str>>,
    ) -> Made {
        let mut plan = ServicePlan::new(context, service);
        let planner = Planner { context, service };
        let summary = context.summaries;
        let summary = summary.then(|| summary::of_service(context, service, &plan));
        let frontends = std::mem::take(&mut plan.frontends);
        let mut resources = Vec::new();
        captured::add(planner, &frontends, &mut resources);
        let listeners = match known.filter(|known| known.is_made_of(&frontends)) {
            Some(mut known) => {
                known.renew(planner, nodes);
                known
            }
            None => Listeners::new(planner, frontends),
        };
        let mut parts = Parts::default();
        let hosts = std::mem::take(&mut plan.hosts);
        add_scopes(service, hosts, context, &mut resources);
        for cluster in &plan.clusters {
            add_cluster(
                cluster,
                plan.candidates(cluster),
                &mut resources,
                &mut parts,
            );
        }
        resources.extend(listeners.resources.iter().cloned());
        listeners.add_all(&mut parts);
        add_health_check(service, &plan.health_check, &mut resources, &mut parts);
        let on_nodes = parts.settle(&mut self.handed, |_| true);
        let made = Made {
            resources: Some(resources),
            on_nodes,
            problems: problems_of(context, service, &listeners, &plan.health_check),
            sockets: listeners.sockets() + plan.health_check.bound,
            summary,
        };
        self.listeners = Some(listeners);
        made
    }

    /// Translates only the resources that a Service has on these nodes.
    fn on_nodes(
        &mut self,
        context: &Context<'_>,
        service: &Service,
        mut listeners: Listeners,
        nodes: &BTreeSet<Arc<str>>,
    ) -> Made {
        let check = health_check_on(context, service, nodes);
        listeners.renew(Planner { context, service }, nodes);
        let mut parts = Parts::default();
        for node in nodes {
            listeners.add_of(node, &mut parts);
        }
        add_health_check(service, &check, &mut Vec::new(), &mut parts);
        let is_looked_at =
            |layer: &Layer| matches!(layer, Layer::NodeRole(node) if nodes.contains(node));
        let on_nodes = parts.settle(&mut self.handed, is_looked_at);
        let made = Made {
            resources: None,
            on_nodes,
            problems: problems_of(context, service, &listeners, &check),
            sockets: listeners.sockets() + check.bound,
            summary: None,
        };
        self.listeners = Some(listeners);
        made
    }
}

fn problems_of(
    context: &Context<'_>,
    service: &Service,
    listeners: &Listeners,
    check: &HealthCheckPlan<'_>,
) -> Vec<Problem> {
    let mut found = problems::of_addresses(service, context.options);
    found.extend(problems::of_routes(context, service));
    found.extend(listeners.problems().cloned());
    found.extend(problems::of_health_check(service, check));
    found
}

/// The output of a Service: its own resources, those that changed on nodes, and its problems.
fn output(key: &ServiceKey, service: Option<&Service>, made: Made) -> Output {
    let whole = made.resources.map(|resources| Replace {
        origin: Origin::Service(key.clone()),
        resources,
    });
    let on_nodes = made.on_nodes.into_iter().map(|(layer, resources)| {
        let resources = resources.into_iter();
        Replace {
            resources: resources
                .map(|resource| (layer.clone(), resource))
                .collect(),
            origin: Origin::ServiceOnNode(key.clone(), layer),
        }
    });
    let read = service.iter().flat_map(|service| &service.problems);
    let problems = read.cloned().chain(made.problems).collect();
    Output {
        resources: whole.into_iter().chain(on_nodes).collect(),
        problems: Some((Subject::from(key), problems)),
    }
}

/// Adds what mesh proxies find by the names of a Service: the same for all, but for those of
/// namespaces with routes of their own, which have what differs there.
fn add_scopes(
    service: &Service,
    hosts: Vec<Host>,
    context: &Context<'_>,
    resources: &mut Vec<(Layer, Resource)>,
) {
    let addresses = hosts::addresses(context, service);
    let hosts = hosts::named(hosts, context.options);
    let scopes = |clients: Option<&Arc<str>>| {
        let routed = routed_for(context, service, clients);
        route::scopes(&hosts, &addresses, &routed)
    };
    let of_all = scopes(None);
    let consumers = context.index.routing().consumers_of(&service.key);
    for namespace in consumers.filter(|name| context.views.has_namespace(name, false)) {
        let layer = Layer::Namespace {
            name: namespace.clone(),
            whole_table: false,
        };
        let own = scopes(Some(namespace)).into_iter().zip(&of_all);
        let own = own.filter(|(own, of_all)| own.version != of_all.version);
        resources.extend(own.map(|(own, _)| (layer.clone(), own)));
    }
    let of_all = of_all.into_iter();
    resources.extend(of_all.map(|scope| (Layer::Role(Role::Mesh), scope)));
}

/// Adds a cluster and its assignments to the resources, and the assignments of nodes to the parts.
fn add_cluster<'p>(
    plan: &'p ClusterPlan,
    candidates: &'p [Candidate<'p>],
    resources: &mut Vec<(Layer, Resource)>,
    parts: &mut Parts<'p>,
) {
    let name: Arc<str> = plan.name.to_string().into();
    let cluster = cluster::eds(&name, &plan.name, &plan.settings);
    resources.push((plan.layer.clone(), cluster));
    if plan.own_for_grpc {
        let own = cluster::eds_for_grpc(&name, &plan.name, &plan.settings);
        resources.push((GRPC, own));
    }
    for (layer, priorities) in &plan.assignments {
        let inputs = assignment::Inputs {
            candidates,
            priorities,
            pods: plan.settings.pods,
        };
        if !layer.is_of_a_node() {
            let resource = assignment::resource(&name, &inputs);
            resources.push((layer.clone(), resource));
            continue;
        }
        let mut hash = DefaultHasher::new();
        (&name, inputs).hash(&mut hash);
        let name = name.clone();
        parts.add(layer.clone(), hash.finish(), move |to| {
            to.push(assignment::resource(&name, &inputs));
        });
    }
}

/// Adds the listeners and the answers of a health check node port.
fn add_health_check<'p>(
    service: &'p Service,
    plan: &'p HealthCheckPlan<'_>,
    resources: &mut Vec<(Layer, Resource)>,
    parts: &mut Parts<'p>,
) {
    let role = Layer::Role(Role::Node);
    for listener in &plan.everywhere {
        resources.push((role.clone(), health::listener(listener)));
    }
    for (node, listener) in &plan.on_nodes {
        let layer = Layer::NodeRole((*node).clone());
        parts.add(layer, ("listener", listener.name.address), |to| {
            to.push(health::listener(listener));
        });
    }
    for (node, count) in &plan.answers {
        let layer = Layer::NodeRole((*node).clone());
        parts.add(layer, ("answer", count), |to| {
            to.push(health::answer(&service.key, *count));
        });
    }
    if plan.listens {
        resources.push((role, health::answer(&service.key, 0)));
    }
}
