//! From requests as they come to the session's own, and the small part of a response that is not shared.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use seaway_proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};
use seaway_proto::envoy::core::Node;

use crate::body::put_delimited;
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
    let mut buf = BytesMut::new();
    put_delimited(&mut buf, 1, tail.version.as_bytes());
    put_delimited(&mut buf, 4, tail.type_url.as_bytes());
    put_delimited(&mut buf, 5, tail.nonce.as_bytes());
    for name in removed {
        put_delimited(&mut buf, 6, name.as_bytes());
    }
    put_delimited(&mut buf, 7, &control_plane(tail.identifier));
    buf.freeze()
}

/// The fields of a `DiscoveryResponse` besides its resources.
pub(crate) fn sotw_tail(tail: &Tail<'_>) -> Bytes {
    let mut buf = BytesMut::new();
    put_delimited(&mut buf, 1, tail.version.as_bytes());
    put_delimited(&mut buf, 4, tail.type_url.as_bytes());
    put_delimited(&mut buf, 5, tail.nonce.as_bytes());
    put_delimited(&mut buf, 6, &control_plane(tail.identifier));
    buf.freeze()
}

/// `envoy.config.core.v3.ControlPlane`: its one field is the identifier.
fn control_plane(identifier: &str) -> BytesMut {
    let mut buf = BytesMut::new();
    put_delimited(&mut buf, 1, identifier.as_bytes());
    buf
}
