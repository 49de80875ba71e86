//! The kinds of objects that are read, in one table: how each is called, where an API server has
//! it, and how it is read.

use std::fmt;

use crate::{Object, Problem, read};

/// Declares [`ObjectKind`] and its table.
macro_rules! kinds {
    ($(
        $(#[doc = $doc:literal])+
        $kind:ident {
            plural: $plural:literal,
            api_version: $api_version:literal,
            namespaced: $namespaced:literal,
            secret: $secret:literal,
            read: $read:path,
        }
    )+) => {
        /// The kinds of objects the translator reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ObjectKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl ObjectKind {
            /// Every kind there is.
            pub const ALL: &'static [ObjectKind] = &[$(ObjectKind::$kind,)+];

            /// The `kind` of its objects.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(ObjectKind::$kind => stringify!($kind),)+
                }
            }

            /// Its name in paths, in RBAC rules and in metrics: `services`.
            #[must_use]
            pub const fn plural(self) -> &'static str {
                match self {
                    $(ObjectKind::$kind => $plural,)+
                }
            }

            /// The `apiVersion` of its objects.
            #[must_use]
            pub const fn api_version(self) -> &'static str {
                match self {
                    $(ObjectKind::$kind => $api_version,)+
                }
            }

            /// Whether its objects are in namespaces.
            #[must_use]
            pub const fn is_namespaced(self) -> bool {
                match self {
                    $(ObjectKind::$kind => $namespaced,)+
                }
            }

            /// Whether its objects hold what only a proxy may see: they are never kept on disk.
            #[must_use]
            pub const fn is_secret(self) -> bool {
                match self {
                    $(ObjectKind::$kind => $secret,)+
                }
            }

            /// Has `with` read an object of it.
            pub fn read_with<R: ReadWith>(self, with: R) -> R::Output {
                match self {
                    $(ObjectKind::$kind => with.read(self, $read),)+
                }
            }
        }
    };
}

kinds! {
    /// `v1 Service`.
    Service {
        plural: "services",
        api_version: "v1",
        namespaced: true,
        secret: false,
        read: read::service,
    }
    /// `discovery.k8s.io/v1 EndpointSlice`.
    EndpointSlice {
        plural: "endpointslices",
        api_version: "discovery.k8s.io/v1",
        namespaced: true,
        secret: false,
        read: read::endpoint_slice,
    }
    /// `v1 Node`.
    Node {
        plural: "nodes",
        api_version: "v1",
        namespaced: false,
        secret: false,
        read: read::node,
    }
}

/// Something that reads an object, whatever its kind: what is generic in the type of the API object
/// cannot be a closure.
pub trait ReadWith {
    /// What comes of it.
    type Output;

    /// Decodes an API object and has `read` say what it means.
    fn read<K>(self, kind: ObjectKind, read: fn(&K) -> Result<Object, Problem>) -> Self::Output
    where
        K: serde::de::DeserializeOwned + read::Described;
}

impl ObjectKind {
    /// The kind of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<ObjectKind> {
        let mut all = ObjectKind::ALL.iter().copied();
        all.find(|kind| kind.as_str() == name)
    }

    /// Its API group; empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        let version = self.api_version().split_once('/');
        version.map_or("", |(group, _)| group)
    }

    /// Where an API server has all of its objects, or those in a namespace.
    #[must_use]
    pub fn path(self, namespace: Option<&str>) -> String {
        let root = match self.group() {
            "" => "api",
            _ => "apis",
        };
        let (version, plural) = (self.api_version(), self.plural());
        match namespace {
            Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}"),
            None => format!("/{root}/{version}/{plural}"),
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_where_an_api_server_has_them() {
        let all = ObjectKind::ALL.iter().map(|kind| kind.path(None));
        assert_eq!(
            all.collect::<Vec<_>>(),
            [
                "/api/v1/services",
                "/apis/discovery.k8s.io/v1/endpointslices",
                "/api/v1/nodes"
            ]
        );
        let slices = ObjectKind::EndpointSlice;
        assert_eq!(
            slices.path(Some("d")),
            "/apis/discovery.k8s.io/v1/namespaces/d/endpointslices"
        );
        assert_eq!(slices.group(), "discovery.k8s.io");
        for kind in ObjectKind::ALL {
            assert_eq!(ObjectKind::of_name(kind.as_str()), Some(*kind));
        }
    }
}
