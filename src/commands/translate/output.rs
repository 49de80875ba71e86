//! The output formats of `seaway translate`: each resource as Envoy itself would print it, sorted
//! by name.

use anyhow::Context;
use seaway_proto::{Resource, TypeUrl};
use seaway_translator::{Problem, Snapshot};
use serde::Serialize;
use serde_json::{Value, json};

/// What is printed in place of a certificate and its key, as Envoy prints it.
const REDACTED: &str = "[redacted]";

/// A translation as it is printed: resources by type, and the problems.
#[derive(Debug, Serialize)]
pub(super) struct Printed {
    pub(super) listeners: Vec<Value>,
    pub(super) routes: Vec<Value>,
    /// The routes of ingress proxies, one for each host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) scoped_routes: Vec<Value>,
    /// The HTTP filters that ingress proxies get by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) extensions: Vec<Value>,
    pub(super) clusters: Vec<Value>,
    pub(super) endpoints: Vec<Value>,
    /// The certificates of ingress proxies, with their content replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) secrets: Vec<Value>,
    pub(super) problems: Vec<Problem>,
}

impl Printed {
    /// Decodes every resource of a translation.
    pub(super) fn new(translated: &Snapshot) -> anyhow::Result<Printed> {
        let of = |type_url: TypeUrl| -> anyhow::Result<Vec<Value>> {
            let all = translated.resources.values();
            all.filter(|resource| resource.type_url == type_url)
                .map(open)
                .collect()
        };
        Ok(Printed {
            listeners: of(TypeUrl::LISTENER)?,
            routes: of(TypeUrl::ROUTE)?,
            scoped_routes: of(TypeUrl::SCOPED_ROUTE)?,
            extensions: of(TypeUrl::EXTENSION)?,
            clusters: of(TypeUrl::CLUSTER)?,
            endpoints: of(TypeUrl::ENDPOINT)?,
            secrets: secrets(translated),
            problems: translated.problems.clone(),
        })
    }
}

/// The secrets by name. Their content is for proxies alone, and so is not even decoded.
fn secrets(translated: &Snapshot) -> Vec<Value> {
    let all = translated.resources.values();
    let secrets = all.filter(|resource| resource.type_url == TypeUrl::SECRET);
    secrets.map(|secret| redacted(&secret.name)).collect()
}

/// A secret of which nothing is printed but its name.
pub(in crate::commands) fn redacted(name: &str) -> Value {
    let content = json!({ "inline_string": REDACTED });
    json!({
        "name": name,
        "tls_certificate": { "certificate_chain": content, "private_key": content },
    })
}

fn open(resource: &Resource) -> anyhow::Result<Value> {
    seaway_proto::json::to_value(resource.type_url.as_str(), &resource.value)
        .with_context(|| format!("printing {}", resource.name))
}
