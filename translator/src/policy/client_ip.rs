//! `--keep-source`: endpoints see their clients and not the node, where their answers come back
//! through it (Service rules 111 to 114).
//!
//! Envoy decides for a whole listener whether it takes over its clients' addresses, and before it
//! knows which endpoint one is led to. So it takes over all of them, and the node's rules
//! (`deploy/node/setup.sh`) translate what it sends to the node's own address where an answer to
//! the client would pass the node by. They see addresses and links, yet not what a Service wants:
//! that a listener tells them by the mark of its connections.

use super::frontends::Frontend;
use crate::Options;
use crate::model::{Policy, Protocol, Service};
use crate::names::FrontendKind;

/// Whose addresses the endpoints behind a listener see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientIp {
    /// The pods of this node.
    OfPods,
    /// They, and whoever else is led to an endpoint on this node.
    OfEverybody,
}

/// Who may be at this frontend; `None` if Envoy is to connect from the node's address.
pub(crate) fn kept(service: &Service, frontend: &Frontend, options: &Options) -> Option<ClientIp> {
    // Who reads the PROXY header trusts it because of whom it comes from.
    let tcp = service.ports[frontend.port].protocol == Protocol::Tcp;
    if !options.keep_source || tcp && service.proxy_protocol.is_some() {
        return None;
    }
    let external = frontend.kind != FrontendKind::ClusterIp;
    let local = external && frontend.policy(service) == Policy::Local;
    Some(if local {
        ClientIp::OfEverybody
    } else {
        ClientIp::OfPods
    })
}
