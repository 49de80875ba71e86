//! Discovery: asks an API server whether it serves a kind, and in which version.
//!
//! That a kind is absent is read from documents that list what there is. A path that is not found
//! says nothing: a server that starts answers like that, and so does whatever else may be at its
//! address (invariant 2).

use std::time::Duration;

use axum::http::{Request, header};
use seaway_translator::{KindInfo, version_path};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Client, within};
use super::resource::Resource;
use super::wire::Failure;
use crate::process::outside::{quote, quote_bytes};

/// The largest discovery document, in bytes.
const MAX_DOCUMENT: usize = 16 << 20;

/// What discovery says of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is served, in this version: the first of the table that is.
    Served(Resource),
    /// It is served in none of the versions of the table.
    Absent,
}

/// The document at `/apis`: all groups but the core group.
#[derive(Deserialize)]
struct Groups {
    kind: String,
    groups: Vec<Group>,
}

/// A group in [`Groups`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    versions: Vec<Version>,
}

/// A version of a group: `discovery.k8s.io/v1`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    group_version: String,
}

/// The document of one version of a group.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinds {
    kind: String,
    group_version: String,
    resources: Vec<Named>,
}

/// A resource, or a subresource, in [`Kinds`].
#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Asks whether a kind is served. Each document may take as long as `limit`.
///
/// # Errors
/// A document cannot be had, or is not what it should be: then nothing is known.
pub(super) async fn discover(
    client: &Client,
    info: &KindInfo,
    limit: Duration,
) -> Result<Finding, Failure> {
    let versions = info.api_versions.iter().copied();
    let served: Vec<_> = match info.group() {
        "" => versions.collect(),
        _ => {
            let groups = groups(client, limit).await?;
            let listed = |version: &&str| groups.iter().any(|listed| listed == version);
            versions.filter(listed).collect()
        }
    };
    for version in served {
        if is_in(client, info, version, limit).await? {
            let resource = Resource::in_version(info.kind, version);
            return Ok(Finding::Served(resource));
        }
    }
    Ok(Finding::Absent)
}

/// The versions of all groups.
async fn groups(client: &Client, limit: Duration) -> Result<Vec<String>, Failure> {
    let path = "/apis";
    let groups: Groups = document(client, path, limit).await?;
    let versions = groups.groups.into_iter().flat_map(|group| group.versions);
    let versions: Vec<_> = versions.map(|version| version.group_version).collect();
    // Every API server has groups of its own.
    if groups.kind != "APIGroupList" || versions.is_empty() {
        return Err(foreign(client, path, &groups.kind));
    }
    Ok(versions)
}

async fn is_in(
    client: &Client,
    info: &KindInfo,
    version: &str,
    limit: Duration,
) -> Result<bool, Failure> {
    let path = version_path(version);
    let kinds: Kinds = document(client, &path, limit).await?;
    if kinds.kind != "APIResourceList" || kinds.group_version != version {
        let what = format!("{} of {}", kinds.kind, kinds.group_version);
        return Err(foreign(client, &path, &what));
    }
    Ok(kinds
        .resources
        .iter()
        .any(|named| named.name == info.plural))
}

fn foreign(client: &Client, path: &str, what: &str) -> Failure {
    let what = format!("{} as a discovery document", quote(what));
    Failure::Foreign(what).at(&client.place(path))
}

async fn document<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    limit: Duration,
) -> Result<T, Failure> {
    let request = Request::get(path).header(header::ACCEPT, "application/json");
    let request = request.body(Vec::new());
    let request = request.map_err(|error| Failure::Unreachable(quote(&error.to_string())))?;
    let text = within(limit, client.whole(request, MAX_DOCUMENT)).await?;
    serde_json::from_slice(&text).map_err(|error| {
        let (why, beginning) = (quote(&error.to_string()), quote_bytes(&text));
        let what = format!("{why}; it begins with {beginning:?}");
        Failure::Garbled(what).at(&client.place(path))
    })
}
