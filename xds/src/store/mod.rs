//! What is published: by one writer, at once, for every stream to read.
//!
//! [`publish`] is the way in and `resources` is what stands. `notify` wakes the connections that a
//! commit concerns (`interest`), `cursors` say how far each stream has read.

pub(crate) mod body;
pub(crate) mod coalesce;
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
mod resources;
pub(crate) mod slot;

pub use ids::{LayerId, PlacementId};
pub(crate) use resources::{Record, Store};
