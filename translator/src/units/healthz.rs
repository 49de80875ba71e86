//! The health of the proxy itself, as load balancers with `externalTrafficPolicy: Cluster` and
//! `kubectl` users of kube-proxy know it: `/healthz` and `/livez` on port 10256 (Service rule 35).
//!
//! There is one listener and one answer for the role, and another answer on a Node that is about to
//! go, so that no load balancer sends it new connections. A proxy that listens on kube-proxy's port
//! has a second listener on its metrics port: there `/proxyMode` names what serves the node's
//! Services.

use seaway_proto::Resource;

use super::Output;
use crate::envoy::health;
use crate::plan::Context;
use crate::plan::health::{own_mode, own_refused};
use crate::{Layer, Origin, Replace, Role};

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
    let refused = own_refused(options, listen);
    let mut resources: Vec<(Layer, Resource)> = vec![
        (layer.clone(), health::own_listener(listen, &refused)),
        (layer.clone(), health::own_answer(true)),
    ];
    if let Some(listen) = own_mode(options) {
        resources.push((layer.clone(), health::mode_listener(listen)));
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
