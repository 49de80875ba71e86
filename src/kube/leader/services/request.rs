//! Writes one Service: reads it, and creates it, writes what differs, or deletes it, if it is still
//! what was read.

use kube::api::{DeleteParams, GetParams, Patch, PostParams, Preconditions, Request};
use seaway_translator::model::{GatewayService, ServiceKey, ServiceWrite, StrayService};
use seaway_translator::{ObjectId, ObjectKind};
use serde_json::Value;

use super::merge;
use crate::kube::client::Client;
use crate::kube::leader::writing::{
    Job, MANAGER, Outcome, Place, READS, ask, patching, send, settled, version,
};
use crate::kube::wire::Failure;

/// Writes the Service of a Gateway.
pub(super) async fn write(client: &Client, job: &Job<ServiceWrite>) -> Outcome {
    let key = ServiceKey {
        namespace: job.id.namespace.clone(),
        name: job.id.name.clone(),
    };
    for _ in 0..READS {
        let attempt = match job.wanted().target {
            None => Ok(Outcome::Unchanged),
            Some(ServiceWrite::Make(made)) => attempt_to_make(client, &key, made).await,
            Some(ServiceWrite::Remove(stray)) => attempt_to_remove(client, &key, stray).await,
        };
        if let Some(outcome) = settled(attempt.map_err(of_object)) {
            return outcome;
        }
    }
    Outcome::Conflict
}

/// A failure as that of one Service alone, if it is: a quota or a webhook refuses an object by the
/// code by which a missing permission is refused, and others go on. Of a permission the API server
/// says who "cannot" do what.
fn of_object(failure: Failure) -> Failure {
    match &failure {
        Failure::Refused { message, .. }
            if failure.is_forbidden() && !message.contains(" cannot ") =>
        {
            Failure::Endless(failure.to_string())
        }
        _ => failure,
    }
}

/// The path of the objects of a kind in a namespace.
fn path(kind: ObjectKind, namespace: &str) -> String {
    kind.info().path(kind.api_version(), Some(namespace))
}

fn place(kind: ObjectKind, path: &str) -> Place<'_> {
    Place {
        path,
        api_version: kind.api_version(),
        kind: kind.as_str(),
    }
}

async fn read(client: &Client, key: &ServiceKey) -> Result<Option<Value>, Failure> {
    let path = path(ObjectKind::Service, &key.namespace);
    let request = Request::new(path.as_str()).get(&key.name, &GetParams::default())?;
    match ask(client, place(ObjectKind::Service, &path), request).await {
        Ok(object) => Ok(Some(object)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Reads the Service once, and creates it or writes what differs.
async fn attempt_to_make(
    client: &Client,
    key: &ServiceKey,
    made: &GatewayService,
) -> Result<Outcome, Failure> {
    let path = path(ObjectKind::Service, &key.namespace);
    let place = place(ObjectKind::Service, &path);
    let request = Request::new(path.as_str());
    let Some(there) = read(client, key).await? else {
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let text = merge::fresh(key, made).to_string().into_bytes();
        ask(client, place, request.create(&parameters, text)?).await?;
        return Ok(Outcome::Written);
    };
    if !merge::may_write(&there, made) {
        return Ok(Outcome::Conflict);
    }
    let Some(mut patch) = merge::patch(&there, made) else {
        return Ok(Outcome::Unchanged);
    };
    patch["metadata"]["resourceVersion"] = version(&there, place.kind)?.into();
    let request = request.patch(&key.name, &patching(), &Patch::Merge(&patch));
    match ask(client, place, request?).await {
        Ok(_) => Ok(Outcome::Written),
        // It went in between: it is made anew.
        Err(failure) if failure.is_not_found() => Ok(Outcome::Conflict),
        Err(failure) => Err(failure),
    }
}

/// Reads the Service once, and deletes it if its Gateway is still as it was when that was decided.
async fn attempt_to_remove(
    client: &Client,
    key: &ServiceKey,
    stray: &StrayService,
) -> Result<Outcome, Failure> {
    let Some(there) = read(client, key).await? else {
        return Ok(Outcome::Gone);
    };
    if !merge::is_of(&there, &stray.gateway) || merge::is_going(&there) {
        return Ok(Outcome::Unchanged);
    }
    if generation(client, stray).await? != stray.generation {
        // What is known of it is old, or it may not be read: its address is not lost for that.
        return Ok(Outcome::Conflict);
    }
    let uid = there["metadata"]["uid"].as_str().map(str::to_owned);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version: Some(version(&there, ObjectKind::Service.as_str())?),
        }),
        ..DeleteParams::default()
    };
    let path = path(ObjectKind::Service, &key.namespace);
    let request = Request::new(path.as_str()).delete(&key.name, &parameters)?;
    // Some versions answer with the Service, others with a Status.
    send(client, request).await?;
    Ok(Outcome::Written)
}

/// The generation of the Gateway of a Service, as of now; `None`: there is none.
async fn generation(client: &Client, stray: &StrayService) -> Result<Option<i64>, Failure> {
    let (namespace, name) = &stray.gateway;
    let kind = ObjectKind::Gateway;
    let path = path(kind, namespace);
    // With the permission that writing status needs.
    let request = Request::new(path.as_str()).get_subresource("status", name)?;
    match ask(client, place(kind, &path), request).await {
        Ok(gateway) => Ok(Some(
            gateway["metadata"]["generation"]
                .as_i64()
                .unwrap_or_default(),
        )),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) if failure.is_forbidden() => {
            let id = ObjectId::new(kind, namespace, name);
            // One of this Service alone: others are written.
            let why = format!("whether there is {id} cannot be asked: {failure}");
            Err(Failure::Endless(why))
        }
        Err(failure) => Err(failure),
    }
}
