//! What is wrong with the objects of Gateway API that are served: listeners that are refused or
//! that somebody else has, routes that no listener takes, backends that lead nowhere.

use super::host::{Table, resolve};
use super::{Context, certificates};
use crate::index::routing::{Hosts, ListenerId};
use crate::model::{Gateway, GatewayListener, HTTPRoute, Hostname};
use crate::policy::gateway::listeners;
use crate::{ObjectId, Problem, Reason};

/// All problems of a GatewayClass of this controller.
pub(crate) fn of_class(context: &Context<'_>, id: &ObjectId) -> Vec<Problem> {
    let class = context.index.routing().gateway_class(&id.name);
    let ours =
        class.filter(|class| &*class.controller == crate::index::routing::GATEWAY_CONTROLLER);
    ours.map_or_else(Vec::new, |class| class.problems.to_vec())
}

/// All problems of a Gateway that is served.
pub(crate) fn of_gateway(context: &Context<'_>, id: &ObjectId) -> Vec<Problem> {
    let routing = context.index.routing();
    let gateway = routing.gateway(id).filter(|_| routing.is_served(id));
    let Some(gateway) = gateway else {
        return Vec::new();
    };
    let mut problems = gateway.problems.to_vec();
    if gateway.has_parameters {
        // Nothing of it is served, which is among its problems.
        return problems;
    }
    let judged = gateway
        .listeners
        .iter()
        .zip(listeners(gateway, context.options));
    for (listener, table) in judged {
        let field = format!("spec.listeners[{}]", listener.index);
        let refused = match table {
            Err(refusal) => Some((refusal.reason(), refusal.to_string())),
            Ok(table) => taken(context, gateway, &table, &listener.hostname)
                .map(|message| (Reason::HostnameConflict, message)),
        };
        if let Some((reason, message)) = refused {
            problems.push(Problem::error(id, &*field, reason, message));
        }
        problems.extend(of_certificates(context, id, listener, &field));
    }
    problems
}

/// A problem for each certificate of a listener that is not served, or that is of another type.
fn of_certificates(
    context: &Context<'_>,
    id: &ObjectId,
    listener: &GatewayListener,
    field: &str,
) -> Vec<Problem> {
    // One that is no Secret was reported when it was read.
    let named = listener.certificates.iter().enumerate();
    let named = named.filter(|(_, certificate)| certificate.is_secret);
    let (positions, keys): (Vec<usize>, Vec<_>) = named
        .map(|(at, certificate)| {
            (
                at,
                (certificate.namespace.clone(), certificate.name.clone()),
            )
        })
        .unzip();
    let judged = certificates::served(context, id, &keys);
    let problem = |(at, verdict)| {
        let field = format!("{field}.tls.certificateRefs[{at}]");
        certificates::problem(context, id, field, verdict)
    };
    let judged = positions.into_iter().zip(judged);
    judged.filter_map(problem).collect()
}

/// Says who has the host name of a listener, if it is an older object (Gateway rules 27 and 114).
fn taken(
    context: &Context<'_>,
    gateway: &Gateway,
    table: &Table,
    host: &Hostname,
) -> Option<String> {
    let holder = context.index.routing().hosts(table)?.holder(host)?;
    let object = holder.age.object();
    let is_own = object.namespace == gateway.namespace && object.name == gateway.name;
    let is_own = is_own && holder.listener != ListenerId::Ingresses;
    (!is_own).then(|| {
        format!(
            "{object} is older and has {host} at port {}",
            table.external_port
        )
    })
}

/// All problems of a route that has a parent that is served.
pub(crate) fn of_http_route(context: &Context<'_>, id: &ObjectId) -> Vec<Problem> {
    let routing = context.index.routing();
    let route = routing.http_route(id).filter(|_| routing.is_served(id));
    let Some(route) = route else {
        return Vec::new();
    };
    let mut problems = route.problems.to_vec();
    problems.extend(of_parents(context, id, route));
    problems.extend(of_backends(context, id, route));
    problems
}

/// A problem for each parent that does not take the route, and for host names that others have.
fn of_parents(context: &Context<'_>, id: &ObjectId, route: &HTTPRoute) -> Vec<Problem> {
    let routing = context.index.routing();
    let mut problems = Vec::new();
    for (index, parent) in route.parents.iter().enumerate() {
        let field = format!("spec.parentRefs[{index}]");
        let Some(gateway) = routing.parent(route, parent) else {
            continue;
        };
        let taken = match routing.attach(route, parent, gateway) {
            Ok(taken) => taken,
            Err(why) => {
                let message = format!(
                    "no listener of Gateway {}/{} takes it",
                    gateway.namespace, gateway.name
                );
                problems.push(Problem::error(id, field, why.reason(), message));
                continue;
            }
        };
        let tables = listeners(gateway, context.options);
        for (listener, hosts) in taken {
            let served = gateway.listeners.iter().zip(&tables);
            let mut served = served.filter(|(one, _)| one.name == listener.name);
            let Some((_, Ok(table))) = served.next() else {
                continue;
            };
            let Some(at_port) = routing.hosts(table) else {
                continue;
            };
            let shadowed = hosts
                .iter()
                .filter_map(|host| shadowed(at_port, &listener.hostname, host));
            problems.extend(shadowed.map(|message| {
                Problem::warning(id, field.clone(), Reason::ShadowedHostname, message)
            }));
        }
    }
    problems
}

/// Says which narrower host name of another listener keeps requests for a host from a route
/// (Gateway rule 53).
fn shadowed(hosts: &Hosts, listener: &Hostname, host: &Hostname) -> Option<String> {
    let (owner, _) = hosts.owner(host)?;
    (owner != *listener).then(|| {
        format!("a listener for {owner} has the requests for {host}, not that for {listener}")
    })
}

/// A problem for each backend and mirror that is not served.
fn of_backends(context: &Context<'_>, id: &ObjectId, route: &HTTPRoute) -> Vec<Problem> {
    let mut problems = Vec::new();
    for rule in &route.rules {
        let backends = rule
            .backends
            .iter()
            .map(|b| (&b.field, &b.target, "answered with 500"));
        let mirrors = rule
            .filters
            .mirrors
            .iter()
            .map(|m| (&m.field, &m.target, "not copied"));
        for (field, target, what) in backends.chain(mirrors) {
            // A backend that is no Service was reported when it was read.
            if let Err(refused) = resolve(context, id, target)
                && !refused.is_read_already()
            {
                let message = format!("{refused}; its requests are {what}");
                problems.push(Problem::error(id, &**field, refused.reason(), message));
            }
        }
    }
    problems
}
