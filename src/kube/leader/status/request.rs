//! Writes one status: reads the object, merges, and writes what differs, if the object is still at
//! the resourceVersion that was read (Gateway rule 98).

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, Request};
use seaway_translator::status::Status;
use serde_json::json;

use super::{definitions, merge};
use crate::kube::client::Client;
use crate::kube::leader::writing::{Job, Outcome, Place, READS, ask, patching, settled, version};
use crate::kube::wire::Failure;

/// The subresource.
const STATUS: &str = "status";

/// Writes the status of one object.
pub(super) async fn write(client: &Client, job: &Job<Status>) -> Outcome {
    for _ in 0..READS {
        if let Some(outcome) = settled(attempt(client, job).await) {
            return outcome;
        }
    }
    Outcome::Conflict
}

/// Reads the object once and writes what differs.
async fn attempt(client: &Client, job: &Job<Status>) -> Result<Outcome, Failure> {
    let id = &job.id;
    let (api_version, kind) = (id.kind.api_version(), id.kind.as_str());
    let namespace = id.kind.is_namespaced().then_some(&*id.namespace);
    let path = id.kind.info().path(api_version, namespace);
    let place = Place {
        path: &path,
        api_version,
        kind,
    };
    let get = Request::new(path.as_str()).get_subresource(STATUS, &id.name)?;
    let object = ask(client, place, get).await?;
    let mut wanted = job.wanted();
    let judged = definitions::judged(client, wanted.target).await?;
    wanted.target = judged.as_deref();
    let status = merge::patch(&object, id.kind, wanted, Timestamp::now());
    let Some(status) = status else {
        return Ok(Outcome::Unchanged);
    };
    let version = version(&object, kind)?;
    let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
    let request = Request::new(path.as_str());
    let request = request.patch_subresource(STATUS, &id.name, &patching(), &Patch::Merge(&patch));
    ask(client, place, request?).await?;
    Ok(Outcome::Written)
}
