//! [`Routed`]: what becomes of the requests for the ports of a Service at mesh proxies, where
//! HTTPRoutes have it as a parent (Gateway rules 115 to 117).
//!
//! Those of its own namespace are for all clients. Those of another namespace are for the clients
//! there alone, where they take the place of the former at each port that they are for.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::rules::{At, Bound, Group, OF_PORT};
use super::{Context, RoutePlan};
use crate::model::{Service, ServicePort};
use crate::plan::clusters::port_key;
use crate::policy::gateway::ports_of;
use crate::{Problem, Role};

/// The routes of a Service, by the numbers of the ports that have some, each list in the order in
/// which its routes are tried. What none of a port takes is answered with 404.
pub(crate) type Routed<'a> = BTreeMap<NonZeroU16, Vec<RoutePlan<'a>>>;

/// The routes of a Service that clients of this namespace have, or of any other (`None`).
pub(crate) fn routed_for<'a>(
    context: &Context<'a>,
    service: &Service,
    clients: Option<&Arc<str>>,
) -> Routed<'a> {
    let (mut all, _) = routed(context, service, &service.key.namespace);
    if let Some(namespace) = clients.filter(|name| **name != service.key.namespace) {
        all.extend(routed(context, service, namespace).0);
    }
    all
}

/// The routes that the HTTPRoutes of one namespace make for a Service, and what is wrong with them
/// beside one another.
pub(crate) fn routed<'a>(
    context: &Context<'a>,
    service: &Service,
    namespace: &Arc<str>,
) -> (Routed<'a>, Vec<Problem>) {
    let routing = context.index.routing();
    let mut of_ports: BTreeMap<NonZeroU16, (&ServicePort, Group<'a>)> = BTreeMap::new();
    for age in routing.routes_of_service(&service.key, namespace) {
        let Some(route) = routing.http_route(&age.object()) else {
            continue;
        };
        for port in ports_of(route, service) {
            let (_, group) = of_ports.entry(port.number).or_insert_with(|| {
                let group = Group {
                    rules: Vec::new(),
                    one_label: false,
                    bound: Some(Bound::OfPort),
                };
                (port, group)
            });
            group.rules.push((age, &*route.rules, None));
        }
    }
    let mut problems = Vec::new();
    let routes = of_ports.into_iter().map(|(number, (port, group))| {
        let at = At {
            role: Role::Mesh,
            name: &format!("Service port {}", port_key(service, port)),
            tls: false,
            port: number.get(),
        };
        let mut left = OF_PORT;
        (
            number,
            group.routes(context, &at, (&mut left, &mut problems)),
        )
    });
    (routes.collect(), problems)
}
