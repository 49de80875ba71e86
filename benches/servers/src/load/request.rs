//! Requests, encoded by hand, with the prefix that gRPC wants before each.

use bytes::Bytes;

use crate::pb;
use crate::world::{ASSIGNMENT, CLUSTER};

/// The types a stream asks for, in the order in which it does.
pub(super) const TYPES: [&str; 2] = [CLUSTER, ASSIGNMENT];

/// One request of either dialect, before it is encoded.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    /// The node's id, on the first request only.
    pub(super) node: Option<&'a str>,
    /// Which of [`TYPES`].
    pub(super) kind: usize,
    pub(super) nonce: &'a [u8],
    /// Delta: names to subscribe to. State of the world: all names.
    pub(super) names: &'a [Vec<u8>],
    /// Delta only: what the client holds.
    pub(super) held: &'a [(&'a [u8], &'a [u8])],
    /// State of the world only.
    pub(super) version: &'a [u8],
}

impl Request<'_> {
    pub(super) fn delta(&self) -> Bytes {
        let mut out = vec![0; 5];
        self.node(&mut out, 1);
        pb::bytes(&mut out, 2, TYPES[self.kind].as_bytes());
        for name in self.names {
            pb::bytes(&mut out, 3, name);
        }
        for (name, version) in self.held {
            pb::message(&mut out, 5, |entry| {
                pb::bytes(entry, 1, name);
                pb::bytes(entry, 2, version);
            });
        }
        if !self.nonce.is_empty() {
            pb::bytes(&mut out, 6, self.nonce);
        }
        framed(out)
    }

    pub(super) fn sotw(&self) -> Bytes {
        let mut out = vec![0; 5];
        if !self.version.is_empty() {
            pb::bytes(&mut out, 1, self.version);
        }
        self.node(&mut out, 2);
        for name in self.names {
            pb::bytes(&mut out, 3, name);
        }
        pb::bytes(&mut out, 4, TYPES[self.kind].as_bytes());
        if !self.nonce.is_empty() {
            pb::bytes(&mut out, 5, self.nonce);
        }
        framed(out)
    }

    fn node(&self, out: &mut Vec<u8>, field: u32) {
        let Some(id) = self.node else { return };
        pb::message(out, field, |node| {
            pb::bytes(node, 1, id.as_bytes());
            pb::bytes(node, 2, b"bench");
        });
    }
}

/// Fills in the five bytes left free at the start: not compressed, and the length.
fn framed(mut out: Vec<u8>) -> Bytes {
    let length = u32::try_from(out.len() - 5).unwrap_or(u32::MAX);
    out[1..5].copy_from_slice(&length.to_be_bytes());
    out.into()
}
