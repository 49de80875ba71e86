//! Rows about resources: what is published in which layer, and where a proxy differs from it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Held;

/// A resource in one layer, and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ResourceRow {
    /// Its type: `cluster`, `endpoint`, `listener`, `route`…
    pub(crate) r#type: String,
    /// Its name.
    pub(crate) name: String,
    /// The layer: which proxies it is for.
    pub(crate) layer: String,
    /// The object that it is made from.
    pub(crate) object: String,
    /// Its version: a hash of its content; absent where the layer hides what others have under the
    /// name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Its size.
    pub(crate) bytes: usize,
    /// The commit that gave it this content.
    pub(crate) commit: u64,
    /// When that was, unless it was long ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// Who has it.
    pub(crate) held: Held,
    /// The names of the resources that it refers to, each after its type.
    pub(crate) refs: Vec<String>,
    /// The resource as protobuf JSON, if it is asked for; never of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) content: Option<Value>,
}

/// A layer: what it has, and for how many proxies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LayerRow {
    /// Its name, which says which proxies it is for: `all`, `role:node`, `zone:a`, `node:n1@a`.
    pub(crate) layer: String,
    /// How many proxies look through it.
    pub(crate) proxies: usize,
    /// How many resources it has.
    pub(crate) resources: usize,
    /// Their size, in bytes.
    pub(crate) bytes: usize,
    /// The same of each type of which it has some.
    pub(crate) types: Vec<LayerType>,
}

/// What a layer has of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LayerType {
    /// The type: `cluster`, `endpoint`, `listener`, `route`…
    pub(crate) r#type: String,
    /// How many resources.
    pub(crate) resources: usize,
    /// Their size, in bytes.
    pub(crate) bytes: usize,
}

/// A resource that a proxy has otherwise than it is to have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct DifferenceRow {
    /// The stream of the proxy.
    pub(crate) stream: u64,
    /// The type: `cluster`, `endpoint`, `listener`, `route`…
    pub(crate) r#type: String,
    /// The name of the resource.
    pub(crate) name: String,
    /// The object that it is made from, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<String>,
    /// How far the proxy is with it.
    pub(crate) state: DifferenceState,
    /// The version that it is to have; absent if it is to have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Whether it was sent the resource before: it then has another version of it.
    pub(crate) has_some: bool,
    /// The version that it keeps instead, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) has: Option<String>,
    /// Since when, unless that was long ago: from when it rejects the resource, else from when this
    /// version was published, or the resource removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// What the proxy said when it rejected the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// How far a proxy is with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DifferenceState {
    /// It has still to be sent this version.
    Owed,
    /// It was sent this version and has not answered.
    Sent,
    /// It rejects this version.
    Rejected,
    /// This version is held back from it.
    HeldBack,
    /// It has still to be told that the resource is gone.
    ToBeRemoved,
}
