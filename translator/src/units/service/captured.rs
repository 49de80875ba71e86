//! What mesh proxies that capture connections have at the cluster IPs of ports with routes: HTTP in
//! place of TCP, with the same rules as by name, whatever Host a request asks for (Gateway rule
//! 118).

use std::collections::BTreeSet;
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl};

use crate::envoy::{listener, route};
use crate::model::Protocol;
use crate::names::routes_at_addresses;
use crate::plan::clusters::port_key;
use crate::plan::frontends::{FrontendPlan, Verdict};
use crate::plan::host::{Routed, routed_for};
use crate::plan::listeners::Planner;
use crate::policy::capture;
use crate::{Layer, Role};

/// Adds it to the resources of a Service with these frontends.
pub(super) fn add(
    planner: Planner<'_>,
    frontends: &[FrontendPlan],
    resources: &mut Vec<(Layer, Resource)>,
) {
    let Planner { context, service } = planner;
    if !capture::is_captured(Role::Mesh, context.options) {
        return;
    }
    let made = |clients: Option<&Arc<str>>| {
        let routed = routed_for(context, service, clients);
        at_addresses(planner, frontends, &routed)
    };
    let (of_all, mut named) = (made(None), BTreeSet::new());
    for namespace in context.index.routing().consumers_of(&service.key) {
        let forms = [false, true].into_iter();
        let forms = forms.filter(|table| context.views.has_namespace(namespace, *table));
        let forms: Vec<Layer> = forms
            .map(|whole_table| Layer::Namespace {
                name: namespace.clone(),
                whole_table,
            })
            .collect();
        if forms.is_empty() {
            continue;
        }
        for own in made(Some(namespace)) {
            let has_name = |one: &&AtAddresses| one.has_name_of(&own);
            let common = of_all.iter().find(has_name);
            if common.is_some_and(|common| common.resource == own.resource) {
                continue;
            }
            let is_new = own.is_new && common.is_none();
            if is_new && own.resource.type_url == TypeUrl::LISTENER {
                let is_seen = context.views.has_consumers(namespace);
                let layer = Layer::Consumers(namespace.clone());
                resources.extend(is_seen.then_some((layer, own.resource)));
                continue;
            }
            // The layers of a namespace bring no name of their own.
            named.extend(is_new.then(|| own.resource.name.clone()));
            let layers = forms.iter().cloned();
            resources.extend(layers.map(|layer| (layer, own.resource.clone())));
        }
    }
    let empty = named.into_iter().map(|name| route::at_addresses(name, &[]));
    let of_all = of_all.into_iter().map(|one| one.resource).chain(empty);
    resources.extend(of_all.map(|one| (Layer::Role(Role::Mesh), one)));
}

/// A resource of a port with routes.
struct AtAddresses {
    resource: Resource,
    /// Whether there is none of the name where the port has no routes.
    is_new: bool,
}

impl AtAddresses {
    fn has_name_of(&self, other: &AtAddresses) -> bool {
        let (one, other) = (&self.resource, &other.resource);
        one.type_url == other.type_url && one.name == other.name
    }
}

/// The listeners of the cluster IPs of those ports that have routes, and those routes.
fn at_addresses(
    planner: Planner<'_>,
    frontends: &[FrontendPlan],
    routed: &Routed<'_>,
) -> Vec<AtAddresses> {
    let service = planner.service;
    let mut made = Vec::new();
    for (number, routes) in routed {
        let is_port = |at: usize| {
            let port = &service.ports[at];
            port.number == *number && port.protocol == Protocol::Tcp
        };
        let mut name: Option<Arc<str>> = None;
        for plan in frontends.iter().filter(|plan| is_port(plan.frontend.port)) {
            if !plan.is_ruled_where_routed() {
                continue;
            }
            let Some((_, listener)) = planner.everywhere(&plan.frontend).pop() else {
                continue;
            };
            let name = name.get_or_insert_with(|| {
                let port = &service.ports[plan.frontend.port];
                routes_at_addresses(&port_key(service, port)).into()
            });
            made.push(AtAddresses {
                resource: listener::routed(&listener, name),
                is_new: plan.verdict != Verdict::Served,
            });
        }
        made.extend(name.map(|name| AtAddresses {
            resource: route::at_addresses(name, routes),
            is_new: true,
        }));
    }
    made
}
