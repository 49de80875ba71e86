//! What becomes of routes that have a Service as their parent: mesh proxies make of it what they do
//! of requests for that Service (Gateway rules 115 and 116).

use std::sync::Arc;

use super::Context;
use crate::model::{HTTPRoute, ParentRef, Service, ServiceKey};
use crate::policy::gateway::{NotTaken, ports_of_parent, service_of};
use crate::{ObjectId, Problem, Reason};

/// The Service of a parent, if it is one and exists. Of others nothing is said (Gateway rule 10).
pub(crate) fn parent_service<'a>(
    context: &Context<'a>,
    route: &HTTPRoute,
    parent: &ParentRef,
) -> Option<&'a Arc<Service>> {
    context.index.service(&service_of(route, parent)?)
}

/// Says that a Service does not take a route.
pub(crate) fn not_taken(service: &ServiceKey, why: NotTaken) -> String {
    format!("Service {service} takes no routes of this parent: {why}")
}

/// A problem for each Service that does not take the route.
pub(super) fn of_parents(context: &Context<'_>, id: &ObjectId, route: &HTTPRoute) -> Vec<Problem> {
    let parents = route.parents.iter().enumerate();
    let refused = parents.filter_map(|(index, parent)| {
        let service = parent_service(context, route, parent)?;
        let why = ports_of_parent(parent, service).err()?;
        let field = format!("spec.parentRefs[{index}]");
        let message = not_taken(&service.key, why);
        Some(Problem::error(id, field, Reason::NoMatchingParent, message))
    });
    refused.collect()
}
