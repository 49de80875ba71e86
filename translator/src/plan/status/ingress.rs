//! The status of an Ingress: the addresses at which it is served (Service rule 146). Without
//! the option that says which these are there is none, so that what others wrote stays.

use super::Context;
use crate::ObjectId;
use crate::status::{Status, StatusAddress};

pub(super) fn of(
    context: &Context<'_>,
    exposed: Option<&[StatusAddress]>,
    id: &ObjectId,
) -> Option<Status> {
    let is_served = context.index.routing().is_served(id);
    let is_said = context.options.ingress_service.is_some();
    let status = || Status::Ingress(exposed.unwrap_or_default().to_vec());
    (is_served && is_said).then(status)
}
