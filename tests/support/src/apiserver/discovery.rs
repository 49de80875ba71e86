//! Discovery: which kinds are served, as `/api`, `/apis` and the path of each version say it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result as Done;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response};
use serde_json::{Value, json};

use super::answer::respond;
use super::body::Content;
use super::kinds::Kind;
use super::shared::Shared;
use super::status::Refusal;
use super::{ApiServer, named};

/// Which kinds are served. Some are from the start; those of the Gateway API, and older versions,
/// are once they are installed. Each version has objects of its own.
impl ApiServer {
    /// Serves a kind (its plural, with its `apiVersion` where there are several) from now on, as
    /// when its CustomResourceDefinition is applied.
    pub fn install(&self, resource: &str) -> Done<()> {
        self.shared.install(named(resource)?);
        Ok(())
    }

    /// Ends serving a kind: its watches end, what is asked for is 404, and its objects are gone. A
    /// real server tells watches of each object before that; who missed it knows what this shows.
    pub fn uninstall(&self, resource: &str) -> Done<()> {
        self.shared.uninstall(named(resource)?);
        Ok(())
    }
}

/// The answer to a request for a discovery document; `None` for any other path.
pub(super) fn document(
    shared: &Shared,
    head: &Parts,
) -> Result<Option<Response<Content>>, Refusal> {
    let path = head.uri.path();
    let segments: Vec<_> = path.trim_matches('/').split('/').collect();
    let is_document = matches!(
        segments.as_slice(),
        ["api" | "apis"] | ["api", _] | ["apis", _, _]
    );
    if head.method != Method::GET || !is_document {
        return Ok(None);
    }
    shared.refuse_discovery(path)?;
    let document = match segments.as_slice() {
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["apis"] => Some(groups(shared)),
        ["api", version] => resources(shared, "", version),
        ["apis", group, version] => resources(shared, group, version),
        _ => None,
    };
    let whole = |document: Value| respond(200, Content::Whole(document.to_string().into()));
    Ok(Some(document.map_or_else(nothing, whole)))
}

/// What the real server answers where nothing is served.
pub(super) fn nothing() -> Response<Content> {
    let text = Bytes::from_static(b"404 page not found\n");
    let mut response = respond(404, Content::Whole(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn installed(shared: &Shared) -> impl Iterator<Item = &'static Kind> {
    Kind::all().filter(|kind| shared.is_installed(kind))
}

fn groups(shared: &Shared) -> Value {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for kind in installed(shared).filter(|kind| !kind.group.is_empty()) {
        groups.entry(kind.group).or_default().insert(kind.version);
    }
    let groups = groups.into_iter().map(|(group, versions)| {
        let version =
            |version| json!({"groupVersion": format!("{group}/{version}"), "version": version});
        let versions: Vec<_> = versions.into_iter().map(version).collect();
        json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
    });
    let groups: Vec<_> = groups.collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn resources(shared: &Shared, group: &str, version: &str) -> Option<Value> {
    let kinds = installed(shared).filter(|kind| (kind.group, kind.version) == (group, version));
    let resources = kinds.map(|kind| {
        json!({
            "name": kind.resource, "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
        })
    });
    let resources: Vec<_> = resources.collect();
    if resources.is_empty() {
        return None;
    }
    let mut list = json!({"kind": "APIResourceList", "resources": resources});
    if group.is_empty() {
        // The oldest of the documents names no version of itself.
        list["groupVersion"] = version.into();
    } else {
        list["apiVersion"] = "v1".into();
        list["groupVersion"] = format!("{group}/{version}").into();
    }
    Some(list)
}
