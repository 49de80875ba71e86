//! [`Status`]: what the status of an object should say, as far as it follows from the objects:
//! whoever writes it to an API server adds the times, and keeps what others wrote (Gateway rules
//! 98 to 105, Service rule 146).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ParentRef;

/// The controller name of the GatewayClasses that are served, and of the entries for their Gateways
/// in the status of routes (Gateway rules 6 and 100).
pub const GATEWAY_CONTROLLER: &str = "seaway.dev/gateway-controller";

/// The controller name of the entries for Services in the status of routes: of each parent there is
/// one entry, whichever proxies the route is for (Gateway rule 120).
pub const MESH_CONTROLLER: &str = "seaway.dev/mesh-controller";

/// The features of Gateway API that are served, by the names of its conformance suite and in order:
/// `status.supportedFeatures` of a GatewayClass (Gateway rule 6).
pub const SUPPORTED_FEATURES: &[&str] = &[
    "Gateway",
    "GatewayHTTPListenerIsolation",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolH2C",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendTimeout",
    "HTTPRouteCORS",
    "HTTPRouteDestinationPortMatching",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteRetry",
    "HTTPRouteRetryBackendTimeout",
    "HTTPRouteRetryConnectionError",
    "HTTPRouteSchemeRedirect",
    "ReferenceGrant",
];

/// What the status of an object should say. Without one, nothing of this controller's is to stand
/// in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Of a GatewayClass.
    GatewayClass(Vec<Condition>),
    /// Of a Gateway.
    Gateway(GatewayStatus),
    /// Of a route: an entry for each of its parents that is served, in the order of the parents.
    Route(Vec<ParentStatus>),
    /// Of an Ingress: the addresses at which it is served.
    Ingress(Vec<StatusAddress>),
}

/// A condition, but for the time of its last transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `type`.
    pub kind: &'static str,
    /// `status`: `True` or `False`.
    pub status: bool,
    /// `reason`.
    pub reason: &'static str,
    /// `message`, for people.
    pub message: Arc<str>,
    /// `observedGeneration`.
    pub generation: i64,
}

/// The status of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    /// `addresses`.
    pub addresses: Vec<StatusAddress>,
    /// `conditions`.
    pub conditions: Vec<Condition>,
    /// `listeners`, one for each of the Gateway's, in their order.
    pub listeners: Vec<ListenerStatus>,
}

/// An address at which something is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StatusAddress {
    /// An IP address.
    Ip(std::net::IpAddr),
    /// A host name.
    Hostname(Arc<str>),
}

/// The status of a listener of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// `name`.
    pub name: Arc<str>,
    /// `supportedKinds`: the kinds of routes of Gateway API that may attach.
    pub kinds: Vec<&'static str>,
    /// `attachedRoutes`.
    pub attached_routes: i32,
    /// `conditions`.
    pub conditions: Vec<Condition>,
}

/// The status of a route with one of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentStatus {
    /// `parentRef`, as the route has it.
    pub parent: ParentRef,
    /// `controllerName`.
    pub controller: &'static str,
    /// `conditions`.
    pub conditions: Vec<Condition>,
}
