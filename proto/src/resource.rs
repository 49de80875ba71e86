//! [`Resource`]: the encoded form in which an xDS resource travels from the translator through the
//! xDS server.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use prost::{Message, Name};
use xxhash_rust::xxh3::xxh3_64;

use crate::encode;

/// The type of a resource, as xDS names it: `type.googleapis.com/envoy.config.cluster.v3.Cluster`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeUrl(&'static str);

impl TypeUrl {
    /// `envoy.config.cluster.v3.Cluster`, served by CDS.
    pub const CLUSTER: TypeUrl = TypeUrl("type.googleapis.com/envoy.config.cluster.v3.Cluster");
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`, served by EDS.
    pub const ENDPOINT: TypeUrl =
        TypeUrl("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
    /// `envoy.config.listener.v3.Listener`, served by LDS.
    pub const LISTENER: TypeUrl = TypeUrl("type.googleapis.com/envoy.config.listener.v3.Listener");
    /// `envoy.config.route.v3.RouteConfiguration`, served by RDS.
    pub const ROUTE: TypeUrl =
        TypeUrl("type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
    /// `envoy.config.route.v3.ScopedRouteConfiguration`, served by SRDS.
    pub const SCOPED_ROUTE: TypeUrl =
        TypeUrl("type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration");
    /// `envoy.config.core.v3.TypedExtensionConfig`, served by ECDS.
    pub const EXTENSION: TypeUrl =
        TypeUrl("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
    /// `envoy.extensions.transport_sockets.tls.v3.Secret`, served by SDS.
    pub const SECRET: TypeUrl =
        TypeUrl("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret");

    /// A type URL beside those of the constants.
    pub const fn new(url: &'static str) -> TypeUrl {
        TypeUrl(url)
    }

    /// The URL as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The last part of the message's name, for people: `Cluster`.
    pub fn short(self) -> &'static str {
        self.0.rsplit('.').next().unwrap_or(self.0)
    }
}

impl fmt::Display for TypeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A hash (xxh3, 64 bits) of a resource's bytes: equal on every replica and after every restart
/// (xDS rule 73).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(u64);

impl Version {
    /// The version of these bytes.
    pub fn of(bytes: &[u8]) -> Version {
        Version(xxh3_64(bytes))
    }

    /// The hash as a number.
    pub const fn hash(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Reads what `Display` writes.
impl FromStr for Version {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Version, ParseIntError> {
        u64::from_str_radix(text, 16).map(Version)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// The type and name of a resource on which another one depends: the assignment of a cluster, the
/// cluster of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceRef {
    /// The type of the resource.
    pub type_url: TypeUrl,
    /// The name of the resource.
    pub name: Arc<str>,
}

/// An encoded xDS resource with its name, type and version. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    /// The resource's type.
    pub type_url: TypeUrl,
    /// The name under which proxies ask for it.
    pub name: Arc<str>,
    /// The hash of `value`.
    pub version: Version,
    /// The message's deterministic encoding (what goes into `Any.value`).
    pub value: Bytes,
    /// The resources on which this one depends.
    pub refs: Box<[ResourceRef]>,
}

/// Shows everything but the message of a secret.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Resource");
        shown.field("type_url", &self.type_url);
        shown.field("name", &self.name);
        shown.field("version", &self.version);
        match self.type_url {
            TypeUrl::SECRET => shown.field("value", &format_args!("…")),
            _ => shown.field("value", &self.value),
        };
        shown.field("refs", &self.refs).finish()
    }
}

impl Resource {
    /// Encodes `message` as the resource of this type and name.
    pub fn new<M: Message + Name>(
        type_url: TypeUrl,
        name: impl Into<Arc<str>>,
        message: &M,
        refs: Vec<ResourceRef>,
    ) -> Resource {
        debug_assert_eq!(type_url.as_str(), M::type_url());
        Resource::from_bytes(type_url, name, encode(message).into(), refs)
    }

    /// A resource whose message is already encoded, deterministically.
    pub fn from_bytes(
        type_url: TypeUrl,
        name: impl Into<Arc<str>>,
        value: Bytes,
        refs: Vec<ResourceRef>,
    ) -> Resource {
        Resource {
            type_url,
            name: name.into(),
            version: Version::of(&value),
            value,
            refs: refs.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_written() {
        for bytes in [&b""[..], b"a", b"ab"] {
            let version = Version::of(bytes);
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert!("(none)".parse::<Version>().is_err());
    }

    #[test]
    fn the_message_of_a_secret_is_not_shown() {
        let shown = |type_url| {
            let value = Bytes::from_static(b"the key");
            let resource = Resource::from_bytes(type_url, "a/b", value, Vec::new());
            format!("{resource:?} {resource:#?}")
        };
        let secret = shown(TypeUrl::SECRET);
        assert!(
            !secret.contains("the key") && secret.contains("a/b"),
            "{secret}"
        );
        assert!(shown(TypeUrl::CLUSTER).contains("the key"));
    }
}
