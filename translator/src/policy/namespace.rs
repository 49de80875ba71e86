//! `capture: namespace`: the address and the network namespace on which listeners are bound when
//! they have a namespace of their own.
//!
//! Nothing but Envoy listens in there, so no process of the node answers on a Service address, and
//! none is kept from its port. The node routes the ranges of Service addresses into the namespace,
//! and its static packet rules send there what is meant for a node port, or for an external address
//! that is the node's own and that no process of the node listens on (`deploy/node/setup.sh`). Such
//! packets arrive at the namespace's own address: whatever they were sent to, one listener takes
//! them. So two external addresses of one node are one in there, and a node port and an external
//! address of the same number, too.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::frontends::Frontend;
use crate::Options;
use crate::model::Family;
use crate::names::FrontendKind;

/// The network namespace of a node's Service listeners, as `deploy/node/setup.sh` makes it.
const NAMESPACE: &str = "/run/netns/seaway";

/// The namespace's own IPv4 address.
const NAMESPACE_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 83, 2);

/// The namespace's own IPv6 address.
pub(crate) const NAMESPACE_V6: Ipv6Addr = Ipv6Addr::new(0xfd83, 0, 0, 0, 0, 0, 0, 2);

/// The socket address of a listener and the network namespace in which Envoy binds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenOn {
    pub address: SocketAddr,
    /// The network namespace; `None`: the one in which Envoy runs.
    pub namespace: Option<&'static str>,
}

impl ListenOn {
    /// The address in the network namespace in which Envoy runs.
    pub(crate) fn of_the_node(address: SocketAddr) -> ListenOn {
        ListenOn {
            address,
            namespace: None,
        }
    }
}

/// The address and namespace in which the listener for the address `named` is bound; `own` says
/// that it is the node's own address.
pub(crate) fn listen_on(named: SocketAddr, own: bool, options: &Options) -> ListenOn {
    if !options.in_namespace() {
        return ListenOn::of_the_node(named);
    }
    let mut address = named;
    if own || named.ip().is_unspecified() {
        address.set_ip(match Family::of(named.ip()) {
            Family::V4 => NAMESPACE_V4.into(),
            Family::V6 => NAMESPACE_V6.into(),
        });
    }
    ListenOn {
        address,
        namespace: Some(NAMESPACE),
    }
}

/// Whether a frontend's address may be a node's own, so that this node needs its own listener for
/// it.
pub(crate) fn may_be_own(frontend: &Frontend, options: &Options) -> bool {
    let external = matches!(
        frontend.kind,
        FrontendKind::ExternalIp | FrontendKind::LoadBalancer
    );
    external && options.in_namespace()
}
