//! Discovery responses as gRPC messages, encoded over resource bytes that all streams share.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::dialect::Dialect;
use crate::store::body::{delimited_len, put_delimited, put_head};

/// The size in bytes from which a part is shared; smaller ones are copied together, since a frame
/// of its own would cost more than the copy.
const SHARED: usize = 8 << 10;
/// The length of what precedes a gRPC message: a flag of compression (not set), and the message's
/// length.
const HEAD: usize = 5;

/// An encoded gRPC message in one or more parts, its head included.
pub(crate) type Message = SmallVec<[Bytes; 1]>;

/// The fields of a response besides its resources.
pub(crate) struct Tail<'a> {
    pub(crate) dialect: Dialect,
    /// A hash over the resources of the response. In delta it is for people only (xDS rule 81).
    pub(crate) version: u64,
    /// Whether more of what the client is owed of this type follows: its version then ends with
    /// [`MORE`].
    pub(crate) more: bool,
    pub(crate) type_url: &'a str,
    pub(crate) nonce: Nonce,
    /// The name of this replica (xDS rule 18).
    pub(crate) identifier: &'a str,
    /// Names of resources that were removed or do not exist: removed resources in delta, errors in
    /// state of the world (xDS rule 108).
    pub(crate) removed: &'a [Arc<str>],
}

/// The suffix of the version of a delta response, if more of its type follows. Envoy shows the
/// version of the last response that it took in, and so whether it has been sent all of its
/// listeners: it says that it is live after the first response. `seaway ready --envoy` looks for
/// this.
const MORE: &[u8] = b"+";

/// A nonce: the number of its stream, and its own number on that stream (xDS rule 64).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nonce {
    pub(crate) stream: u64,
    pub(crate) number: u64,
}

impl Nonce {
    const LEN: usize = 2 * DIGITS + 1;

    /// Parses what a client sent back; `None` if that is no nonce of this server.
    pub(crate) fn parse(text: &str) -> Option<Nonce> {
        let (stream, number) = text.split_once('.')?;
        Some(Nonce {
            stream: from_digits(stream)?,
            number: from_digits(number)?,
        })
    }

    fn text(self) -> [u8; Nonce::LEN] {
        let mut text = [b'.'; Nonce::LEN];
        text[..DIGITS].copy_from_slice(&digits(self.stream));
        text[DIGITS + 1..].copy_from_slice(&digits(self.number));
        text
    }
}

/// The number of hexadecimal digits of a number.
const DIGITS: usize = 16;

fn digits(number: u64) -> [u8; DIGITS] {
    std::array::from_fn(|at| {
        let digit = number >> (4 * (DIGITS - 1 - at)) & 0xf;
        b"0123456789abcdef"[digit as usize]
    })
}

/// Parses a hexadecimal number, in one pass: a client that comes back sends thousands of them.
fn from_digits(text: &str) -> Option<u64> {
    let digits: &[u8; DIGITS] = text.as_bytes().try_into().ok()?;
    let mut number = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        number = number << 4 | u64::from(value);
    }
    Some(number)
}

/// Parses a version as a client sends it back: of a resource its hash, of a response a sum of
/// hashes.
pub(crate) fn parse_version(text: &str) -> Option<u64> {
    from_digits(text)
}

impl Tail<'_> {
    /// The suffix of the version. In state of the world a version comes back as what the client
    /// has, and stays a number.
    fn mark(&self) -> &'static [u8] {
        match self.dialect {
            Dialect::Delta if self.more => MORE,
            Dialect::Delta | Dialect::Sotw => &[],
        }
    }

    fn len(&self) -> usize {
        let removed: usize = match self.dialect {
            Dialect::Delta => self.removed.iter().map(|n| delimited_len(6, n.len())).sum(),
            Dialect::Sotw => self.removed.iter().map(|n| not_found_len(n)).sum(),
        };
        let control_plane = delimited_len(1, self.identifier.len());
        delimited_len(1, DIGITS + self.mark().len())
            + delimited_len(4, self.type_url.len())
            + delimited_len(5, Nonce::LEN)
            + removed
            + delimited_len(7, control_plane)
    }

    fn put(&self, buf: &mut BytesMut) {
        let mark = self.mark();
        put_head(buf, 1, DIGITS + mark.len());
        buf.put_slice(&digits(self.version));
        buf.put_slice(mark);
        put_delimited(buf, 4, self.type_url.as_bytes());
        put_delimited(buf, 5, &self.nonce.text());
        for name in self.removed {
            match self.dialect {
                Dialect::Delta => put_delimited(buf, 6, name.as_bytes()),
                Dialect::Sotw => put_not_found(buf, name),
            }
        }
        // `envoy.config.core.v3.ControlPlane`: its one field is the identifier.
        let number = match self.dialect {
            Dialect::Delta => 7,
            Dialect::Sotw => 6,
        };
        put_head(buf, number, delimited_len(1, self.identifier.len()));
        put_delimited(buf, 1, self.identifier.as_bytes());
    }
}

/// An encoded `google.rpc.Status`: code 5 is NOT_FOUND, with a message for people.
const NOT_FOUND: &[u8] = b"\x08\x05\x12\x0edoes not exist";

/// The length of a field `DiscoveryResponse.resource_errors` that says of a name that it does not
/// exist.
fn not_found_len(name: &str) -> usize {
    delimited_len(7, not_found_content(name))
}

/// The length of a `ResourceError`: the `ResourceName`, and the status.
fn not_found_content(name: &str) -> usize {
    delimited_len(1, delimited_len(1, name.len())) + delimited_len(2, NOT_FOUND.len())
}

fn put_not_found(buf: &mut BytesMut, name: &str) {
    put_head(buf, 7, not_found_content(name));
    put_head(buf, 1, delimited_len(1, name.len()));
    put_delimited(buf, 1, name.as_bytes());
    put_delimited(buf, 2, NOT_FOUND);
}

/// Encodes a response from its resources, which are encoded already, and its other fields.
pub(crate) fn message(resources: &[Bytes], tail: &Tail<'_>) -> Message {
    let small = |part: &&Bytes| part.len() < SHARED;
    let copied: usize = resources.iter().filter(small).map(Bytes::len).sum();
    let length = resources.iter().map(Bytes::len).sum::<usize>() + tail.len();
    let mut buf = BytesMut::with_capacity(HEAD + copied + tail.len());
    buf.put_u8(0);
    // Messages are far below 4 GiB: those that can be split are, and the rest is warned of.
    buf.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    let mut message = Message::new();
    for part in resources {
        if part.len() < SHARED {
            buf.put_slice(part);
        } else {
            if !buf.is_empty() {
                message.push(buf.split().freeze());
            }
            message.push(part.clone());
        }
    }
    tail.put(&mut buf);
    message.push(buf.freeze());
    message
}

/// The message as clients decode it, without the gRPC head.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn content(message: &Message) -> Vec<u8> {
    message.concat().split_off(HEAD)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use seaway_proto::discovery::{DeltaDiscoveryResponse, DiscoveryResponse};

    use super::*;

    fn tail(dialect: Dialect, removed: &[Arc<str>]) -> Tail<'_> {
        Tail {
            dialect,
            version: 0xa,
            more: false,
            type_url: "type",
            nonce: Nonce {
                stream: 0xff,
                number: 1,
            },
            identifier: "here",
            removed,
        }
    }

    #[test]
    fn small_parts_are_joined_and_large_ones_shared() {
        let large = Bytes::from(vec![7; SHARED]);
        let parts = [Bytes::from("ab"), Bytes::from("c"), large.clone()];
        let tail = tail(Dialect::Delta, &[]);
        let message = message(&parts, &tail);
        assert_eq!(message.len(), 3);
        let length = (SHARED + 3 + tail.len()) as u32;
        assert_eq!(message[0][0], 0);
        assert_eq!(message[0][1..HEAD], length.to_be_bytes());
        assert_eq!(&message[0][HEAD..], b"abc");
        assert_eq!(message[1].as_ptr(), large.as_ptr());
        assert_eq!(content(&message).len(), length as usize);
    }

    #[test]
    fn the_tail_is_what_prost_reads() {
        let removed = ["gone".into()];
        let delta = message(&[], &tail(Dialect::Delta, &removed));
        assert_eq!(delta.len(), 1);
        let delta = DeltaDiscoveryResponse::decode(&*content(&delta)).unwrap();
        assert_eq!(delta.system_version_info, "000000000000000a");
        assert_eq!(
            (&*delta.type_url, delta.removed_resources),
            ("type", vec!["gone".to_owned()])
        );
        assert_eq!(delta.nonce, "00000000000000ff.0000000000000001");
        assert_eq!(delta.control_plane.unwrap().identifier, "here");
        let sotw = message(&[], &tail(Dialect::Sotw, &removed));
        let sotw = DiscoveryResponse::decode(&*content(&sotw)).unwrap();
        assert_eq!(
            (&*sotw.version_info, &*sotw.type_url),
            ("000000000000000a", "type")
        );
        assert_eq!(sotw.control_plane.unwrap().identifier, "here");
        let [error] = &sotw.resource_errors[..] else {
            panic!("one error");
        };
        assert_eq!(error.resource_name.as_ref().unwrap().name, "gone");
        let status = error.error_detail.as_ref().unwrap();
        assert_eq!((status.code, &*status.message), (5, "does not exist"));
    }

    #[test]
    fn a_version_says_that_more_follows() {
        for (dialect, version) in [
            (Dialect::Delta, "000000000000000a+"),
            (Dialect::Sotw, "000000000000000a"),
        ] {
            let tail = Tail {
                more: true,
                ..tail(dialect, &[])
            };
            let message = content(&message(&[], &tail));
            // The field has the same number in both.
            let read = DeltaDiscoveryResponse::decode(&*message).map(|of| of.system_version_info);
            let sotw = DiscoveryResponse::decode(&*message).map(|of| of.version_info);
            let read = match dialect {
                Dialect::Delta => read,
                Dialect::Sotw => sotw,
            };
            assert_eq!(read.unwrap(), version);
        }
    }

    #[test]
    fn a_nonce_is_read_back() {
        let nonce = tail(Dialect::Delta, &[]).nonce;
        let text = String::from_utf8(nonce.text().to_vec()).unwrap();
        assert_eq!(Nonce::parse(&text), Some(nonce));
        for other in ["", "1", "ff.1", "+0000000000000ff.0000000000000001"] {
            assert_eq!(Nonce::parse(other), None, "{other}");
        }
    }
}
