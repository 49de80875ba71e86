//! The status of an Ingress: the addresses at which it is served (Service rule 146). Without
//! the option that says which these are there is none, so that what others wrote stays.

use super::Context;
use super::addresses::Exposed;
use crate::ObjectId;
use crate::status::Status;

pub(super) fn of(context: &Context<'_>, exposed: &Exposed, id: &ObjectId) -> Option<Status> {
    let fleet = context.index.routing().fleet_of(id)?;
    let service = context.options.ingress_services.get(fleet)?;
    let addresses = exposed.get(service).cloned();
    Some(Status::Ingress(addresses.unwrap_or_default()))
}
