//! The rows of the lists.

use seaway_translator::Served;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ProxyState;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The time of the answer (RFC 3339).
    pub(crate) now: String,
    /// The replica that answers.
    pub(crate) replica: String,
    /// The newest commit.
    pub(crate) commit: u64,
    /// How many items there are that the filters let through, on all pages.
    pub(crate) total: usize,
    /// What `after` has to be for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// The items of this page.
    pub(crate) items: Vec<T>,
}

/// A stream of a proxy, and whether the proxy has what it should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProxyRow {
    /// The id of the proxy's node, as it says itself.
    pub(crate) proxy: String,
    /// The number of its stream.
    pub(crate) stream: u64,
    /// Its role.
    pub(crate) role: String,
    /// The Node on which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// Its zone: that of the Node, else the one that it claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    /// The namespace in which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// What a mesh proxy imports, by itself or by its Namespace; without it all there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) import: Vec<String>,
    /// The fleet of an ingress proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fleet: Option<String>,
    /// Its verified identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    /// Where it connects from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// What it runs: `envoy 1.40.0`.
    pub(crate) client: String,
    /// `delta` or `sotw`.
    pub(crate) dialect: String,
    /// When its stream began.
    pub(crate) connected: String,
    /// Whether it has what it should have.
    pub(crate) state: ProxyState,
    /// Since when it is in that state, if it is not synced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// Since when it is behind, if it is, whatever else its state is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) behind: Option<String>,
    /// What is wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) what: Option<String>,
    /// The layers through which it sees resources, the most specific first: of what lies in several
    /// it has that of the first.
    #[serde(default)]
    pub(crate) layers: Vec<String>,
    /// The types that it asked for.
    pub(crate) types: Vec<ProxyType>,
}

/// What a proxy asked for of one type, has and is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProxyType {
    /// The type: `cluster`, `endpoint`, `listener`, `route`…
    pub(crate) r#type: String,
    /// Whether it asks for all resources of the type.
    pub(crate) all: bool,
    /// How many names it asks for.
    pub(crate) names: usize,
    /// How many of the names do not exist.
    pub(crate) missing: usize,
    /// How many resources it has.
    pub(crate) held: usize,
    /// How many it has still to be sent.
    pub(crate) owed: usize,
    /// Since when it has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unanswered: Option<String>,
    /// When the last response was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<String>,
    /// When it last took one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<String>,
    /// When it last rejected one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rejected: Option<String>,
    /// What it rejects now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rejects: Vec<Rejected>,
}

/// A resource that a proxy rejects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rejected {
    /// The name of the resource.
    pub(crate) name: String,
    /// The object that it is made from.
    pub(crate) object: String,
    /// What the proxy says.
    pub(crate) error: String,
}

/// A Service, and whether it is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceRow {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its type: `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName` or `Headless`.
    pub(crate) r#type: String,
    /// The addresses that it has.
    pub(crate) addresses: Vec<String>,
    /// Its ports: `http:80`, `dns:53/UDP`.
    pub(crate) ports: Vec<String>,
    /// How many of its endpoints can take connections.
    pub(crate) ready: u32,
    /// How many endpoints it has.
    pub(crate) endpoints: u32,
    /// How much of it is served.
    #[schema(schema_with = crate::inspect::openapi::served)]
    pub(crate) served: Served,
    /// Since when, as far as this replica knows.
    pub(crate) since: String,
    /// Why not all of it is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// How many proxies have a resource in this version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Held {
    /// Proxies that ask for it and see this layer's.
    pub(crate) wanted: usize,
    /// Those that have acknowledged it.
    pub(crate) held: usize,
    /// Those that were sent it and have not answered.
    pub(crate) sent: usize,
    /// Those that have still to be sent it.
    pub(crate) owed: usize,
    /// Those that reject it.
    pub(crate) rejected: usize,
}

/// A Service or an EndpointSlice as this replica has taken it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ObjectRow {
    /// The object: `Service shop/web`.
    pub(crate) object: String,
    /// A hash of its content, of the fields that are used; absent if there is no such object that
    /// matters here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<String>,
    /// Whether all that this content changed is in a commit.
    pub(crate) published: bool,
    /// Of a Service, how much of it is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "yes")]
    pub(crate) served: Option<Served>,
    /// Why not all of it is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// A problem that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProblemRow {
    /// The object: `Service shop/web`.
    pub(crate) object: String,
    /// The field; empty if it is none alone.
    pub(crate) field: String,
    /// `error`: something that was asked for is not served; `warning`: something may not be as it
    /// is meant.
    pub(crate) severity: String,
    /// The reason, as a stable word.
    pub(crate) reason: String,
    /// What is wrong, in words.
    pub(crate) message: String,
    /// Since when this replica knows of it.
    pub(crate) since: String,
}

/// A commit: what changed, why, and who has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChangeRow {
    /// Its number.
    pub(crate) commit: u64,
    /// When the first of the changes was read.
    pub(crate) at: String,
    /// The objects that changed, the first of them.
    pub(crate) causes: Vec<Cause>,
    /// How many objects changed.
    pub(crate) objects: usize,
    /// What resources were made from that changed with it, the first of them.
    pub(crate) origins: Vec<String>,
    /// How many there are.
    pub(crate) origins_total: usize,
    /// The types that changed.
    pub(crate) types: Vec<ChangedType>,
    /// How long it took, in milliseconds, until the last proxy had taken it; absent while some have
    /// not, or where it concerned none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ack_ms: Option<f64>,
    /// How many proxies have not answered yet.
    pub(crate) waiting: u32,
}

/// An object that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Cause {
    /// The object: `EndpointSlice shop/web-x7k2p`.
    pub(crate) object: String,
    /// Its `resourceVersion`, where an API server told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Whether it is gone.
    pub(crate) gone: bool,
}

/// What a commit changed of one type, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChangedType {
    /// The type.
    pub(crate) r#type: String,
    /// Resources that are new or have other content.
    pub(crate) set: usize,
    /// Resources that are gone.
    pub(crate) removed: usize,
    /// The bytes of what was set.
    pub(crate) bytes: usize,
    /// How many proxies it concerned.
    pub(crate) proxies: u32,
    /// How many have not answered yet.
    pub(crate) waiting: u32,
    /// How many rejected it.
    pub(crate) rejected: u32,
    /// How many fell so far behind that it is no longer known which answers they owe: they do not
    /// count as waiting.
    #[serde(default)]
    pub(crate) lost: u32,
    /// Milliseconds from when the change was read until the last proxy was sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sent_ms: Option<f64>,
    /// Milliseconds from when the change was read until the last proxy had answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ack_ms: Option<f64>,
}

/// A watch on the API server, or the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct WatchRow {
    /// Its name: `services`, `services in shop`.
    pub(crate) watch: String,
    /// `live`, `failing`, `listing`, `absent`, `unneeded` or `stale`.
    pub(crate) state: String,
    /// When something was last received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard: Option<String>,
    /// Why it is not live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}
