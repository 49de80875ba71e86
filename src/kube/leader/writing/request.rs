//! What all requests have in common by which the leader writes.

use std::time::Duration;

use axum::http::Request;
use kube::api::PatchParams;
use serde_json::Value;

use super::Outcome;
use crate::kube::client::{Client, within};
use crate::kube::wire::{self, Failure};

/// How long the API server may take for a request. A leader stops five seconds before another
/// begins, so what it has sent is decided by then.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest object, in bytes. Those of an API server have 1.5 MB at most.
const MAX_ANSWER: usize = 4 << 20;
/// How often an object is read again that others write at the same time.
pub(in crate::kube) const READS: usize = 4;
/// Who writes, in `managedFields`.
pub(in crate::kube) const MANAGER: &str = "seaway";

/// Where objects of a kind are, and what they say of themselves.
#[derive(Clone, Copy, Debug)]
pub(in crate::kube) struct Place<'a> {
    pub path: &'a str,
    pub api_version: &'a str,
    pub kind: &'a str,
}

/// Sends a request, and reads the object of the answer.
pub(in crate::kube) async fn ask(
    client: &Client,
    place: Place<'_>,
    request: Request<Vec<u8>>,
) -> Result<Value, Failure> {
    let object = match send(client, request).await {
        Ok(text) => wire::parse::<Value>(&text, place.api_version, place.kind),
        Err(failure) => Err(failure),
    };
    object.map_err(|failure| failure.at(&client.place(place.path)))
}

/// Sends a request of which the answer says nothing but whether it was done.
pub(in crate::kube) async fn send(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<Vec<u8>, Failure> {
    within(LIMIT, client.whole(request, MAX_ANSWER)).await
}

/// The resourceVersion of an object that was read, for a write to that one alone.
pub(in crate::kube) fn version(object: &Value, kind: &str) -> Result<String, Failure> {
    let version = object["metadata"]["resourceVersion"].as_str();
    wire::version(version.map(str::to_owned), kind)
}

/// The parameters of a patch.
pub(in crate::kube) fn patching() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// What became of an attempt to read and write an object; `None`: somebody else wrote it in
/// between, so that it is to be read again, [`READS`] times in all.
pub(in crate::kube) fn settled(attempt: Result<Outcome, Failure>) -> Option<Outcome> {
    match attempt {
        Ok(outcome) => Some(outcome),
        Err(failure) if failure.is_conflict() => None,
        Err(failure) if failure.is_not_found() => Some(Outcome::Gone),
        Err(failure) => Some(Outcome::Failed(failure)),
    }
}
