//! The ports on which a node's own system listens, such as SSH: no Service takes them over by
//! claiming the node's address (Service rule 20).
//!
//! Which ports a node really uses is not known here; these are the ones whose loss would be the
//! worst: remote login, the API server and its store, the kubelet and its neighbours, and the
//! tunnels between nodes.

use std::num::NonZeroU16;

use super::frontends::Frontend;
use crate::model::Protocol;
use crate::names::FrontendKind;

/// Whether a frontend is an external or load-balancer address with a system port.
pub(crate) fn is_claimed(frontend: &Frontend, protocol: Protocol) -> bool {
    let named = matches!(
        frontend.kind,
        FrontendKind::LoadBalancer | FrontendKind::ExternalIp
    );
    named && is_system(frontend.listen, protocol)
}

fn is_system(port: NonZeroU16, protocol: Protocol) -> bool {
    match protocol {
        // SSH; etcd; the API server; kubelet, kube-proxy, controller manager, scheduler.
        Protocol::Tcp => matches!(port.get(), 22 | 2379 | 2380 | 6443 | 10248..=10260),
        // DHCP client; VXLAN, by its own number and by the one Linux had before.
        Protocol::Udp => matches!(port.get(), 68 | 4789 | 8472),
        Protocol::Sctp => false,
    }
}
