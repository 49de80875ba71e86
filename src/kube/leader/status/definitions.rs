//! Says whether the definitions of Gateway API are of a version that is known (Gateway rule 6).
//!
//! The version is an annotation of each CustomResourceDefinition, and nothing else that an API
//! server shows has it. Only these few are read, and only when the status of a GatewayClass is
//! looked at; whoever may not read them says nothing of it.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{Request, header};
use seaway_translator::ObjectKind;
use seaway_translator::status::{Condition, Status};
use serde::Deserialize;

use crate::kube::client::Client;
use crate::kube::leader::writing::send;
use crate::kube::wire::Failure;
use crate::process::outside::{quote, quote_bytes};

/// How often the status of GatewayClasses is looked at although nothing has changed: nobody tells
/// of a definition that is replaced.
pub(super) const EVERY: Duration = Duration::from_secs(600);

/// Where definitions are.
const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// Asks for the metadata alone, from a server that can give it: a schema is half a megabyte.
const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
/// The annotation with the version.
const VERSION: &str = "gateway.networking.k8s.io/bundle-version";
/// The condition, and its reasons.
const SUPPORTED: &str = "SupportedVersion";
const UNSUPPORTED: &str = "UnsupportedVersion";
/// The minor versions of Gateway API 1 that are known.
const MINORS: std::ops::RangeInclusive<u32> = 0..=6;
/// The kinds whose definitions are read.
const KINDS: [ObjectKind; 4] = [
    ObjectKind::GatewayClass,
    ObjectKind::Gateway,
    ObjectKind::HTTPRoute,
    ObjectKind::ReferenceGrant,
];

/// A definition, as far as it is read.
#[derive(Deserialize)]
struct Definition {
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// A status with the condition of the definitions' version, if it is of a GatewayClass, and they
/// can be read.
///
/// # Errors
/// The API server does not answer as one should.
pub(super) async fn judged<'a>(
    client: &Client,
    status: Option<&'a Status>,
) -> Result<Option<Cow<'a, Status>>, Failure> {
    let Some(Status::GatewayClass(conditions)) = status else {
        return Ok(status.map(Cow::Borrowed));
    };
    let mut conditions = conditions.clone();
    let generation = conditions.first().map(|condition| condition.generation);
    let versions = versions(client).await?;
    if let (Some(generation), [_, ..]) = (generation, versions.as_slice()) {
        conditions.push(condition(&versions, generation));
    }
    Ok(Some(Cow::Owned(Status::GatewayClass(conditions))))
}

/// The definitions that there are, each with its version; none if they may not be read.
async fn versions(client: &Client) -> Result<Vec<(String, Option<String>)>, Failure> {
    let mut versions = Vec::new();
    for kind in KINDS {
        let name = format!("{}.{}", kind.plural(), kind.info().group());
        match read(client, &name).await {
            Ok(version) => versions.push((name, version)),
            Err(failure) if failure.is_not_found() => {}
            Err(failure) if failure.is_forbidden() => return Ok(Vec::new()),
            Err(failure) => return Err(failure.at(&client.place(PATH))),
        }
    }
    Ok(versions)
}

async fn read(client: &Client, name: &str) -> Result<Option<String>, Failure> {
    let request = Request::get(format!("{PATH}/{name}")).header(header::ACCEPT, METADATA);
    let request = request.body(Vec::new());
    let request = request.map_err(|error| Failure::Unreachable(quote(&error.to_string())))?;
    let text = send(client, request).await?;
    let found: Definition = serde_json::from_slice(&text).map_err(|error| {
        let (why, beginning) = (quote(&error.to_string()), quote_bytes(&text));
        Failure::Garbled(format!("{why}; it begins with {beginning:?}"))
    })?;
    let is_one = ["PartialObjectMetadata", "CustomResourceDefinition"].contains(&&*found.kind);
    if !is_one || found.metadata.name != name {
        let what = format!("{} as the definition {name}", quote(&found.kind));
        return Err(Failure::Foreign(what));
    }
    let mut annotations = found.metadata.annotations;
    Ok(annotations.remove(VERSION))
}

/// The condition. A class is accepted whatever it says.
fn condition(versions: &[(String, Option<String>)], generation: i64) -> Condition {
    let unknown = versions.iter().find(|(_, version)| {
        let version = version.as_deref();
        !version.is_some_and(is_known)
    });
    let message = match unknown {
        None => "the definitions of Gateway API are of a version that Seaway knows".to_owned(),
        Some((name, None)) => format!("the definition {name} does not say its version ({VERSION})"),
        Some((name, Some(version))) => {
            let version = quote(version);
            format!("Seaway does not know version {version} of the definition {name}")
        }
    };
    Condition {
        kind: SUPPORTED,
        status: unknown.is_none(),
        reason: if unknown.is_none() {
            SUPPORTED
        } else {
            UNSUPPORTED
        },
        message: message.into(),
        generation,
    }
}

/// Whether a version is known: `v1.6.1`, and what goes before it is released, `v1.6.0-rc.1`.
fn is_known(version: &str) -> bool {
    let parse = || {
        let mut parts = version.strip_prefix("v1.")?.splitn(2, '.');
        let minor: u32 = parts.next()?.parse().ok()?;
        let patch = parts.next()?;
        let is_patch = patch.starts_with(|c: char| c.is_ascii_digit());
        Some(is_patch && MINORS.contains(&minor))
    };
    parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_known_up_to_the_newest_that_was_read() {
        for known in ["v1.0.0", "v1.6.1", "v1.5.0-rc.2"] {
            assert!(is_known(known), "{known}");
        }
        for unknown in [
            "", "v1", "1.6.1", "v0.8.1", "v1.7.0", "v1.x.0", "v1.6", "v2.0.0",
        ] {
            assert!(!is_known(unknown), "{unknown}");
        }
    }
}
