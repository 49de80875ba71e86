//! [`ObjectKind`]: the kinds of Kubernetes objects that are read, in one table: their names and
//! versions at an API server, what a watch of them needs, the functions that read them, and what
//! applies them.
//!
//! A new kind is an entry of the table. The compiler then asks for its model (with
//! [`ModelObject`]), its function in [`read`], and its method of [`Apply`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Change, ObjectId, Problem, model, read};

/// One entry of the table of kinds: what there is to know of a kind without its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// The kind itself.
    pub kind: ObjectKind,
    /// The `kind` field of its objects: `Service`.
    pub name: &'static str,
    /// The plural name in API paths, in RBAC rules and in metrics: `services`.
    pub plural: &'static str,
    /// The values of the `apiVersion` field that are read, the preferred one first, all of one API
    /// group. Objects mean the same in each of them.
    pub api_versions: &'static [&'static str],
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Whether a cluster may do without the kind: its API server may not serve it, or may not let
    /// Seaway read it. Nothing waits for such a kind, which comes and goes at any time. A kind that
    /// is not optional has one version.
    pub optional: bool,
    /// Whether its objects have content that only a proxy may see: they are never kept on disk.
    pub secret: bool,
}

/// Declares [`ObjectKind`], [`Object`] and [`Apply`] from the table.
macro_rules! kinds {
    ($(
        $(#[doc = $doc:literal])+
        $kind:ident {
            plural: $plural:literal,
            api_versions: [$($api_version:literal),+],
            namespaced: $namespaced:literal,
            optional: $optional:literal,
            secret: $secret:literal,
            model: $model:ty,
            read: $read:path,
            apply: $apply:ident,
        }
    )+) => {
        /// The kinds of Kubernetes objects that the translator reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ObjectKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        /// A parsed and validated object, as [`read`](crate::read) makes it.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Object {
            $($(#[doc = $doc])+ $kind(Arc<$model>),)+
        }

        /// What objects are applied to: a method for each kind, which is given the object as it is
        /// now, or `None` when it is gone.
        pub(crate) trait Apply {
            $($(#[doc = $doc])+ fn $apply(&mut self, id: ObjectId, object: Option<Arc<$model>>);)+
        }

        impl ObjectKind {
            /// All kinds.
            pub const ALL: &'static [ObjectKind] = &[$(ObjectKind::$kind,)+];

            /// The table of kinds.
            pub const TABLE: &'static [KindInfo] = &[$(*ObjectKind::$kind.info(),)+];

            /// The entry of the kind in the table.
            #[must_use]
            pub const fn info(self) -> &'static KindInfo {
                match self {
                    $(ObjectKind::$kind => &KindInfo {
                        kind: ObjectKind::$kind,
                        name: stringify!($kind),
                        plural: $plural,
                        api_versions: &[$($api_version),+],
                        namespaced: $namespaced,
                        optional: $optional,
                        secret: $secret,
                    },)+
                }
            }

            /// Calls `with` with the function that reads objects of this kind.
            pub fn read_with<R: ReadWith>(self, with: R) -> R::Output {
                match self {
                    $(ObjectKind::$kind => with.read(self, $read),)+
                }
            }
        }

        impl Object {
            /// The kind, namespace and name of the object.
            pub fn id(&self) -> ObjectId {
                match self {
                    $(Object::$kind(object) => object.id(),)+
                }
            }

            /// The problems found while the object was read.
            pub fn problems(&self) -> &[Problem] {
                match self {
                    $(Object::$kind(object) => ModelObject::problems(&**object),)+
                }
            }
        }

        impl Change {
            /// Applies the change by the method of its object's kind.
            pub(crate) fn apply_to(self, target: &mut impl Apply) {
                match self {
                    $(Change::Apply(Object::$kind(object)) => {
                        target.$apply(object.id(), Some(object));
                    })+
                    Change::Delete(id) => match id.kind {
                        $(ObjectKind::$kind => target.$apply(id, None),)+
                    },
                }
            }
        }
    };
}

kinds! {
    /// `v1 Service`.
    Service {
        plural: "services",
        api_versions: ["v1"],
        namespaced: true,
        optional: false,
        secret: false,
        model: model::Service,
        read: read::service,
        apply: apply_service,
    }
    /// `discovery.k8s.io/v1 EndpointSlice`.
    EndpointSlice {
        plural: "endpointslices",
        api_versions: ["discovery.k8s.io/v1"],
        namespaced: true,
        optional: false,
        secret: false,
        model: model::EndpointSlice,
        read: read::endpoint_slice,
        apply: apply_endpoint_slice,
    }
    /// `v1 Node`.
    Node {
        plural: "nodes",
        api_versions: ["v1"],
        namespaced: false,
        optional: false,
        secret: false,
        model: model::Node,
        read: read::node,
        apply: apply_node,
    }
    /// `networking.k8s.io/v1 IngressClass`.
    IngressClass {
        plural: "ingressclasses",
        api_versions: ["networking.k8s.io/v1"],
        namespaced: false,
        optional: true,
        secret: false,
        model: model::IngressClass,
        read: read::ingress_class,
        apply: apply_ingress_class,
    }
    /// `networking.k8s.io/v1 Ingress`.
    Ingress {
        plural: "ingresses",
        api_versions: ["networking.k8s.io/v1"],
        namespaced: true,
        optional: true,
        secret: false,
        model: model::Ingress,
        read: read::ingress,
        apply: apply_ingress,
    }
    /// `gateway.networking.k8s.io/v1 GatewayClass`.
    GatewayClass {
        plural: "gatewayclasses",
        api_versions: ["gateway.networking.k8s.io/v1"],
        namespaced: false,
        optional: true,
        secret: false,
        model: model::GatewayClass,
        read: read::gateway_class,
        apply: apply_gateway_class,
    }
    /// `gateway.networking.k8s.io/v1 Gateway`.
    Gateway {
        plural: "gateways",
        api_versions: ["gateway.networking.k8s.io/v1"],
        namespaced: true,
        optional: true,
        secret: false,
        model: model::Gateway,
        read: read::gateway,
        apply: apply_gateway,
    }
    /// `gateway.networking.k8s.io/v1 HTTPRoute`.
    HTTPRoute {
        plural: "httproutes",
        api_versions: ["gateway.networking.k8s.io/v1"],
        namespaced: true,
        optional: true,
        secret: false,
        model: model::HTTPRoute,
        read: read::http_route,
        apply: apply_http_route,
    }
    /// `gateway.networking.k8s.io/v1 ReferenceGrant`.
    ReferenceGrant {
        plural: "referencegrants",
        api_versions: ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
        namespaced: true,
        optional: true,
        secret: false,
        model: model::ReferenceGrant,
        read: read::reference_grant,
        apply: apply_reference_grant,
    }
    /// `v1 Namespace`.
    Namespace {
        plural: "namespaces",
        api_versions: ["v1"],
        namespaced: false,
        optional: true,
        secret: false,
        model: model::Namespace,
        read: read::namespace,
        apply: apply_namespace,
    }
    /// `v1 Secret`, with a certificate.
    Secret {
        plural: "secrets",
        api_versions: ["v1"],
        namespaced: true,
        optional: true,
        secret: true,
        model: model::Secret,
        read: read::secret,
        apply: apply_secret,
    }
}

/// What every object of the model can say of itself.
pub(crate) trait ModelObject {
    /// The kind, namespace and name of the object.
    fn id(&self) -> ObjectId;

    /// The problems found while the object was read.
    fn problems(&self) -> &[Problem];
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

impl KindInfo {
    /// The API group of the kind; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.kind.group()
    }

    /// The API server's path of all objects of this kind in a version, or of those in a namespace.
    #[must_use]
    pub fn path(&self, api_version: &str, namespace: Option<&str>) -> String {
        let (root, plural) = (version_path(api_version), self.plural);
        match namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
            None => format!("{root}/{plural}"),
        }
    }
}

/// The API server's path of a version of a group: `/api/v1`, `/apis/discovery.k8s.io/v1`.
#[must_use]
pub fn version_path(api_version: &str) -> String {
    let root = if api_version.contains('/') {
        "apis"
    } else {
        "api"
    };
    format!("/{root}/{api_version}")
}

impl ObjectKind {
    /// The `kind` field of objects of this kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.info().name
    }

    /// The plural name of the kind in API paths, in RBAC rules and in metrics: `services`.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        self.info().plural
    }

    /// The preferred `apiVersion` of objects of this kind.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        self.info().api_versions[0]
    }

    /// Whether objects of this kind are in namespaces.
    #[must_use]
    pub const fn is_namespaced(self) -> bool {
        self.info().namespaced
    }

    /// Whether objects of this kind have content that only a proxy may see: they are never kept on
    /// disk.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        self.info().secret
    }

    /// The kind with this name, such as `Service`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<ObjectKind> {
        let mut all = ObjectKind::ALL.iter().copied();
        all.find(|kind| kind.as_str() == name)
    }

    /// Whether objects of this kind are read in this `apiVersion`.
    #[must_use]
    pub fn is_read_in(self, api_version: &str) -> bool {
        self.info().api_versions.contains(&api_version)
    }

    /// The API group of the kind; empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        let version = self.api_version().split_once('/');
        version.map_or("", |(group, _)| group)
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
        let all = ObjectKind::TABLE.iter();
        let all = all.map(|info| info.path(info.kind.api_version(), None));
        assert_eq!(
            all.take(3).collect::<Vec<_>>(),
            [
                "/api/v1/services",
                "/apis/discovery.k8s.io/v1/endpointslices",
                "/api/v1/nodes"
            ]
        );
        let slices = ObjectKind::EndpointSlice.info();
        assert_eq!(
            slices.path("discovery.k8s.io/v1", Some("d")),
            "/apis/discovery.k8s.io/v1/namespaces/d/endpointslices"
        );
        assert_eq!(slices.group(), "discovery.k8s.io");
        for kind in ObjectKind::ALL {
            assert_eq!(ObjectKind::of_name(kind.as_str()), Some(*kind));
        }
    }

    #[test]
    fn the_versions_of_a_kind_are_of_one_group_and_a_required_kind_has_one() {
        for info in ObjectKind::TABLE {
            let is_of_group = |version: &&str| match version.rsplit_once('/') {
                Some((group, _)) => group == info.group(),
                None => info.group().is_empty(),
            };
            assert!(info.api_versions.iter().all(is_of_group), "{info:?}");
            assert!(info.optional || info.api_versions.len() == 1, "{info:?}");
        }
    }
}
