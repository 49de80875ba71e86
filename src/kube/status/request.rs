//! Writes one status: reads the object, merges, and writes what differs, if the object is still at
//! the resourceVersion that was read (Gateway rule 98).

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, Request};
use serde_json::{Value, json};

use super::queue::{Job, Outcome};
use super::{definitions, merge};
use crate::kube::client::{Client, within};
use crate::kube::wire::{self, Failure};

/// How long the API server may take for a request. A leader stops five seconds before another
/// begins, so what it has sent is decided by then.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest object, in bytes. Those of an API server have 1.5 MB at most.
const MAX_ANSWER: usize = 4 << 20;
/// How often an object is read again that others write at the same time.
const READS: usize = 4;
/// Who writes, in `managedFields`.
const MANAGER: &str = "seaway";
/// The subresource.
const STATUS: &str = "status";

/// Writes the status of one object.
pub(super) async fn write(client: &Client, job: &Job) -> Outcome {
    for _ in 0..READS {
        match attempt(client, job).await {
            Ok(true) => return Outcome::Written,
            Ok(false) => return Outcome::Unchanged,
            Err(failure) if failure.is_conflict() => {}
            Err(failure) if failure.is_not_found() => return Outcome::Gone,
            Err(failure) => return Outcome::Failed(failure),
        }
    }
    Outcome::Conflict
}

/// Reads the object once and writes what differs. `false`: nothing does.
async fn attempt(client: &Client, job: &Job) -> Result<bool, Failure> {
    let id = &job.id;
    let (api_version, kind) = (id.kind.api_version(), id.kind.as_str());
    let namespace = id.kind.is_namespaced().then_some(&*id.namespace);
    let path = id.kind.info().path(api_version, namespace);
    let ask = async |request| {
        let answer = within(LIMIT, client.whole(request, MAX_ANSWER)).await;
        let object = answer.and_then(|text| wire::parse::<Value>(&text, api_version, kind));
        object.map_err(|failure| failure.at(&client.place(&path)))
    };
    let object = ask(Request::new(path.as_str()).get_subresource(STATUS, &id.name)?).await?;
    let mut wanted = job.wanted();
    let judged = definitions::judged(client, wanted.status, (LIMIT, MAX_ANSWER)).await?;
    wanted.status = judged.as_ref();
    let status = merge::patch(&object, id.kind, wanted, Timestamp::now());
    let Some(status) = status else {
        return Ok(false);
    };
    let version = object["metadata"]["resourceVersion"].as_str();
    let version = wire::version(version.map(str::to_owned), kind)?;
    let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
    let parameters = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let request = Request::new(path.as_str());
    let request = request.patch_subresource(STATUS, &id.name, &parameters, &Patch::Merge(&patch));
    ask(request?).await.map(|_| true)
}
