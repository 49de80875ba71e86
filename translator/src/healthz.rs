//! The proxy's own health, as load balancers with `externalTrafficPolicy: Cluster` and `kubectl` users of kube-proxy know it:
//! `/healthz` and `/livez` on port 10256 (Service rule 35).
//!
//! One listener for the role, one answer for the role, and another one where a Node is about to go, so that no load balancer sends
//! it new connections. Who has kube-proxy's port has its other one, too: there `/proxyMode` says who serves the node's Services.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use seaway_proto::Resource;

use crate::active::Active;
use crate::envoy::health;
use crate::index::Index;
use crate::model::Family;
use crate::translator::Replace;
use crate::{Layer, Options, Role, node_ports};

/// The port of kube-proxy's own health.
const HEALTH: u16 = 10256;

/// Where kube-proxy says how it works.
const MODE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10249);

/// Whether the answers have to be made again.
#[derive(Debug)]
pub(crate) struct Healthz {
    changed: bool,
}

impl Healthz {
    pub(crate) fn new() -> Healthz {
        Healthz { changed: true }
    }

    /// A Node with a proxy of role `node` came, went, or is about to go.
    pub(crate) fn touch(&mut self) {
        self.changed = true;
    }

    /// Listener and answers, if something changed.
    pub(crate) fn flush(
        &mut self,
        options: &Options,
        index: &Index,
        active: &Active,
    ) -> Option<Replace> {
        let listen = options.healthz_listen?;
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let layer = Layer::Role(Role::Node);
        // A probe on the node itself comes over loopback; only what was meant for a Service is not ours.
        let mut refused = node_ports::refused(options, Family::of(listen.ip()));
        refused.retain(|range| !range.addr().is_loopback());
        if !listen.ip().is_unspecified() {
            refused.clear();
        }
        let mut resources: Vec<(Layer, Resource)> = vec![
            (layer.clone(), health::own_listener(listen, &refused)),
            (layer.clone(), health::own_answer(true)),
        ];
        // With another port kube-proxy may be there as well, and has its other one.
        if listen.port() == HEALTH {
            resources.push((layer.clone(), health::mode_listener(MODE)));
            resources.push((layer, health::mode_answer()));
        }
        for name in active.node_roles() {
            if index.node(name).is_some_and(|node| node.leaving) {
                let layer = Layer::NodeRole(name.clone());
                resources.push((layer, health::own_answer(false)));
            }
        }
        Some(Replace {
            origin: "healthz".into(),
            resources,
        })
    }
}
