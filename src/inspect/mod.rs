//! The inspection API: `GET /api/v1/…` on the admin port. It reads what the writer, the xDS server
//! and the sources tell of themselves, and changes nothing.
//!
//! Each request takes one look at the tables ([`board`]), which the writer never waits for, at the
//! streams, one after the other, or asks the writer one question between two commits. Few are
//! answered at a time ([`guard`]), so that people who look cost proxies nothing.

pub(crate) mod api;
pub(crate) mod board;
mod changes;
mod guard;
mod handlers;
pub(crate) mod metrics;
pub(crate) mod openapi;
mod problems;
mod proxies;
mod query;
mod questions;
mod resources;
mod services;
mod status;
pub(crate) mod times;
pub(crate) mod types;

use std::sync::Arc;
use std::time::Instant;

use seaway_xds::{Inspector, Snapshots};

pub(crate) use guard::Readers;
pub(crate) use handlers::router;
pub(crate) use questions::{Pace, fingerprint};
pub(crate) use status::flags;

use crate::admin::health::Health;
use crate::admin::watch_status::Watches;
use crate::writer::Asker;
use board::Board;

/// What the API reads. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Inspect {
    /// What the writer tells.
    pub(crate) board: Board,
    /// What the xDS server knows of streams, resources and commits.
    pub(crate) inspector: Inspector,
    /// What is published.
    pub(crate) snapshots: Snapshots,
    /// Whether this replica is ready.
    pub(crate) health: Health,
    /// The watches of the source.
    pub(crate) watches: Watches,
    /// Asks the writer.
    pub(crate) asker: Asker,
    /// When the writer may be asked.
    pub(crate) pace: Pace,
    /// The name of this replica.
    pub(crate) replica: Arc<str>,
    /// When the process began.
    pub(crate) started: Instant,
    /// A number that no other process has.
    pub(crate) number: u64,
}
