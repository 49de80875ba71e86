//! `--capture`: how TCP connections to Service addresses reach a proxy's listeners, and which proxy
//! roles have those listeners.

use crate::model::Protocol;
use crate::{Capture, Layer, Options, Role};

/// Whether Envoy binds each listener of this protocol; otherwise connections come by way of the
/// redirect listener.
pub(crate) fn is_bound(protocol: Protocol, options: &Options) -> bool {
    protocol != Protocol::Tcp || !is_redirect(options)
}

/// Whether one listener takes the TCP connections of all frontends.
pub(crate) fn is_redirect(options: &Options) -> bool {
    options.capture.is_some_and(Capture::is_redirect)
}

/// Whether proxies of this role have the TCP listeners that lie in [`Layer::Captured`]. A mesh
/// proxy is in the namespace of its pod, not in that of a node's listeners.
pub(crate) fn is_captured(role: Role, options: &Options) -> bool {
    let shared = |capture: Capture| !capture.in_namespace();
    options.capture.is_some_and(shared) && matches!(role, Role::Node | Role::Mesh)
}

/// The layer of a frontend's listener that is the same on every node: mesh proxies have those of
/// TCP, too, when a capture is asked for.
pub(crate) fn layer(protocol: Protocol, options: &Options) -> Layer {
    if is_captured(Role::Mesh, options) && protocol == Protocol::Tcp {
        Layer::Captured
    } else {
        Layer::Role(Role::Node)
    }
}
