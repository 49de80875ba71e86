//! The answer to a question.

use seaway_translator::Answer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Cause;

/// What becomes of a connection or a request, and whether the proxies have that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Explained {
    /// The time of the answer (RFC 3339).
    pub(crate) now: String,
    /// The replica that answers.
    pub(crate) replica: String,
    /// The newest commit.
    pub(crate) commit: u64,
    /// What was decided, and what decided it: as `seaway explain -o json` prints it.
    #[schema(value_type = Object)]
    pub(crate) answer: Answer,
    /// How many proxies have it; absent where there is nothing to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) have: Option<Have>,
    /// The last change of the Service, if it is one of the last 1,000 commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_change: Option<LastChange>,
}

/// How many proxies of this replica have all that belongs to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Have {
    /// Proxies that ask for it.
    pub(crate) proxies: usize,
    /// Those that have acknowledged all of it.
    pub(crate) have: usize,
    /// Those that reject some of it.
    pub(crate) reject: usize,
}

/// The last change of a Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LastChange {
    /// The commit.
    pub(crate) commit: u64,
    /// When it was read.
    pub(crate) at: String,
    /// The first object that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) because: Option<Cause>,
    /// How long it took until the last proxy had answered, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ack_ms: Option<f64>,
    /// How many proxies have not answered.
    pub(crate) waiting: u32,
}
