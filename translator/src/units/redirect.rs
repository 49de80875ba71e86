//! `capture: redirect`: the one TCP listener that all redirected connections arrive at.
//!
//! One static rule of the node redirects TCP sent to Service addresses to a fixed port. The
//! listener there asks the kernel for the original destination and hands the connection over to the
//! listener of that address, which is not bound itself. A destination that has none stays here and
//! is closed: nothing is ever passed through (Service rule 22). UDP stays bound.

use std::net::SocketAddr;

use super::Output;
use crate::envoy::listener;
use crate::model::{Family, Protocol};
use crate::plan::Context;
use crate::policy::{capture, namespace};
use crate::{Layer, Origin, Replace};

/// The port of every node to which TCP connections are redirected when the capture is `redirect`.
pub(crate) const REDIRECT_PORT: u16 = 15006;

/// The IP families for which the redirect listener has been published.
#[derive(Debug, Default)]
pub(crate) struct Redirect {
    sent: Vec<Family>,
}

impl Redirect {
    /// The listeners, if they changed. IPv6 has one only while a Service has an IPv6 address: a
    /// node without IPv6 could not bind it.
    pub(crate) fn translate(&mut self, context: &Context<'_>) -> Output {
        let Context { options, index, .. } = *context;
        if !capture::is_redirect(options) {
            return Output::default();
        }
        let v6 = index.has_v6().then_some(Family::V6);
        let families: Vec<Family> = std::iter::once(Family::V4).chain(v6).collect();
        if self.sent == families {
            return Output::default();
        }
        let listener = |family: &Family| {
            let address = SocketAddr::new(family.wildcard(), REDIRECT_PORT);
            let listen_on = namespace::listen_on(address, false, options);
            let listener = listener::redirect(address, &listen_on);
            let layer = capture::layer(Protocol::Tcp, options);
            let importers = (layer == Layer::Captured).then_some(Layer::Importers);
            let layers = importers.into_iter().chain([layer]);
            layers.map(move |layer| (layer, listener.clone()))
        };
        let resources = families.iter().flat_map(listener).collect();
        self.sent = families;
        let origin = Origin::Redirect;
        Output {
            resources: vec![Replace { origin, resources }],
            problems: None,
        }
    }
}
