//! The JSON of the inspection API (`/api/v1`): what its handlers write and what the commands of
//! `seaway` read. Names and meanings are API; the OpenAPI file is made of these types.
//!
//! Times are of the replica's clock, in UTC; `now` is the time of the answer, so that nobody has to
//! compare clocks of two machines. No content of a Secret is in any of it.

mod explained;
mod lists;
mod resources;
mod status;

pub(crate) use explained::{Explained, Have, LastChange, Rejection, Without, WithoutState};
pub(crate) use lists::{
    Cause, ChangeRow, ChangedType, Held, ObjectRow, Page, ProblemRow, ProxyRow, ProxyType,
    Rejected, ServiceRow, WatchRow,
};
pub(crate) use resources::{DifferenceRow, DifferenceState, LayerRow, LayerType, ResourceRow};
pub(crate) use status::{
    ChangeCounts, Denial, ProblemCounts, ProxyCounts, Replica, ServiceCounts, World, WorldState,
    WorstProxy,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ApiError {
    /// The reason, for people.
    pub(crate) error: String,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProblemSeverity {
    /// Something is not served.
    Error,
    /// Something may not be as its author wants it.
    Warning,
}

/// Whether a proxy has what it should have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProxyState {
    /// It rejects a resource.
    Rejects,
    /// It has been owed something, or has not answered, for longer than a second.
    Behind,
    /// It has everything, or has been owed something for a moment only.
    Synced,
}

impl ProxyState {
    /// All states, the worst first.
    pub(crate) const ALL: [ProxyState; 3] =
        [ProxyState::Rejects, ProxyState::Behind, ProxyState::Synced];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            ProxyState::Rejects => "rejects",
            ProxyState::Behind => "behind",
            ProxyState::Synced => "synced",
        }
    }
}
