//! The state of a replica as a whole.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of one replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Replica {
    /// The time of the answer (RFC 3339).
    pub(crate) now: String,
    /// The name of the replica.
    pub(crate) replica: String,
    /// Its version.
    pub(crate) version: String,
    /// The arguments with which it runs, and `SEAWAY_…` variables as `NAME=VALUE`: names of files,
    /// and no secrets.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    /// When its process began.
    pub(crate) started: String,
    /// Why it serves no proxies, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unready: Option<String>,
    /// How new the world is that it serves.
    pub(crate) world: World,
    /// The newest commit.
    pub(crate) commit: u64,
    /// A hash of everything that is published for more than one place: equal on replicas that
    /// have read the same.
    pub(crate) digest: String,
    /// The proxies that are connected.
    pub(crate) proxies: ProxyCounts,
    /// The Services.
    pub(crate) services: ServiceCounts,
    /// The problems that stand.
    pub(crate) problems: ProblemCounts,
    /// The changes of the last 15 minutes.
    pub(crate) changes: ChangeCounts,
    /// What is degraded, in words: watches that fail, a file that cannot be read, a disk that
    /// hangs.
    pub(crate) degraded: Vec<String>,
    /// The last few that were not let in for what they could or could not prove, within ten
    /// minutes, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) denied: Vec<Denial>,
}

/// Streams of one client that were denied for its identity, or for the lack of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Denial {
    /// The address that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// The identity that it has proved, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    /// Why it is not let in, in words.
    pub(crate) why: String,
    /// How often it was denied for that.
    pub(crate) times: u64,
    /// When it was denied last.
    pub(crate) last: String,
}

/// How new the world is that a replica serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct World {
    /// The word for it.
    pub(crate) state: WorldState,
    /// Why it is not live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// When the source was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard: Option<String>,
}

/// How new a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WorldState {
    /// The source has not been read completely yet.
    Starting,
    /// It follows the source.
    Live,
    /// It is of a checkpoint, or behind the source.
    Stale,
}

impl WorldState {
    /// The word for it; the bad one is loud.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            WorldState::Starting => "starting",
            WorldState::Live => "live",
            WorldState::Stale => "STALE",
        }
    }
}

/// How many proxies are in which state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProxyCounts {
    /// All.
    pub(crate) total: usize,
    /// Those that have everything.
    pub(crate) synced: usize,
    /// Those that have been owed something for longer than a second, with those that also reject
    /// something.
    pub(crate) behind: usize,
    /// Those that reject something.
    pub(crate) rejects: usize,
    /// The worst of those that are not synced, with what is wrong.
    pub(crate) worst: Vec<WorstProxy>,
}

/// A proxy that is not synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct WorstProxy {
    /// The id of the proxy's node.
    pub(crate) proxy: String,
    /// Its state.
    pub(crate) state: super::ProxyState,
    /// Since when.
    pub(crate) since: Option<String>,
    /// What is wrong.
    pub(crate) what: Option<String>,
}

/// How many Services are served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceCounts {
    /// All.
    pub(crate) total: usize,
    /// Those of which all is served.
    pub(crate) served: usize,
    /// Those of which something is not.
    pub(crate) partly: usize,
    /// Those of which nothing is.
    pub(crate) not_served: usize,
    /// Those that ceased to be served within the last hour, the newest first.
    pub(crate) lost: Vec<String>,
}

/// How many problems stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProblemCounts {
    /// Something that was asked for is not served.
    pub(crate) errors: usize,
    /// Something may not be as it is meant.
    pub(crate) warnings: usize,
    /// The newest of the errors, at most three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) newest: Vec<super::ProblemRow>,
}

/// How many changes there were, and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChangeCounts {
    /// Commits a minute.
    pub(crate) per_minute: f64,
    /// The median of the time from when a change was read until the last proxy had taken it, in
    /// milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ack_p50_ms: Option<f64>,
    /// The same that 99 % of changes stayed below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ack_p99_ms: Option<f64>,
    /// How long ago the oldest commit was made that some proxy has not taken yet, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_waiting_s: Option<f64>,
}
