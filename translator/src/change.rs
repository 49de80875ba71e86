//! What arrives: objects that appeared or changed, and the ids of those that are gone.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{EndpointSlice, Node, Service};

/// The kinds of objects the translator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// `v1 Service`.
    Service,
    /// `discovery.k8s.io/v1 EndpointSlice`.
    EndpointSlice,
    /// `v1 Node`.
    Node,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ObjectKind::Service => "Service",
            ObjectKind::EndpointSlice => "EndpointSlice",
            ObjectKind::Node => "Node",
        })
    }
}

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
            Object::Service(service) => ObjectId {
                kind: ObjectKind::Service,
                namespace: service.key.namespace.clone(),
                name: service.key.name.clone(),
            },
            Object::EndpointSlice(slice) => ObjectId {
                kind: ObjectKind::EndpointSlice,
                namespace: slice.namespace.clone(),
                name: slice.name.clone(),
            },
            Object::Node(node) => ObjectId {
                kind: ObjectKind::Node,
                namespace: "".into(),
                name: node.name.clone(),
            },
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
