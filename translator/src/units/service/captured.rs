//! What mesh proxies that capture connections have at the cluster IPs of ports with routes: HTTP in
//! place of TCP, with the same rules as by name, whatever Host a request asks for (Gateway rule
//! 118).

use std::sync::Arc;

use seaway_proto::Resource;

use crate::envoy::{listener, route};
use crate::model::Protocol;
use crate::names::routes_at_addresses;
use crate::plan::clusters::port_key;
use crate::plan::frontends::FrontendPlan;
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
    let of_all = made(None);
    for namespace in context.index.routing().consumers_of(&service.key) {
        for whole_table in [false, true] {
            if !context.views.has_namespace(namespace, whole_table) {
                continue;
            }
            let layer = Layer::Namespace {
                name: namespace.clone(),
                whole_table,
            };
            let own = made(Some(namespace)).into_iter();
            let own = own.filter(|own| !of_all.contains(own));
            resources.extend(own.map(|own| (layer.clone(), own)));
        }
    }
    let of_all = of_all.into_iter();
    resources.extend(of_all.map(|one| (Layer::Role(Role::Mesh), one)));
}

/// The listeners of the cluster IPs of those ports that have routes, and those routes.
fn at_addresses(
    planner: Planner<'_>,
    frontends: &[FrontendPlan],
    routed: &Routed<'_>,
) -> Vec<Resource> {
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
            let port =
                || routes_at_addresses(&port_key(service, &service.ports[plan.frontend.port]));
            let name = name.get_or_insert_with(|| port().into());
            made.push(listener::routed(&listener, name));
        }
        made.extend(name.map(|name| route::at_addresses(name, routes)));
    }
    made
}
