//! `--keep-source`: which clients keep their address, so that endpoints see them and not the node (Service rules 111, 112).
//!
//! An endpoint answers to the address it sees. Only where that answer comes back through this node can Envoy, with the node's rules
//! (`deploy/node/setup.sh`), take it: from any endpoint when the client is a pod of this node, from endpoints on this node whoever the
//! client is. Cluster IPs and the addresses of load balancers are routed to itself by every node, so a pod that comes there is this
//! node's; at a node port it may be another's.
//!
//! Envoy decides for a whole listener whether it takes over its clients' addresses. So there is one internal listener that does, and a
//! filter chain hands connections to it whose clients keep theirs (`envoy/keep_source.rs`).

use crate::envoy::keep_source;
use crate::frontends::Frontend;
use crate::model::{Family, Policy, Protocol, Service};
use crate::names::FrontendKind;
use crate::translator::Replace;
use crate::{IpNet, Layer, Options, Role};

/// The ranges of pods that keep their addresses at a TCP frontend, disjoint. A range of all addresses says nothing about who is a pod.
pub(crate) fn pods(
    service: &Service,
    frontend: &Frontend,
    family: Family,
    options: &Options,
) -> Vec<IpNet> {
    if frontend.kind == FrontendKind::NodePort || !is_kept(service, frontend, options) {
        return Vec::new();
    }
    let own = options.pod_cidrs.iter().map(IpNet::trunc);
    let own: Vec<IpNet> = own
        .filter(|range| Family::of(range.addr()) == family)
        .collect();
    let mut pods = IpNet::aggregate(&own);
    pods.retain(|range| range.prefix_len() > 0);
    pods
}

/// Whether everybody who is led to the Local set of a TCP frontend keeps his address.
pub(crate) fn outsiders(service: &Service, frontend: &Frontend, options: &Options) -> bool {
    is_kept(service, frontend, options) && !service.local_fallback
}

fn is_kept(service: &Service, frontend: &Frontend, options: &Options) -> bool {
    let tcp = service.ports[frontend.port].protocol == Protocol::Tcp;
    // The PROXY header has the client's address.
    options.keep_source && tcp && service.proxy_protocol.is_none()
}

/// Whether everybody keeps his address at a UDP frontend. It is one decision for all of its clients: those whose endpoints are on this
/// node must keep it where a policy is Local, and then a client of another node that is led elsewhere gets no answer.
pub(crate) fn datagrams(service: &Service, frontend: &Frontend, options: &Options) -> bool {
    let local = frontend.policy(service) == Policy::Local && !service.local_fallback;
    options.keep_source && local
}

/// Whether the internal listener has been published.
#[derive(Debug, Default)]
pub(crate) struct KeepSource {
    sent: bool,
}

impl KeepSource {
    /// The internal listener and the cluster that leads to it, once.
    pub(crate) fn flush(&mut self, options: &Options) -> Option<Replace> {
        if !options.keep_source || std::mem::replace(&mut self.sent, true) {
            return None;
        }
        let resources = [keep_source::cluster(), keep_source::listener()];
        let own = |resource| (Layer::Role(Role::Node), resource);
        Some(Replace {
            origin: keep_source::NAME.into(),
            resources: resources.map(own).into(),
        })
    }
}
