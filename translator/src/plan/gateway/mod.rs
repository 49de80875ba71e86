//! What becomes of the objects of Gateway API that are served, and what of that is wrong: listeners
//! that are refused or that somebody else has, routes that no listener takes, backends that lead
//! nowhere. Problems and status say it alike.

mod mesh;

use std::sync::Arc;

use super::Context;
use super::certificates::{self, CertificateRefusal};
use super::host::{Refused, Table, Upstream, resolve, resolve_in_mesh};
use crate::index::routing::{Hosts, Key, ListenerId};
use crate::model::{Gateway, GatewayListener, HTTPRoute, Hostname, ServiceKey, Target};
use crate::policy::gateway::{ListenerRefusal, NotAttached, gateway_refusal, is_class_ours};
use crate::{ObjectId, Problem, Reason};

pub(crate) use mesh::{not_taken, parent_service};

/// All problems of a GatewayClass of this controller.
pub(crate) fn of_class(context: &Context<'_>, id: &ObjectId) -> Vec<Problem> {
    let class = context.index.routing().gateway_class(&id.name);
    let ours = class.filter(|class| is_class_ours(class));
    ours.map_or_else(Vec::new, |class| class.problems.to_vec())
}

/// What becomes of a listener of a Gateway.
#[derive(Debug)]
pub(crate) struct ListenerVerdict<'a> {
    /// The Gateway.
    pub gateway: &'a Gateway,
    /// The listener.
    pub listener: &'a GatewayListener,
    /// Where it is served, if it is.
    pub table: Option<Table>,
    /// Why it is not served, with words for people.
    pub refused: Option<(Reason, String)>,
    /// The Secret of each of its certificates, or why it is not served.
    pub certificates: Vec<Result<Key, CertificateRefusal>>,
}

/// What becomes of each listener of a Gateway, in their order, as far as the Gateway is not refused
/// as a whole.
pub(crate) fn verdicts<'a>(
    context: &Context<'_>,
    id: &ObjectId,
    gateway: &'a Gateway,
) -> Vec<ListenerVerdict<'a>> {
    let is_refused = gateway_refusal(gateway).is_some();
    let tables = context.index.routing().tables_of(gateway, context.options);
    let judged = gateway.listeners.iter().zip(tables);
    let verdict = |(listener, table): (&'a GatewayListener, Result<Table, ListenerRefusal>)| {
        let served = table.clone().ok();
        let refused = match table {
            Err(refusal) => Some((refusal.reason(), refusal.to_string())),
            // It claims no host name.
            Ok(_) if is_refused => None,
            Ok(table) => port_taken(context, &table, listener)
                .map(|message| (Reason::ProtocolConflict, message))
                .or_else(|| {
                    let message = taken(context, gateway, &table, listener)?;
                    Some((Reason::HostnameConflict, message))
                }),
        };
        ListenerVerdict {
            gateway,
            listener,
            table: served.filter(|_| refused.is_none() && !is_refused),
            refused,
            certificates: certificates_of(context, id, listener),
        }
    };
    judged.map(verdict).collect()
}

/// The Secret of each certificate of a listener, or why it is not served.
fn certificates_of(
    context: &Context<'_>,
    id: &ObjectId,
    listener: &GatewayListener,
) -> Vec<Result<Key, CertificateRefusal>> {
    let named = listener.certificates.iter();
    let keys = named.map(|one| {
        one.is_secret
            .then(|| (one.namespace.clone(), one.name.clone()))
    });
    let keys: Vec<Option<Key>> = keys.collect();
    let mut served = certificates::served(context, id, keys.iter().flatten()).into_iter();
    let mut verdict = |key: &Option<Key>| match key {
        None => Err(CertificateRefusal::Unsupported),
        Some(key) => served
            .next()
            .map_or_else(|| Ok(key.clone()), |one| one.cloned()),
    };
    keys.iter().map(&mut verdict).collect()
}

/// All problems of a Gateway that is served.
pub(crate) fn of_gateway(context: &Context<'_>, id: &ObjectId) -> Vec<Problem> {
    let routing = context.index.routing();
    let gateway = routing.gateway(id).filter(|_| routing.is_served(id));
    let Some(gateway) = gateway else {
        return Vec::new();
    };
    let mut problems = gateway.problems.to_vec();
    if let Some(refusal) = gateway_refusal(gateway) {
        // Nothing of it is served.
        if !refusal.is_read_already() {
            let (field, message) = (refusal.field(), refusal.to_string());
            problems.push(Problem::error(id, field, refusal.reason(), message));
        }
        return problems;
    }
    problems.extend(of_addresses(context, id, gateway));
    for verdict in verdicts(context, id, gateway) {
        let field = format!("spec.listeners[{}]", verdict.listener.index);
        if let Some((reason, message)) = verdict.refused {
            problems.push(Problem::error(id, &*field, reason, message));
        }
        // A problem for each certificate that is not served, or of another type. One that is not
        // for the host is one only where no other of the listener is.
        let (host, certificates) = (&verdict.listener.hostname, &verdict.certificates);
        let none_fits = certificates::misfits(context, id, certificates, host).is_some();
        let certificates = certificates.iter().enumerate();
        problems.extend(certificates.flat_map(|(at, verdict)| {
            let field = format!("{field}.tls.certificateRefs[{at}]");
            let of_field = (id, field.clone());
            let mismatch = certificates::mismatch(context, of_field, verdict, [host]);
            let mismatch = mismatch.filter(|_| none_fits);
            let problem = certificates::problem(context, id, field, verdict);
            problem.into_iter().chain(mismatch)
        }));
    }
    problems
}

/// A problem for each address that the Gateway asks for and does not have: it is served all the
/// same, at those of the Service that it has.
fn of_addresses(context: &Context<'_>, id: &ObjectId, gateway: &Gateway) -> Vec<Problem> {
    let binding = context.index.routing().binding(gateway);
    let unusable = binding.into_iter().flat_map(|binding| {
        let service = binding.service.iter();
        let pairs =
            service.flat_map(|service| binding.unusable.iter().map(move |at| (service, at)));
        pairs.collect::<Vec<_>>()
    });
    let problem = |(service, at): (&ServiceKey, &usize)| {
        let value = gateway.addresses.get(*at).map_or("", |one| &one.value);
        let message = format!(
            "{value:?} is no address of the proxies; the Gateway is served at those of Service \
             {service}"
        );
        let field = format!("spec.addresses[{at}]");
        Problem::warning(id, field, Reason::AddressNotUsable, message)
    };
    unusable.map(problem).collect()
}

/// Says who has the port of a listener for another protocol, if it is an older object (Gateway
/// rules 24 and 27).
fn port_taken(context: &Context<'_>, table: &Table, listener: &GatewayListener) -> Option<String> {
    let older = context.index.routing().port_taken(table)?.object();
    let port = listener.port;
    Some(format!(
        "{older} is older and has the proxies' port behind {port} for another protocol"
    ))
}

/// Says who has the host name of a listener, if it is an older object (Gateway rules 27 and 114).
fn taken(
    context: &Context<'_>,
    gateway: &Gateway,
    table: &Table,
    listener: &GatewayListener,
) -> Option<String> {
    let host = &listener.hostname;
    let holder = context.index.routing().hosts(table)?.holder(host)?;
    let object = holder.age.object();
    let is_own = object.namespace == gateway.namespace && object.name == gateway.name;
    let is_own = is_own && holder.listener != ListenerId::Ingresses;
    (!is_own).then(|| {
        let port = listener.port;
        format!("{object} is older and has {host} at port {port}")
    })
}

/// All problems of a route that has a parent that is served, or that is a Service.
pub(crate) fn of_http_route(context: &Context<'_>, id: &ObjectId) -> Vec<Problem> {
    let routing = context.index.routing();
    let route = routing.http_route(id).filter(|_| routing.is_served(id));
    let Some(route) = route else {
        return Vec::new();
    };
    let mut problems = route.problems.to_vec();
    problems.extend(of_parents(context, id, route));
    problems.extend(mesh::of_parents(context, id, route));
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
                let message = not_attached(gateway, why);
                problems.push(Problem::error(id, field, why.reason(), message));
                continue;
            }
        };
        if gateway_refusal(gateway).is_some() {
            // It has no host that somebody else could have instead.
            continue;
        }
        let tables = routing.tables_of(gateway, context.options);
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

/// Says that a Gateway does not take a route.
pub(crate) fn not_attached(gateway: &Gateway, why: NotAttached) -> String {
    let of = format!("Gateway {}/{}", gateway.namespace, gateway.name);
    format!("no listener of {of} takes it: {why}")
}

/// Says which narrower host name of another listener keeps requests for a host from a route
/// (Gateway rule 53).
fn shadowed(hosts: &Hosts, listener: &Hostname, host: &Hostname) -> Option<String> {
    let (owner, _) = hosts.owner(host)?;
    (owner != *listener).then(|| {
        format!("a listener for {owner} has the requests for {host}, not that for {listener}")
    })
}

/// A problem for each backend and mirror that is not served by one of the parents that take the
/// route.
fn of_backends(context: &Context<'_>, id: &ObjectId, route: &HTTPRoute) -> Vec<Problem> {
    let routing = context.index.routing();
    let mut parents = route.parents.iter();
    let of_gateway = parents.any(|parent| routing.parent(route, parent).is_some());
    let mut parents = route.parents.iter();
    let of_service = parents.any(|parent| parent_service(context, route, parent).is_some());
    let at_gateways = of_gateway.then(|| refused_backends(route, |to| resolve(context, id, to)));
    let in_mesh = of_service.then(|| refused_backends(route, |to| resolve_in_mesh(context, to)));
    let mut problems: Vec<Problem> = Vec::new();
    let all = at_gateways.into_iter().flatten();
    for (field, refused, message) in all.chain(in_mesh.into_iter().flatten()) {
        // A backend that is no Service was reported when it was read.
        let is_known = problems.iter().any(|problem| problem.field == **field);
        if !refused.is_read_already() && !is_known {
            problems.push(Problem::error(id, &**field, refused.reason(), message));
        }
    }
    problems
}

/// The backends and mirrors of a route that are not served, with words for people.
pub(crate) fn refused_backends(
    route: &HTTPRoute,
    resolve: impl Fn(&Target) -> Result<Upstream, Refused>,
) -> impl Iterator<Item = (&Arc<str>, Refused, String)> {
    let all = route.rules.iter().flat_map(|rule| {
        let backends = rule.backends.iter();
        let backends = backends.map(|b| (&b.field, &b.target, "answered with 500"));
        let mirrors = rule.filters.mirrors.iter();
        backends.chain(mirrors.map(|m| (&m.field, &m.target, "not copied")))
    });
    all.filter_map(move |(field, target, what)| {
        let refused = resolve(target).err()?;
        let message = format!("{refused}; its requests are {what}");
        Some((field, refused, message))
    })
}
