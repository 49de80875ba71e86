//! The status of objects, for whoever waits for a Gateway or looks at an Ingress (Gateway rules 98
//! to 106, Service rule 146): [`mod@request`] reads an object, [`merge`] says what differs;
//! [`definitions`] what a GatewayClass says of the version of Gateway API.

mod definitions;
mod merge;
mod request;

use std::time::Duration;

use seaway_translator::status::Status;
use seaway_translator::{ObjectId, ObjectKind};

use super::writing::{Job, Outcome, Wanted, Work};
use crate::kube::client::Client;
pub(super) use merge::concerns;

/// Whether objects of this kind may have a status of ours.
pub(in crate::kube) fn has_status(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::GatewayClass
            | ObjectKind::Gateway
            | ObjectKind::HTTPRoute
            | ObjectKind::Ingress
    )
}

/// Status as what the leader writes.
pub(super) struct OfObjects;

impl Work for OfObjects {
    type Target = Status;

    const WHAT: &'static str = "status";
    /// Nobody tells of a definition that is replaced.
    const LOOK_AGAIN: Option<(ObjectKind, Duration)> =
        Some((ObjectKind::GatewayClass, definitions::EVERY));

    fn concerns(kind: ObjectKind, wanted: Wanted<'_, Status>) -> bool {
        concerns(kind, wanted)
    }

    async fn write(client: &Client, job: &Job<Status>) -> Outcome {
        request::write(client, job).await
    }

    fn permission(id: &ObjectId) -> String {
        let (plural, group) = (id.kind.plural(), id.kind.info().group());
        format!("get and patch of {plural}/status in the API group {group:?}")
    }
}

#[cfg(test)]
mod tests;
