//! [`Ingress`] and [`IngressClass`]: HTTP routes by host and path, and who serves them.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Cors, Fleet, Hostname, Rule};
use crate::Problem;

/// An IngressClass: which controller serves the Ingresses of the class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressClass {
    /// The name.
    pub name: Arc<str>,
    /// Seconds since 1970 of `creationTimestamp`; `i64::MAX` without one.
    pub created: i64,
    /// `spec.controller`.
    pub controller: Arc<str>,
    /// Whether Ingresses that name no class are of this one.
    pub is_default: bool,
    /// The fleet that serves the Ingresses of the class; `None` if the label names none that could
    /// be.
    pub fleet: Option<Fleet>,
    /// The problems found while the object was read.
    pub problems: Box<[Problem]>,
}

/// An Ingress: HTTP routes by host and path, and where all else goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingress {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// Seconds since 1970 of `creationTimestamp`; `i64::MAX` without one (Service rule 18).
    pub created: i64,
    /// The name of the IngressClass: `spec.ingressClassName`, else the annotation
    /// `kubernetes.io/ingress.class` (Service rule 132).
    pub class: Option<Arc<str>>,
    /// The rules of each host; those of no host under [`Hostname::Any`]. A host without rules goes
    /// to the default backend (Service rule 140).
    pub hosts: Box<[(Hostname, Box<[Rule]>)]>,
    /// Where requests go that no rule is for: a rule for every path.
    pub default_backend: Option<Box<Rule>>,
    /// The certificates, each with the hosts that it is for.
    pub tls: Box<[IngressTls]>,
    /// What its annotations ask for.
    pub settings: IngressSettings,
    /// The problems found while the object was read.
    pub problems: Box<[Problem]>,
}

/// What the annotations of an Ingress ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressSettings {
    /// Whether requests over plain HTTP are redirected to HTTPS.
    pub redirect_to_https: bool,
    /// The value of the header `strict-transport-security` of answers over TLS.
    pub hsts: Option<Arc<str>>,
    /// The ranges of the clients that are served, `None` for all. Without any range nobody is.
    pub sources: Option<Box<[IpNet]>>,
    /// What scripts of other origins may do.
    pub cors: Option<Cors>,
    /// The most bytes that the body of a request may have.
    pub max_body: Option<NonZeroU64>,
    /// How many requests for each host one proxy takes.
    pub rate: Option<RateLimit>,
}

/// So many requests in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The requests, also those that may come at once.
    pub requests: NonZeroU32,
    /// The time in seconds: 1 or 60.
    pub seconds: NonZeroU32,
}

/// A certificate of an Ingress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressTls {
    /// The field of the object, for problems.
    pub field: Arc<str>,
    /// The hosts; none for whatever no other certificate is for.
    pub hosts: Box<[Hostname]>,
    /// The name of the Secret, in the namespace of the Ingress.
    pub secret: Option<Arc<str>>,
}
