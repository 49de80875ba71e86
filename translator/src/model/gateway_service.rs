//! [`ServiceWrite`]: what is to become of the Services that are made for single Gateways. Whoever
//! writes them to an API server keeps what others wrote there (Gateway rule 13).

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;

/// What is to become of a Service that is made for a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceWrite {
    /// It should be there, and like this.
    Make(GatewayService),
    /// It was made once, and nobody needs it any more.
    Remove(StrayService),
}

/// A Service of type LoadBalancer for one Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayService {
    /// The namespace and name of the Gateway.
    pub gateway: (Arc<str>, Arc<str>),
    /// What selects the proxies of its fleet, as [`Service::selector`](super::Service::selector)
    /// has it.
    pub selector: Arc<str>,
    /// Whether a new one has `externalTrafficPolicy: Local`, as the Service that the fleet shares.
    pub is_local: bool,
    /// The ports of the Gateway's listeners, each with that of the proxies.
    pub ports: BTreeMap<NonZeroU16, NonZeroU16>,
    /// The ports for TCP that the Service had when this was decided; none where there was no
    /// Service. With others by now, all of this is decided on what is no longer so.
    pub seen: Arc<BTreeMap<NonZeroU16, Option<NonZeroU16>>>,
}

/// A Service that was made for a Gateway, which has none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayService {
    /// The namespace and name of the Gateway.
    pub gateway: (Arc<str>, Arc<str>),
    /// The `metadata.generation` of the Gateway that needs none; `None`: there is no such Gateway.
    pub generation: Option<i64>,
}
