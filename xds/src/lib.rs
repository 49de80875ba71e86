//! An xDS server: delta and state-of-the-world over one pure session, for any application that can
//! name its resources.
//!
//! The crate knows nothing of Kubernetes and nothing of what a cluster or a listener means. What an
//! application gives it:
//!
//! - [`Types`]: which resource types there are and in which order they go out,
//! - [`Commit`]s: the resources of an object, each in a layer, through the one [`Publisher`],
//! - [`Admit`]: the identity of a proxy, and its *placement*: an ordered list of layers, most
//!   specific first.
//!
//! The way of a change: [`Publisher::commit`] changes the store under its lock, all at once, and
//! tells the `notify` module; each connection's task (`server::connection_task`) wakes, and its
//! streams let their `session` note what the commit's log says about what it subscribes to, and
//! sends the newest state as soon as the transport takes it and the client has acknowledged what
//! came before. Nothing is queued per stream: what a client is owed is computed from its
//! subscription, what it holds, and the store.
//!
//! A session has no sockets, tasks or clock of its own, so every rule of the protocol is tested
//! without any.

mod client_kind;
mod dialect;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod host_errors;
mod inspect;
mod limits;
mod metrics;
mod reasons;
mod server;
mod session;
mod store;
mod types;
mod wire;
mod xdstp;

pub use dialect::Dialect;
pub use guard::identity::{Authenticated, Caller, Identity, Peer};
pub use inspect::{
    Asked, Candidate, ChangeReport, ContentReport, DenialReport, DifferenceReport, Inspector,
    LayerReport, LayerTypeReport, RejectedShare, ResourceKey, ResourcePage, ResourceReport,
    ShareReport, StreamFacts, StreamReport, TypeChangeReport,
};
pub use limits::Limits;
pub use metrics::{Metrics, NameTraces};
pub use server::accept::{ServeError, serve};
pub use server::load_reports::{LoadReports, LoadStream};
pub use server::{Admission, Admit, AdsServer, Answers, OtherCaller, OtherCalls, ServerConfig};
pub use session::{Mark, Rejecting, Standing, StreamState, TypeReport};
pub use store::missing::MissingName;
pub use store::missing::demand::{Demands, OnDemand};
pub use store::publish::coalesce::CommitWindow;
pub use store::publish::{Commit, Committed, LayerDigest, Publisher, Replace, Snapshots, channel};
pub use store::quarantine::{QuarantineReason, Quarantined};
pub use store::rejected::RejectedResource;
pub use store::{LayerId, PlacementId};
pub use types::{TypeSpec, Types};
pub use wire::load::{ClusterLoad, LoadReport, LocalityLoad};
