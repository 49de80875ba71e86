//! The health of the proxy itself, as load balancers with `externalTrafficPolicy: Cluster` and
//! `kubectl` users of kube-proxy know it: `/healthz` and `/livez` on port 10256 (Service rule 35).
//!
//! There is one listener and one answer for the role, and another answer on a Node that is about to
//! go, so that no load balancer sends it new connections. A proxy that listens on kube-proxy's port
//! has a second listener on its metrics port: there `/proxyMode` names what serves the node's
//! Services.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use seaway_proto::Resource;

use super::Output;
use crate::envoy::health;
use crate::model::Family;
use crate::plan::Context;
use crate::policy::node_ports;
use crate::{Layer, Origin, Replace, Role};

/// The port of kube-proxy's health server.
const HEALTH: u16 = 10256;

/// The address of kube-proxy's metrics server, where `/proxyMode` names its mode.
const MODE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10249);

/// The listeners and the answers of the proxy's health.
pub(crate) fn translate(context: &Context<'_>) -> Output {
    let Context {
        options,
        index,
        views,
        ..
    } = *context;
    let Some(listen) = options.healthz_listen else {
        return Output::default();
    };
    let layer = Layer::Role(Role::Node);
    // A probe on the node itself comes over loopback; only what was meant for a Service is not
    // ours.
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
    for name in views.node_roles() {
        if index.node(name).is_some_and(|node| node.leaving) {
            let layer = Layer::NodeRole(name.clone());
            resources.push((layer, health::own_answer(false)));
        }
    }
    let origin = Origin::Healthz;
    Output {
        resources: vec![Replace { origin, resources }],
        problems: None,
    }
}
