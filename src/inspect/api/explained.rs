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
    /// How many proxies have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) have: Option<Have>,
    /// The last change of the Service, if it is one of the last 1,000 commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_change: Option<LastChange>,
}

/// How many proxies of this replica have all that belongs to an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Have {
    /// Proxies at the place that was asked about, whether or not they ask for it.
    #[serde(default)]
    pub(crate) connected: usize,
    /// Those of them that ask for some of it.
    pub(crate) proxies: usize,
    /// Those that have acknowledged all of it.
    pub(crate) have: usize,
    /// Those that reject some of it.
    pub(crate) reject: usize,
    /// The first 8 of those that lack some of it, those that reject it before all others.
    #[serde(default)]
    pub(crate) without: Vec<Without>,
}

/// A proxy that lacks some of what belongs to an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Without {
    /// The proxy's id.
    pub(crate) proxy: String,
    /// Why it lacks that.
    pub(crate) state: WithoutState,
    /// The first 8 resources that it rejects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rejects: Vec<Rejection>,
}

/// Why a proxy lacks a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WithoutState {
    /// It rejects it.
    Rejects,
    /// It is held back from it.
    HeldBack,
    /// It is still to be sent it.
    Owed,
    /// It was sent it and has not answered.
    Unanswered,
}

/// A resource that a proxy rejects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rejection {
    /// The type, in a word.
    pub(crate) r#type: String,
    /// The resource's name.
    pub(crate) name: String,
    /// What the proxy says of it.
    pub(crate) error: String,
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
