//! The objects of Gateway API: [`GatewayClass`], [`Gateway`], [`HTTPRoute`] and [`ReferenceGrant`].

use std::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Fleet, Hostname, Imports, Rule};
use crate::Problem;

/// A GatewayClass: which controller serves the Gateways of the class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayClass {
    /// The name.
    pub name: Arc<str>,
    /// `metadata.generation`, for conditions; 0 without one.
    pub generation: i64,
    /// `spec.controllerName`.
    pub controller: Arc<str>,
    /// Whether `spec.parametersRef` is set, which is not supported (Gateway rule 6).
    pub has_parameters: bool,
    /// The problems found while the object was read.
    pub problems: Box<[Problem]>,
}

/// A Gateway: addresses, and listeners on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// `metadata.generation`, for conditions; 0 without one.
    pub generation: i64,
    /// Seconds since 1970 of `creationTimestamp`; `i64::MAX` without one.
    pub created: i64,
    /// `spec.gatewayClassName`.
    pub class: Arc<str>,
    /// The fleet that serves it; `None` if the label names none that could be.
    pub fleet: Option<Fleet>,
    /// Whether `spec.infrastructure.parametersRef` is set, which is not supported (Gateway rule 8).
    pub has_parameters: bool,
    /// `spec.addresses`.
    pub addresses: Box<[GatewayAddress]>,
    /// `spec.listeners`, each name once.
    pub listeners: Box<[GatewayListener]>,
    /// The problems found while the object was read.
    pub problems: Box<[Problem]>,
}

/// An address that a Gateway asks for (Gateway rule 12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayAddress {
    /// The type: `IPAddress`, `Hostname`, or one that is not supported.
    pub kind: Arc<str>,
    /// The value; empty for any address of the type.
    pub value: Arc<str>,
}

/// A listener of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayListener {
    /// The position in `spec.listeners`, for problems.
    pub index: usize,
    /// The name, unique in the Gateway.
    pub name: Arc<str>,
    /// The hosts that it is for.
    pub hostname: Hostname,
    /// The port that clients connect to.
    pub port: NonZeroU16,
    /// The protocol.
    pub protocol: ListenerProtocol,
    /// The kinds of routes that may attach.
    pub kinds: Box<[RouteKind]>,
    /// Whether `allowedRoutes.kinds` names kinds that the protocol does not take (Gateway rule 20).
    pub has_invalid_kinds: bool,
    /// The namespaces whose routes may attach.
    pub namespaces: AllowedNamespaces,
    /// The references to certificates of an HTTPS listener.
    pub certificates: Box<[CertificateRef]>,
    /// What keeps the listener from being accepted, in words (Gateway rule 21); the field is in the
    /// problems.
    pub invalid: Option<Arc<str>>,
}

/// The protocol of a listener (Gateway rule 19).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListenerProtocol {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS, terminated here.
    Https,
    /// TLS, passed through or terminated.
    Tls,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// One that is not supported.
    Other(Arc<str>),
}

/// A kind of route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RouteKind {
    /// `HTTPRoute`.
    HTTPRoute,
}

/// The namespaces from which routes may attach (Gateway rule 43).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AllowedNamespaces {
    /// That of the object that has the listener.
    Same,
    /// All.
    All,
    /// Those whose labels match.
    Selector(LabelSelector),
}

/// A label selector; without requirements it selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSelector {
    /// The requirements, all of which have to hold.
    pub requirements: Box<[LabelRequirement]>,
}

/// What a label selector asks of one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelRequirement {
    /// The key of the label.
    pub key: Arc<str>,
    /// The relation of its value to the values.
    pub operator: LabelOperator,
    /// The values.
    pub values: Box<[Arc<str>]>,
}

/// The operator of a label requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelOperator {
    /// The value is one of the values.
    In,
    /// There is no such label, or its value is none of the values.
    NotIn,
    /// There is such a label.
    Exists,
    /// There is no such label.
    DoesNotExist,
}

/// A reference to a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRef {
    /// The namespace, that of the Gateway if the reference names none.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// Whether the reference is to a Secret; all else is not supported.
    pub is_secret: bool,
}

/// An HTTPRoute: rules for the requests that reach its parents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HTTPRoute {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// `metadata.generation`, for conditions; 0 without one.
    pub generation: i64,
    /// Seconds since 1970 of `creationTimestamp`; `i64::MAX` without one.
    pub created: i64,
    /// `spec.parentRefs`.
    pub parents: Box<[ParentRef]>,
    /// `spec.hostnames`; [`Hostname::Any`] without any. Empty when none of them can be used: then
    /// the route is for no host.
    pub hostnames: Box<[Hostname]>,
    /// The rules that can be served or answered.
    pub rules: Box<[Rule]>,
    /// How many rules there are, those left out included.
    pub declared_rules: usize,
    /// What is wrong with the rules that are left out or broken, in words; empty: nothing.
    pub dropped: Arc<str>,
    /// Whether a rule has a redirect beside a rewrite (Gateway rule 94).
    pub incompatible_filters: bool,
    /// The problems found while the object was read.
    pub problems: Box<[Problem]>,
}

/// A reference of a route to its parent, as it is written: a status entry repeats it (Gateway rule
/// 100).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentRef {
    /// `group`.
    pub group: Option<Arc<str>>,
    /// `kind`.
    pub kind: Option<Arc<str>>,
    /// `namespace`.
    pub namespace: Option<Arc<str>>,
    /// `name`.
    pub name: Arc<str>,
    /// `sectionName`.
    pub section: Option<Arc<str>>,
    /// `port`.
    pub port: Option<NonZeroU16>,
}

impl ParentRef {
    /// The group of Gateway API, which is that of a parent unless another one is written.
    pub const GROUP: &'static str = "gateway.networking.k8s.io";

    /// Whether the parent is a Gateway.
    #[must_use]
    pub fn is_gateway(&self) -> bool {
        self.group.as_deref().unwrap_or(Self::GROUP) == Self::GROUP
            && self.kind.as_deref().unwrap_or("Gateway") == "Gateway"
    }

    /// Whether the parent is a Service, whose clients in a mesh the route is for.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.group.as_deref() == Some("") && self.kind.as_deref() == Some("Service")
    }
}

/// A ReferenceGrant: who in other namespaces may refer to what in its own (Gateway rule 32).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceGrant {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// Who may refer.
    pub from: Box<[GrantFrom]>,
    /// What may be referred to.
    pub to: Box<[GrantTo]>,
    /// The problems found while the object was read.
    pub problems: Box<[Problem]>,
}

/// The objects that a grant lets refer: those of a kind in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantFrom {
    /// The API group; empty for the core group.
    pub group: Arc<str>,
    /// The kind.
    pub kind: Arc<str>,
    /// The namespace.
    pub namespace: Arc<str>,
}

/// The objects that a grant lets be referred to: all of a kind, or the one of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantTo {
    /// The API group; empty for the core group.
    pub group: Arc<str>,
    /// The kind.
    pub kind: Arc<str>,
    /// The name; `None` for all.
    pub name: Option<Arc<str>>,
}

/// The labels of a Namespace, and what its mesh proxies import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The name.
    pub name: Arc<str>,
    /// The labels, by key.
    pub labels: std::collections::BTreeMap<Arc<str>, Arc<str>>,
    /// What mesh proxies in it import that say nothing themselves (annotation
    /// `seaway.dev/import`); `None` for all there is.
    pub imports: Option<Imports>,
    /// The problems found while the object was read.
    pub problems: Box<[Problem]>,
}
