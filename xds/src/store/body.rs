//! A published resource, encoded once in the form in which it goes on the wire.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{
    WireType, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
};
use seaway_proto::{Resource, ResourceRef, Version};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::dialect::Dialect;

/// Field numbers of `envoy.service.discovery.v3.Resource`.
mod field {
    pub(super) const VERSION: u32 = 1;
    pub(super) const RESOURCE: u32 = 2;
    pub(super) const NAME: u32 = 3;
}
/// The field number of `resources` in both responses, and of the `Any` in the wrapper `Resource`.
const RESOURCES: u32 = 2;

/// A resource encoded once for all streams (xDS rule 76), with its version, references and origin.
pub(crate) struct Body {
    pub(crate) version: Version,
    pub(crate) refs: Box<[ResourceRef]>,
    /// The object the resource was made from.
    pub(crate) origin: Arc<str>,
    /// The field `resources` of a delta response, tag and length included.
    delta: Bytes,
    /// The position of the wrapped `Any` in `delta`. It has field number 2 there, as in a
    /// state-of-the-world response, so the same bytes serve both.
    any: Range<usize>,
}

/// Shows what the resource is, without its bytes: they may be a private key.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("version", &self.version)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Body {
    pub(crate) fn new(resource: Resource, origin: Arc<str>) -> Body {
        let url = resource.type_url.as_str().as_bytes();
        let version = resource.version.to_string();
        let any_len = delimited_len(1, url.len()) + delimited_len(2, resource.value.len());
        let wrapper_len = delimited_len(field::VERSION, version.len())
            + delimited_len(field::RESOURCE, any_len)
            + delimited_len(field::NAME, resource.name.len());
        let mut buf = BytesMut::with_capacity(delimited_len(RESOURCES, wrapper_len));
        put_head(&mut buf, RESOURCES, wrapper_len);
        put_delimited(&mut buf, field::VERSION, version.as_bytes());
        let start = buf.len();
        put_head(&mut buf, field::RESOURCE, any_len);
        put_delimited(&mut buf, 1, url);
        put_delimited(&mut buf, 2, &resource.value);
        let any = start..buf.len();
        put_delimited(&mut buf, field::NAME, resource.name.as_bytes());
        Body {
            version: resource.version,
            refs: resource.refs,
            origin,
            delta: buf.freeze(),
            any,
        }
    }

    /// The most bytes that the resource takes in a response.
    pub(crate) fn len(&self) -> usize {
        self.delta.len()
    }

    /// The encoded field `resources` of a response in this dialect.
    pub(crate) fn bytes(&self, dialect: Dialect) -> Bytes {
        match dialect {
            Dialect::Delta => self.delta.clone(),
            Dialect::Sotw => self.delta.slice(self.any.clone()),
        }
    }

    /// The encoded message of the resource itself, without its type.
    pub(crate) fn value(&self) -> Bytes {
        // The heads of the `Any` and of its two fields: the type URL and the value.
        let mut left = self.delta.slice(self.any.clone());
        skip_head(&mut left);
        let url = skip_head(&mut left);
        left.advance(url.min(left.len()));
        skip_head(&mut left);
        left
    }

    /// What the resource adds to the version of a set of resources: a hash of its name and version.
    /// Sums do not depend on order.
    pub(crate) fn digest(&self, name: &str) -> u64 {
        version_digest(name, self.version)
    }
}

/// The digest of a resource of which only name and version are left, equal to `Body::digest`.
pub(crate) fn version_digest(name: &str, version: Version) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), version.hash())
}

/// The length of a length-delimited field, tag and length included.
pub(crate) fn delimited_len(number: u32, len: usize) -> usize {
    key_len(number) + encoded_len_varint(len as u64) + len
}

/// Skips the tag and the length of a length-delimited field, and returns the length.
fn skip_head(left: &mut Bytes) -> usize {
    let _ = decode_varint(left);
    decode_varint(left).map_or(0, |len| usize::try_from(len).unwrap_or(usize::MAX))
}

/// Appends the tag and the length of a length-delimited field.
pub(crate) fn put_head(buf: &mut BytesMut, number: u32, len: usize) {
    encode_key(number, WireType::LengthDelimited, buf);
    encode_varint(len as u64, buf);
}

/// Appends a length-delimited field.
pub(crate) fn put_delimited(buf: &mut BytesMut, number: u32, content: &[u8]) {
    put_head(buf, number, content.len());
    buf.put_slice(content);
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use seaway_proto::discovery::{DeltaDiscoveryResponse, DiscoveryResponse};
    use seaway_proto::envoy::cluster::Cluster;
    use seaway_proto::{TypeUrl, any};

    use super::*;

    #[test]
    fn one_encoding_serves_both_dialects() {
        let cluster = Cluster {
            name: "default/web/80".into(),
            alt_stat_name: "x".repeat(300),
            ..Default::default()
        };
        let resource = Resource::new(TypeUrl::CLUSTER, "default/web/80", &cluster, vec![]);
        let version = resource.version.to_string();
        let body = Body::new(resource, "Service default/web".into());

        let delta = DeltaDiscoveryResponse::decode(body.bytes(Dialect::Delta)).unwrap();
        assert_eq!(delta.resources.len(), 1);
        assert_eq!(delta.resources[0].name, "default/web/80");
        assert_eq!(delta.resources[0].version, version);
        assert_eq!(delta.resources[0].resource, Some(any(&cluster)));

        assert_eq!(body.value(), any(&cluster).value);
        let sotw = DiscoveryResponse::decode(body.bytes(Dialect::Sotw)).unwrap();
        assert_eq!(sotw.resources, vec![any(&cluster)]);
    }
}
