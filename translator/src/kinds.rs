//! [`ObjectKind`]: the kinds of Kubernetes objects that are read, in one table with their names,
//! their paths at an API server, and the functions that read them.

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
        /// The kinds of Kubernetes objects that the translator reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ObjectKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl ObjectKind {
            /// All kinds.
            pub const ALL: &'static [ObjectKind] = &[$(ObjectKind::$kind,)+];

            /// The `kind` field of objects of this kind.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(ObjectKind::$kind => stringify!($kind),)+
                }
            }

            /// The plural name of the kind in API paths, in RBAC rules and in metrics: `services`.
            #[must_use]
            pub const fn plural(self) -> &'static str {
                match self {
                    $(ObjectKind::$kind => $plural,)+
                }
            }

            /// The `apiVersion` field of objects of this kind.
            #[must_use]
            pub const fn api_version(self) -> &'static str {
                match self {
                    $(ObjectKind::$kind => $api_version,)+
                }
            }

            /// Whether objects of this kind are in namespaces.
            #[must_use]
            pub const fn is_namespaced(self) -> bool {
                match self {
                    $(ObjectKind::$kind => $namespaced,)+
                }
            }

            /// Whether objects of this kind have content that only a proxy may see: they are never
            /// kept on disk.
            #[must_use]
            pub const fn is_secret(self) -> bool {
                match self {
                    $(ObjectKind::$kind => $secret,)+
                }
            }

            /// Calls `with` with the function that reads objects of this kind.
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

/// A function that is generic in the type of an API object, which a closure cannot be;
/// [`ObjectKind::read_with`] calls it.
pub trait ReadWith {
    /// The result of the function.
    type Output;

    /// Decodes an API object as a `K` and calls `read` to make a model object of it.
    fn read<K>(self, kind: ObjectKind, read: fn(&K) -> Result<Object, Problem>) -> Self::Output
    where
        K: serde::de::DeserializeOwned + read::Described;
}

impl ObjectKind {
    /// The kind with this name, such as `Service`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<ObjectKind> {
        let mut all = ObjectKind::ALL.iter().copied();
        all.find(|kind| kind.as_str() == name)
    }

    /// The API group of the kind; empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        let version = self.api_version().split_once('/');
        version.map_or("", |(group, _)| group)
    }

    /// The API server's path of all objects of this kind, or of those in a namespace.
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
