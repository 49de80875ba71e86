//! Writes the Services that are made for single Gateways to the API server (Gateway rule 13).
//!
//! Which there should be, with which ports, the translator has decided; the leader of the replicas
//! writes it ([`writing`](super::writing)): [`mod@request`] reads a Service, [`merge`] says what
//! differs. Proxies serve by what the Services say that are there, so that nothing is served
//! elsewhere than clients are led to, whatever becomes of a write.

mod merge;
mod request;

use seaway_translator::model::ServiceWrite;
use seaway_translator::{ObjectId, ObjectKind};

use super::writing::{Job, Outcome, Wanted, Work};
use crate::kube::client::Client;

/// Services of single Gateways as what the leader writes.
pub(super) struct OfGateways;

impl Work for OfGateways {
    type Target = ServiceWrite;

    const WHAT: &'static str = "Services of Gateways";

    fn concerns(_: ObjectKind, wanted: Wanted<'_, ServiceWrite>) -> bool {
        wanted.target.is_some()
    }

    async fn write(client: &Client, job: &Job<ServiceWrite>) -> Outcome {
        request::write(client, job).await
    }

    fn permission(id: &ObjectId) -> String {
        let namespace = &id.namespace;
        format!("get, create, patch and delete of services in the namespace {namespace:?}")
    }
}

#[cfg(test)]
mod tests;
