//! [`Rule`]: which requests are meant, and what becomes of them: the common language of Ingress
//! paths and of routes of Gateway API.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ServiceKey;

/// One rule: what a request looks like, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The field of the object that the rule is, for problems: `spec.rules[1]`.
    pub field: Arc<str>,
    /// What a request looks like; any one of these is enough, and there is at least one.
    pub matches: Box<[Match]>,
    /// What is changed about the request and the response.
    pub filters: Filters,
    /// Where requests go, by weight. Without any, and without a redirect, they are answered with
    /// 500 (Gateway rule 83).
    pub backends: Box<[Backend]>,
    /// How long a request may take.
    pub timeouts: Timeouts,
    /// When a request is sent again; `None` where no connection came about alone.
    pub retry: Option<Retry>,
    /// Whether part of the rule cannot be served: then its requests are answered with 500, so that
    /// no wider rule takes them (Gateway rule 95).
    pub broken: bool,
}

/// What a request looks like; everything here has to be true of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The path.
    pub path: PathMatch,
    /// The HTTP method.
    pub method: Option<Arc<str>>,
    /// Headers, each name once (Gateway rule 57).
    pub headers: Box<[NamedMatch]>,
    /// Query parameters, each name once.
    pub query: Box<[NamedMatch]>,
}

/// The paths that a match is for (Gateway rule 66, Service rule 136).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PathMatch {
    /// This path alone.
    Exact(Arc<str>),
    /// This path and those below it, element by element. Without a slash at its end; empty for
    /// every path.
    Prefix(Arc<str>),
    /// A regular expression that has to match the whole path.
    Regex(Arc<str>),
}

/// A header or query parameter that a request has to have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedMatch {
    /// The name; of a header in lower case.
    pub name: Arc<str>,
    /// The value.
    pub value: TextMatch,
}

/// The texts that a match is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TextMatch {
    /// This text.
    Exact(Arc<str>),
    /// A regular expression that has to match the whole text.
    Regex(Arc<str>),
}

/// The changes to a request and its response, and requests sent elsewhere too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filters {
    /// Changes of request headers.
    pub request_headers: HeaderChanges,
    /// Changes of response headers.
    pub response_headers: HeaderChanges,
    /// A redirect that answers the request.
    pub redirect: Option<Redirect>,
    /// A change of the request's host and path; never beside a redirect.
    pub rewrite: Option<Rewrite>,
    /// Services that get a copy of the request.
    pub mirrors: Box<[Mirror]>,
    /// What scripts of other origins may do.
    pub cors: Option<Cors>,
}

/// Changes of headers (Gateway rule 68). Names are in lower case, each in one of the lists once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderChanges {
    /// Headers that get this value in place of any.
    pub set: Box<[(Arc<str>, Arc<str>)]>,
    /// Headers that get this value beside others.
    pub add: Box<[(Arc<str>, Arc<str>)]>,
    /// Headers that are removed.
    pub remove: Box<[Arc<str>]>,
}

/// A redirect (Gateway rule 69). What is not set is that of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The scheme: `http` or `https`.
    pub scheme: Option<Arc<str>>,
    /// The host name.
    pub hostname: Option<Arc<str>>,
    /// The path.
    pub path: Option<PathChange>,
    /// The port.
    pub port: Option<NonZeroU16>,
    /// The status code: 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// A change of a request on its way to a backend (Gateway rules 71 and 72).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The host name that replaces the one asked for.
    pub hostname: Option<Arc<str>>,
    /// The path.
    pub path: Option<PathChange>,
}

/// A change of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathChange {
    /// This path in place of the whole.
    Full(Arc<str>),
    /// This in place of the prefix that matched; all matches of the rule are prefixes then. Without
    /// a slash at its end; empty for `/`.
    Prefix(Arc<str>),
}

/// A Service that gets copies of requests (Gateway rule 73).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The field of the object, for problems.
    pub field: Arc<str>,
    /// Where copies go.
    pub target: Target,
    /// How many of a million requests are copied; more than 0.
    pub per_million: u32,
}

/// What scripts of other origins may do (Gateway rule 74).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// The origins, each with `*` for any text, or `*` alone for all.
    pub origins: Box<[Arc<str>]>,
    /// The methods, or `*` alone.
    pub methods: Box<[Arc<str>]>,
    /// The request headers, or `*` alone.
    pub headers: Box<[Arc<str>]>,
    /// The response headers that scripts may read, or `*` alone.
    pub exposed: Box<[Arc<str>]>,
    /// Whether requests may carry credentials.
    pub credentials: bool,
    /// For how many seconds the answer to a preflight request holds.
    pub max_age: u32,
}

/// A share of the requests of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// The field of the object, for problems.
    pub field: Arc<str>,
    /// Where the requests go.
    pub target: Target,
    /// The share, among the weights of all backends of the rule.
    pub weight: u32,
    /// Changes of request headers for this backend alone.
    pub request_headers: HeaderChanges,
    /// Changes of response headers of this backend alone.
    pub response_headers: HeaderChanges,
    /// The host name that replaces the one asked for.
    pub hostname: Option<Arc<str>>,
}

/// What a backend or a mirror names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A port of a Service.
    Service(ServiceKey, BackendPort),
    /// Something that is not served, in words: `a resource`, `kind Foo`. Its problem is among those
    /// of the object already. The proxy answers requests for it: with 503 in an Ingress (Service
    /// rule 142), with 500 in a route of Gateway API (Gateway rule 82).
    Unsupported(Arc<str>),
}

/// The port of a Service, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BackendPort {
    /// The number of the Service port.
    Number(NonZeroU16),
    /// The name of the Service port.
    Name(Arc<str>),
}

/// How long a request may take (Gateway rule 76), in milliseconds; 0 for as long as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// From the request's beginning to the response's end, with all retries.
    pub request: Option<u32>,
    /// For one try at a backend.
    pub backend_request: Option<u32>,
}

/// When a request is sent again (Gateway rule 77): where no connection came about, a stream was
/// refused or reset, and where the answer has one of these codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often at most.
    pub attempts: u32,
    /// The status codes, from 400 to 599.
    pub codes: Box<[u16]>,
    /// The first pause between two tries, in milliseconds; later ones are longer, up to ten times.
    pub pause: Option<NonZeroU32>,
}
