//! `--keep-source`: Envoy connects to endpoints from the client's address instead of the node's,
//! where the answers come back through the node (Service rules 111 to 114).
//!
//! Envoy decides for a whole listener whether it takes over its clients' addresses, and before it
//! knows which endpoint one is led to. So it takes over all of them, and the node's rules
//! (`deploy/node/setup.sh`) translate the source of its packets to the node's own address where an
//! answer to the client would pass the node by. The rules see addresses and links, but not what a
//! Service wants: that a listener tells them by the mark of its connections.

use super::frontends::Frontend;
use crate::Options;
use crate::model::{Policy, Protocol, Service};
use crate::names::FrontendKind;

/// The clients of a listener whose source addresses are kept towards endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientIp {
    /// Only pods of the proxy's own node.
    OfPods,
    /// Pods of the proxy's own node, and any client that is routed to an endpoint on this node.
    OfEverybody,
}

/// The clients whose source addresses a frontend's listener keeps; `None` if Envoy connects from
/// the node's address.
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
