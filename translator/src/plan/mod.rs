//! The plan of a Service, decided and written down as values: which frontends it gets and why not
//! the others, which endpoints are usable, and which clusters, virtual hosts and health checks it
//! needs.
//!
//! A plan holds no message and hardly a text. `envoy/` makes messages of it, `problems` reports the
//! errors in it, and an [`Answer`](crate::Answer) shows it to people.

pub(crate) mod certificates;
pub(crate) mod clusters;
pub(crate) mod explain;
pub(crate) mod external_name;
pub(crate) mod frontends;
pub(crate) mod gateway;
pub(crate) mod grpc;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod hosts;
pub(crate) mod ingress;
pub(crate) mod listeners;
pub(crate) mod problems;
pub(crate) mod rejections;
pub(crate) mod service;
pub(crate) mod status;

use crate::Options;
use crate::index::Index;
use crate::place::active_views::ActiveViews;
use crate::place::targets::Targets;
use rejections::Rejections;

// The words of the policies in which a listener is planned.
pub(crate) use crate::policy::affinity::Affinity;
pub(crate) use crate::policy::client_ip::ClientIp;
pub(crate) use crate::policy::namespace::ListenOn;
pub(crate) use crate::policy::source_routing::Source;

/// All inputs of a decision: the options, the index of the objects, the views in use, the names
/// that gRPC clients ask for, and what proxies reject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub options: &'a Options,
    pub index: &'a Index,
    pub views: &'a ActiveViews,
    pub targets: &'a Targets,
    pub rejections: &'a Rejections,
    /// Whether the Services that are translated are summed up, too.
    pub summaries: bool,
}
