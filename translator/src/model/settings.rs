//! [`ServiceSettings`]: what annotations of a Service say of requests for it, and of how its
//! endpoints are used.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Retry, Timeouts};

/// What annotations of a Service say of requests for it, and of how its endpoints are used. What is
/// unset is as without annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// How long a request may take (annotation `seaway.dev/timeout`), and each of its tries
    /// (`seaway.dev/try-timeout`), in milliseconds.
    pub timeouts: Timeouts,
    /// When a request is sent again (annotation `seaway.dev/retry`).
    pub retry: Option<Retry>,
    /// How an endpoint is chosen (annotation `seaway.dev/balance`).
    pub balance: Balance,
    /// How much of the endpoints one proxy uses at a time.
    pub limits: Limits,
    /// When endpoints are left out for a while.
    pub ejection: Ejection,
}

/// A time in milliseconds as annotations have it: `5s`, `500ms`.
pub(crate) fn time_in_words(milliseconds: i64) -> String {
    match milliseconds % 1000 {
        0 => format!("{}s", milliseconds / 1000),
        _ => format!("{milliseconds}ms"),
    }
}

/// How an endpoint is chosen for a connection or a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Of two at random the one with fewer open requests or connections.
    LeastRequest,
    /// At random.
    Random,
    /// By the value of a part of the request: requests with the same value go to the same endpoint.
    Hash(HashBy),
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Balance::RoundRobin => f.write_str("round-robin"),
            Balance::LeastRequest => f.write_str("least-request"),
            Balance::Random => f.write_str("random"),
            Balance::Hash(by) => by.fmt(f),
        }
    }
}

/// What decides on the endpoint of a request where those that are alike go to the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HashBy {
    /// The address of the client: `sessionAffinity: ClientIP` (Service rule 97).
    Source,
    /// The header of this name.
    Header(Arc<str>),
    /// The cookie of this name, which a client without one is given.
    Cookie(Arc<str>),
}

impl fmt::Display for HashBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashBy::Source => f.write_str("client"),
            HashBy::Header(name) => write!(f, "header={name}"),
            HashBy::Cookie(name) => write!(f, "cookie={name}"),
        }
    }
}

/// How much of the endpoints of a port one proxy uses at a time; `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Connections (annotation `seaway.dev/max-connections`).
    pub connections: Option<NonZeroU32>,
    /// Requests, or TCP connections, that wait for a connection to an endpoint (annotation
    /// `seaway.dev/max-pending-requests`).
    pub pending: Option<NonZeroU32>,
    /// Requests (annotation `seaway.dev/max-requests`).
    pub requests: Option<NonZeroU32>,
}

/// When endpoints are left out for a while, beside those that could not be connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ejection {
    /// After how many answers with a status of 5xx in a row (annotation `seaway.dev/outlier-5xx`);
    /// `None`: never.
    pub errors: Option<NonZeroU32>,
    /// For how many milliseconds the first time (annotation `seaway.dev/ejection-time`).
    pub time: Option<NonZeroU32>,
    /// How many percent of the endpoints at most (annotation `seaway.dev/max-ejected`).
    pub most: Option<NonZeroU32>,
}
