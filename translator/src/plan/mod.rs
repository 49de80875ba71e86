//! What becomes of a Service, decided and written down as values: which frontends it gets and why
//! not the others, which endpoints are taken, which clusters, hosts and health checks are wanted.
//!
//! A plan holds no message and hardly a text. `envoy/` makes the messages of it, `problems` says
//! what of it is wrong, and [`Explanation`](crate::Explanation) is what people are shown of it.

pub(crate) mod clusters;
pub(crate) mod explain;
pub(crate) mod external_name;
pub(crate) mod frontends;
pub(crate) mod health;
pub(crate) mod hosts;
pub(crate) mod listeners;
pub(crate) mod problems;
pub(crate) mod service;

use crate::Options;
use crate::index::Index;
use crate::place::active_views::ActiveViews;

// The words of the policies in which a listener is planned.
pub(crate) use crate::policy::affinity::Affinity;
pub(crate) use crate::policy::client_ip::ClientIp;
pub(crate) use crate::policy::namespace::ListenOn;
pub(crate) use crate::policy::source_routing::Source;

/// All that a decision may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub options: &'a Options,
    pub index: &'a Index,
    pub views: &'a ActiveViews,
}
