//! The status of an Ingress: the addresses at which it is served (Service rule 146).

use super::Context;
use crate::ObjectId;
use crate::status::{Status, StatusAddress};

pub(super) fn of(
    context: &Context<'_>,
    exposed: Option<&[StatusAddress]>,
    id: &ObjectId,
) -> Option<Status> {
    let is_served = context.index.routing().is_served(id);
    is_served.then(|| Status::Ingress(exposed.unwrap_or_default().to_vec()))
}
