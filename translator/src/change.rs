//! What arrives: objects that appeared or changed, and the ids of those that are gone. And what
//! leaves: resources, by where they come from.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use seaway_proto::Resource;

use crate::model::{EndpointSlice, Node, Service, ServiceKey};
use crate::{Layer, ObjectKind};

/// Which object. Displays as problems name it: `Service default/web`, `Node n1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its namespace; empty for a Node.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl ObjectId {
    /// That of a Service.
    #[must_use]
    pub fn of_service(key: &ServiceKey) -> ObjectId {
        ObjectId {
            kind: ObjectKind::Service,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }

    /// That of an EndpointSlice.
    #[must_use]
    pub fn of_slice(namespace: &Arc<str>, name: &Arc<str>) -> ObjectId {
        ObjectId {
            kind: ObjectKind::EndpointSlice,
            namespace: namespace.clone(),
            name: name.clone(),
        }
    }

    /// That of a Node.
    #[must_use]
    pub fn of_node(name: &Arc<str>) -> ObjectId {
        ObjectId {
            kind: ObjectKind::Node,
            namespace: "".into(),
            name: name.clone(),
        }
    }
}

impl ObjectId {
    /// The object of this kind that is displayed with this name: `default/web`, `n1`.
    pub(crate) fn named(kind: ObjectKind, name: &str) -> Option<ObjectId> {
        let (namespace, name) = match kind.is_namespaced() {
            true => name
                .split_once('/')
                .filter(|(namespace, _)| !namespace.is_empty())?,
            false => ("", name),
        };
        Some(ObjectId {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        })
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A parsed and validated object, as [`read`](crate::read) makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// A Service.
    Service(Arc<Service>),
    /// An EndpointSlice.
    EndpointSlice(Arc<EndpointSlice>),
    /// A Node.
    Node(Arc<Node>),
}

impl Object {
    /// Which object this is.
    pub fn id(&self) -> ObjectId {
        match self {
            Object::Service(service) => ObjectId::of_service(&service.key),
            Object::EndpointSlice(slice) => ObjectId::of_slice(&slice.namespace, &slice.name),
            Object::Node(node) => ObjectId::of_node(&node.name),
        }
    }

    /// The problems found while it was read.
    pub fn problems(&self) -> &[crate::Problem] {
        match self {
            Object::Service(service) => &service.problems,
            Object::EndpointSlice(slice) => &slice.problems,
            Object::Node(node) => &node.problems,
        }
    }
}

/// One change of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object appeared or changed; equal content changes nothing.
    Apply(Object),
    /// The object is gone.
    Delete(ObjectId),
}

/// Where resources come from. Displays as `Service default/web`, `Service default/web node:n1@za`,
/// `mesh`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A Service, but for what it has in layers of single nodes.
    Service(ServiceKey),
    /// What a Service has in the layer of one node.
    ServiceOnNode(ServiceKey, Layer),
    /// The listeners that hand connections over where the capture is `redirect`.
    Redirect,
    /// The route table of mesh proxies, and the listener before it.
    Mesh,
    /// What a proxy says of its own health.
    Healthz,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Service(key) => write!(f, "{} {key}", ObjectKind::Service),
            Origin::ServiceOnNode(key, layer) => {
                write!(f, "{} {key} {layer}", ObjectKind::Service)
            }
            Origin::Redirect => f.write_str("redirect"),
            Origin::Mesh => f.write_str("mesh"),
            Origin::Healthz => f.write_str("healthz"),
        }
    }
}

/// The complete set of resources that one origin has now. Whatever it had before and has no longer
/// is gone; an empty set takes everything away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// Where they come from.
    pub origin: Origin,
    /// The resources, each with the layer it lies in.
    pub resources: Vec<(Layer, Resource)>,
}
