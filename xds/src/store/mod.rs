//! The published resources: written by one `Publisher` in atomic commits, and read by all streams.
//!
//! [`publish`] makes the commits, and `resources` holds the present state and the log of changes.
//! `notify` wakes the connections that a commit concerns (`interest`), and `cursors` tell how far
//! each stream has read. `changes` remembers the newest commits for those who look at the server.

pub(crate) mod body;
pub(crate) mod changes;
pub(crate) mod cursors;
pub(crate) mod id_set;
mod ids;
pub(crate) mod initial_sync;
pub(crate) mod interest;
pub(crate) mod missing;
pub(crate) mod name_map;
pub(crate) mod notify;
pub(crate) mod publish;
pub(crate) mod quarantine;
mod referrers;
pub(crate) mod rejected;
mod resources;
pub(crate) mod slot;

pub(crate) use ids::ResourceId;
pub use ids::{LayerId, PlacementId};
pub(crate) use resources::{Record, Store};
