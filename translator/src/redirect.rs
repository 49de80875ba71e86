//! `capture: redirect`: the one TCP listener that all redirected connections arrive at.
//!
//! One static rule of the node redirects TCP sent to Service addresses to a fixed port. The listener there asks the kernel for the
//! original destination and hands the connection over to the listener of that address, which is not bound itself. A destination
//! that has none stays here and is closed: nothing is ever passed through (Service rule 22). UDP stays bound.

use std::net::SocketAddr;

use crate::envoy::listener;
use crate::frontends::wildcard;
use crate::index::Index;
use crate::model::{Family, Protocol};
use crate::translator::Replace;
use crate::{Capture, Layer, Options, Role, namespace};

/// The port of every node to which TCP connections are redirected when the capture is `redirect`.
pub(crate) const REDIRECT_PORT: u16 = 15006;

/// Whether frontends of this protocol are bound, each by itself.
pub(crate) fn is_bound(protocol: Protocol, options: &Options) -> bool {
    protocol != Protocol::Tcp || !options.capture.is_some_and(Capture::is_redirect)
}

/// Whether proxies of this role have the TCP listeners that lie in [`Layer::Captured`]. A mesh proxy is in the namespace of its pod, not
/// in that of a node's listeners.
pub(crate) fn is_captured(role: Role, options: &Options) -> bool {
    let shared = |capture: Capture| !capture.in_namespace();
    options.capture.is_some_and(shared) && matches!(role, Role::Node | Role::Mesh)
}

/// The layer of a frontend's listener that is the same on every node: mesh proxies have those of TCP, too, when a capture is asked for.
pub(crate) fn layer(protocol: Protocol, options: &Options) -> Layer {
    if is_captured(Role::Mesh, options) && protocol == Protocol::Tcp {
        Layer::Captured
    } else {
        Layer::Role(Role::Node)
    }
}

/// What has been published of it.
#[derive(Debug, Default)]
pub(crate) struct Redirect {
    sent: Vec<Family>,
}

impl Redirect {
    /// The listeners, if they changed. IPv6 has one only while a Service has an IPv6 address: a node without IPv6 could not bind it.
    pub(crate) fn flush(&mut self, index: &Index, options: &Options) -> Option<Replace> {
        if !options.capture.is_some_and(Capture::is_redirect) {
            return None;
        }
        let v6 = index.has_v6().then_some(Family::V6);
        let families: Vec<Family> = std::iter::once(Family::V4).chain(v6).collect();
        if self.sent == families {
            return None;
        }
        let listener = |family: &Family| {
            let address = SocketAddr::new(wildcard(*family), REDIRECT_PORT);
            let listener = listener::redirect(address, &namespace::place(address, false, options));
            (layer(Protocol::Tcp, options), listener)
        };
        let resources = families.iter().map(listener).collect();
        self.sent = families;
        Some(Replace {
            origin: "redirect".into(),
            resources,
        })
    }
}
