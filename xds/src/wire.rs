//! From requests as they come to the session's own, and the small part of a response that is not shared.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use seaway_proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};
use seaway_proto::envoy::core::Node;

use crate::body::{delimited_len, put_delimited, put_head};
use crate::session::{Dialect, Names, Request};

/// A request message of one of the two dialects.
pub(crate) trait Incoming: prost::Message + Default + 'static {
    const DIALECT: Dialect;
    /// Takes the node out of the message (xDS rule 10).
    fn take_node(&mut self) -> Option<Node>;
    fn into_request(self) -> Request;
}

impl Incoming for DeltaDiscoveryRequest {
    const DIALECT: Dialect = Dialect::Delta;

    fn take_node(&mut self) -> Option<Node> {
        self.node.take()
    }

    fn into_request(self) -> Request {
        Request {
            type_url: self.type_url,
            nonce: self.response_nonce,
            error: self.error_detail.map(|status| status.message),
            names: Names::Change {
                subscribe: self.resource_names_subscribe,
                unsubscribe: self.resource_names_unsubscribe,
                initial: self.initial_resource_versions,
            },
        }
    }
}

impl Incoming for DiscoveryRequest {
    const DIALECT: Dialect = Dialect::Sotw;

    fn take_node(&mut self) -> Option<Node> {
        self.node.take()
    }

    fn into_request(self) -> Request {
        Request {
            type_url: self.type_url,
            nonce: self.response_nonce,
            error: self.error_detail.map(|status| status.message),
            names: Names::Complete {
                names: self.resource_names,
                version: self.version_info,
            },
        }
    }
}

/// What every response ends with.
pub(crate) struct Tail<'a> {
    /// A hash over the resources of the response. In delta it is for people only (xDS rule 81).
    pub(crate) version: &'a str,
    pub(crate) type_url: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) identifier: &'a str,
}

/// The fields of a `DeltaDiscoveryResponse` after its resources.
pub(crate) fn delta_tail(tail: &Tail<'_>, removed: &[Arc<str>]) -> Bytes {
    let names: usize = removed.iter().map(|name| name.len() + FIELD).sum();
    let mut buf = tail.start(names);
    for name in removed {
        put_delimited(&mut buf, 6, name.as_bytes());
    }
    put_control_plane(&mut buf, 7, tail.identifier);
    buf.freeze()
}

/// The fields of a `DiscoveryResponse` besides its resources.
pub(crate) fn sotw_tail(tail: &Tail<'_>) -> Bytes {
    let mut buf = tail.start(0);
    put_control_plane(&mut buf, 6, tail.identifier);
    buf.freeze()
}

/// Room for the tag and the length of a field.
const FIELD: usize = 6;

impl Tail<'_> {
    /// What both dialects have under the same numbers, and room for the rest and for `more` bytes.
    fn start(&self, more: usize) -> BytesMut {
        let texts =
            self.version.len() + self.type_url.len() + self.nonce.len() + self.identifier.len();
        let mut buf = BytesMut::with_capacity(texts + 5 * FIELD + more);
        put_delimited(&mut buf, 1, self.version.as_bytes());
        put_delimited(&mut buf, 4, self.type_url.as_bytes());
        put_delimited(&mut buf, 5, self.nonce.as_bytes());
        buf
    }
}

/// `envoy.config.core.v3.ControlPlane`: its one field is the identifier.
fn put_control_plane(buf: &mut BytesMut, number: u32, identifier: &str) {
    put_head(buf, number, delimited_len(1, identifier.len()));
    put_delimited(buf, 1, identifier.as_bytes());
}
