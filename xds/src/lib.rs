//! An xDS server: delta and state-of-the-world over one pure session, for any application that can name its resources.
//!
//! The crate knows nothing of Kubernetes and nothing of what a cluster or a listener means. What an application gives it:
//!
//! - [`Types`]: which resource types there are and in which order they go out,
//! - [`Commit`]s: the resources of an object, each in a layer, through the one [`Publisher`],
//! - [`Admit`]: who a proxy is, and where it stands, as a *placement*: an ordered list of layers, most specific first.
//!
//! The way of a change: [`Publisher::commit`] changes the store under its lock, all at once, and rings a bell; each
//! connection's task (`drive`) wakes, and its streams let their `session` note what the commit's log says about what it subscribes to, and sends
//! the newest state as soon as the transport takes it and the client has acknowledged what came before. Nothing is queued per
//! stream: what a client is owed is computed from its subscription, what it holds, and the store.
//!
//! A session has no sockets, tasks or clock of its own, so every rule of the protocol is tested without any.

mod admission;
mod agent;
mod bell;
mod body;
mod bucket;
mod call;
mod connections;
mod cursors;
mod drive;
mod entrance;
mod first_sync;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod identities;
mod identity;
mod ids;
mod inbound;
mod interest;
mod limits;
mod liveness;
mod memory;
mod metrics;
mod missing;
mod nacks;
mod name_map;
mod pace;
mod parts;
mod publish;
mod quarantine;
mod referrers;
mod request;
mod response_body;
mod seldom;
mod server;
mod service;
mod session;
mod slot;
mod socket;
mod store;
mod stream;
mod subscription;
mod transport;
mod trouble;
mod types;
mod validity;
mod wire;
mod xdstp;

pub use connections::{ServeError, serve};
pub use identity::{Authenticated, Caller, Identity, Peer};
pub use limits::Limits;
pub use metrics::Metrics;
pub use missing::MissingName;
pub use pace::Pace;
pub use publish::{
    Commit, Committed, LayerId, PlacementId, Publisher, Replace, Snapshots, channel,
};
pub use quarantine::{HeldBack, HoldBack};
pub use server::{Admission, Admit, AdsServer, ServerConfig};
pub use types::{TypeSpec, Types};
