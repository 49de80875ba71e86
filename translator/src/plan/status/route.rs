//! The status of an HTTPRoute: an entry for each parent that is served (Gateway rules 42 to 49, 94
//! and 105).

use std::sync::Arc;

use super::{ACCEPTED, Conditions, Context, INVALID, PROGRAMMED, RESOLVED_REFS};
use crate::ObjectId;
use crate::model::{Gateway, HTTPRoute, ParentRef};
use crate::plan::gateway::{not_attached, refused_backends};
use crate::policy::gateway::{InvalidRules, invalid_rules};
use crate::status::{ParentStatus, Status};

pub(super) fn of(context: &Context<'_>, id: &ObjectId) -> Option<Status> {
    let routing = context.index.routing();
    let route = routing.http_route(id).filter(|_| routing.is_served(id))?;
    let invalid = invalid_rules(route);
    let unresolved = unresolved(context, id, route);
    let of_parent = |parent| {
        let gateway = routing.parent(route, parent)?;
        let mut conditions = Conditions::new(route.generation);
        let refused = match (routing.attach(route, parent, gateway), invalid) {
            (Err(why), _) => Some((why.reason().as_str(), not_attached(gateway, why))),
            (Ok(_), Some(InvalidRules::All(reason))) => Some((reason, route.dropped.to_string())),
            (Ok(_), _) => None,
        };
        conditions.judge(ACCEPTED, refused, (ACCEPTED, "a listener takes the route"));
        let resolved = (RESOLVED_REFS, "all backends can be used");
        conditions.judge(RESOLVED_REFS, unresolved.clone(), resolved);
        if let Some(words) = rejected(context, route, parent, gateway) {
            conditions.add(
                PROGRAMMED,
                false,
                INVALID,
                format!("a proxy rejects it: {words}"),
            );
        }
        if let Some(InvalidRules::Some(reason)) = invalid {
            conditions.add("PartiallyInvalid", true, reason, &*route.dropped);
        }
        Some(ParentStatus {
            parent: (*parent).clone(),
            conditions: conditions.all,
        })
    };
    Some(Status::Route(
        route.parents.iter().filter_map(of_parent).collect(),
    ))
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
fn unresolved(
    context: &Context<'_>,
    id: &ObjectId,
    route: &HTTPRoute,
) -> Option<(&'static str, String)> {
    let mut refused = refused_backends(context, id, route);
    let (field, first, why) = refused.next()?;
    let others = match refused.count() {
        0 => String::new(),
        others => format!(", and {others} more"),
    };
    Some((first.condition(), format!("{field}: {why}{others}")))
}
