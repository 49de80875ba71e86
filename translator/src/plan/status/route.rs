//! The status of an HTTPRoute: an entry for each parent that is served (Gateway rules 42 to 49, 94,
//! 105, 115 and 120).

use std::sync::Arc;

use super::{ACCEPTED, Conditions, Context, INVALID, PROGRAMMED, RESOLVED_REFS};
use crate::ObjectId;
use crate::Reason;
use crate::model::{Gateway, HTTPRoute, ParentRef, Service};
use crate::plan::gateway::{not_attached, not_taken, parent_service, refused_backends};
use crate::plan::host::{Refused, resolve, resolve_in_mesh};
use crate::policy::gateway::{InvalidRules, invalid_rules, ports_of_parent};
use crate::status::{GATEWAY_CONTROLLER, MESH_CONTROLLER, ParentStatus, Status};

/// What a parent says of a route.
struct Judged {
    controller: &'static str,
    /// Why the parent does not take it.
    refused: Option<(&'static str, String)>,
    /// What is said where it takes it.
    taken: &'static str,
    /// Why its backends cannot all be used.
    unresolved: Option<(&'static str, String)>,
    /// What a proxy says that rejects it.
    rejected: Option<Arc<str>>,
}

pub(super) fn of(context: &Context<'_>, id: &ObjectId) -> Option<Status> {
    let routing = context.index.routing();
    let route = routing.http_route(id).filter(|_| routing.is_served(id))?;
    let invalid = invalid_rules(route);
    let of_parent = |parent| {
        let judged = match routing.parent(route, parent) {
            Some(gateway) => of_gateway(context, (id, route), parent, gateway),
            None => {
                let service = parent_service(context, route, parent)?;
                of_service(context, route, parent, service)
            }
        };
        let refused = match (judged.refused, invalid) {
            (None, Some(InvalidRules::All(reason))) => Some((reason, route.dropped.to_string())),
            (refused, _) => refused,
        };
        let mut conditions = Conditions::new(route.generation);
        conditions.judge(ACCEPTED, refused, (ACCEPTED, judged.taken));
        let resolved = (RESOLVED_REFS, "all backends can be used");
        conditions.judge(RESOLVED_REFS, judged.unresolved, resolved);
        if let Some(words) = judged.rejected {
            let message = format!("a proxy rejects it: {words}");
            conditions.add(PROGRAMMED, false, INVALID, message);
        }
        if let Some(InvalidRules::Some(reason)) = invalid {
            conditions.add("PartiallyInvalid", true, reason, &*route.dropped);
        }
        Some(ParentStatus {
            parent: (*parent).clone(),
            controller: judged.controller,
            conditions: conditions.all,
        })
    };
    Some(Status::Route(
        route.parents.iter().filter_map(of_parent).collect(),
    ))
}

fn of_gateway(
    context: &Context<'_>,
    (id, route): (&ObjectId, &HTTPRoute),
    parent: &ParentRef,
    gateway: &Gateway,
) -> Judged {
    let attached = context.index.routing().attach(route, parent, gateway);
    let refused = attached.err();
    let refused = refused.map(|why| (why.reason().as_str(), not_attached(gateway, why)));
    Judged {
        controller: GATEWAY_CONTROLLER,
        refused,
        taken: "a listener takes the route",
        unresolved: unresolved(refused_backends(route, |to| resolve(context, id, to))),
        rejected: rejected(context, route, parent, gateway).cloned(),
    }
}

fn of_service(
    context: &Context<'_>,
    route: &HTTPRoute,
    parent: &ParentRef,
    service: &Service,
) -> Judged {
    let refused = ports_of_parent(parent, service).err();
    let reason = Reason::NoMatchingParent.as_str();
    Judged {
        controller: MESH_CONTROLLER,
        refused: refused.map(|why| (reason, not_taken(&service.key, why))),
        taken: "the Service takes the route",
        unresolved: unresolved(refused_backends(route, |to| resolve_in_mesh(context, to))),
        rejected: None,
    }
}

/// What a proxy says of the routes of a host that a parent takes the route for (Gateway rule 106).
fn rejected<'a>(
    context: &Context<'a>,
    route: &HTTPRoute,
    parent: &ParentRef,
    gateway: &Gateway,
) -> Option<&'a Arc<str>> {
    if context.rejections.is_empty() {
        return None;
    }
    let routing = context.index.routing();
    let tables = routing.tables_of(gateway, context.options);
    let taken = routing.attach(route, parent, gateway).unwrap_or_default();
    taken.into_iter().find_map(|(listener, hosts)| {
        let position = gateway
            .listeners
            .iter()
            .position(|one| one.name == listener.name)?;
        let table = tables.get(position)?.as_ref().ok()?;
        // What is served at the port may be another table.
        if routing.port_taken(table).is_some() {
            return None;
        }
        hosts
            .into_iter()
            .find_map(|host| context.rejections.of_host(table, host))
    })
}

/// The first backend that is not served, and how many there are beside it.
fn unresolved<'a>(
    mut refused: impl Iterator<Item = (&'a Arc<str>, Refused, String)>,
) -> Option<(&'static str, String)> {
    let (field, first, why) = refused.next()?;
    let others = match refused.count() {
        0 => String::new(),
        others => format!(", and {others} more"),
    };
    Some((first.condition(), format!("{field}: {why}{others}")))
}
