//! Input and output of the translator: a [`Change`] of an object goes in, and a [`Replace`] for
//! each [`Origin`] whose resources changed comes out.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use seaway_proto::Resource;

use crate::kinds::ModelObject;
use crate::model::{
    EndpointSlice, Fleet, Gateway, GatewayClass, HTTPRoute, Hostname, Ingress, IngressClass,
    Namespace, Node, ReferenceGrant, Secret, Service, ServiceKey,
};
use crate::{ImportTable, Layer, Object, ObjectKind, Problem};

/// The kind, namespace and name of an object. Displays as problems name it: `Service default/web`,
/// `Node n1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// The kind of the object.
    pub kind: ObjectKind,
    /// The namespace of the object; empty for a Node.
    pub namespace: Arc<str>,
    /// The name of the object.
    pub name: Arc<str>,
}

impl ObjectId {
    /// The id of a Service.
    #[must_use]
    pub fn of_service(key: &ServiceKey) -> ObjectId {
        ObjectId {
            kind: ObjectKind::Service,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }

    /// The id of an EndpointSlice.
    #[must_use]
    pub fn of_slice(namespace: &Arc<str>, name: &Arc<str>) -> ObjectId {
        ObjectId {
            kind: ObjectKind::EndpointSlice,
            namespace: namespace.clone(),
            name: name.clone(),
        }
    }

    /// The id of a Node.
    #[must_use]
    pub fn of_node(name: &Arc<str>) -> ObjectId {
        ObjectId {
            kind: ObjectKind::Node,
            namespace: "".into(),
            name: name.clone(),
        }
    }

    /// The id of an object of this kind; the namespace is empty for kinds that are in none.
    #[must_use]
    pub fn new(kind: ObjectKind, namespace: &Arc<str>, name: &Arc<str>) -> ObjectId {
        ObjectId {
            kind,
            namespace: namespace.clone(),
            name: name.clone(),
        }
    }
}

impl ObjectId {
    /// The id of the object of this kind that displays with this name: `default/web`, `n1`.
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

/// The text names no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a kind and a name: Service shop/web")]
pub struct NoObject;

impl FromStr for ObjectId {
    type Err = NoObject;

    /// Reads what an id displays as.
    fn from_str(text: &str) -> Result<ObjectId, NoObject> {
        let (kind, name) = text.split_once(' ').ok_or(NoObject)?;
        let mut kinds = ObjectKind::ALL.iter();
        let kind = kinds.find(|known| known.as_str() == kind);
        let id = kind.and_then(|kind| ObjectId::named(*kind, name));
        id.filter(|id| !id.name.is_empty()).ok_or(NoObject)
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

impl ModelObject for Service {
    fn id(&self) -> ObjectId {
        ObjectId::of_service(&self.key)
    }

    fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Implements [`ModelObject`] for kinds of objects in namespaces, and for those in none.
macro_rules! model_objects {
    (namespaced: $($kind:ident),+; cluster: $($cluster_kind:ident),+;) => {
        $(impl ModelObject for $kind {
            fn id(&self) -> ObjectId {
                ObjectId::new(ObjectKind::$kind, &self.namespace, &self.name)
            }

            fn problems(&self) -> &[Problem] {
                &self.problems
            }
        })+
        $(impl ModelObject for $cluster_kind {
            fn id(&self) -> ObjectId {
                ObjectId::new(ObjectKind::$cluster_kind, &"".into(), &self.name)
            }

            fn problems(&self) -> &[Problem] {
                &self.problems
            }
        })+
    };
}

model_objects! {
    namespaced: EndpointSlice, Gateway, HTTPRoute, Ingress, ReferenceGrant, Secret;
    cluster: GatewayClass, IngressClass, Namespace, Node;
}

impl Object {
    /// The Secrets that the object names as certificates, whether it may use them or not. No other
    /// Secret matters (Gateway rule 38).
    #[must_use]
    pub fn secrets(&self) -> Vec<ObjectId> {
        let secret = |namespace, name| ObjectId::new(ObjectKind::Secret, namespace, name);
        match self {
            Object::Ingress(ingress) => {
                let names = ingress.tls.iter().filter_map(|tls| tls.secret.as_ref());
                names.map(|name| secret(&ingress.namespace, name)).collect()
            }
            Object::Gateway(gateway) => {
                let all = gateway.listeners.iter().flat_map(|l| &l.certificates);
                let secrets = all.filter(|certificate| certificate.is_secret);
                secrets.map(|c| secret(&c.namespace, &c.name)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A change of one object: it appeared, changed or is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object appeared or changed; equal content changes nothing.
    Apply(Object),
    /// The object is gone.
    Delete(ObjectId),
}

/// The unit from which resources are made, and by which they are replaced. Displays as `Service
/// default/web`, `Service default/web node:n1@za`, `mesh`, `ingress default 80/shop.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A Service, for its resources outside of the layers of single nodes.
    Service(ServiceKey),
    /// A Service, for its resources in the layer of one node.
    ServiceOnNode(ServiceKey, Layer),
    /// A Service, for the names of it that gRPC clients ask for.
    Targets(ServiceKey),
    /// The listeners that hand connections over to others where the capture is `redirect`.
    Redirect,
    /// The HTTP listener of mesh proxies.
    Mesh,
    /// The HTTP listener of the mesh proxies of a namespace that take scopes, or one table
    /// (`true`).
    MeshNamespace(Arc<str>, bool),
    /// The routes of all Services as one table, and the listener that asks for it.
    WholeTable,
    /// The routes of what some proxies import as one table, and the listener that asks for it.
    ImportTable(ImportTable),
    /// The listener by which ingress proxies ask for hosts.
    IngressHosts,
    /// The HTTP listener of the ingress proxies of a fleet at a port.
    IngressPort(Fleet, u16),
    /// The routes of the ingress proxies of a fleet for a host, at a port.
    IngressHost(Fleet, u16, Hostname),
    /// The certificate of a host, for those ingress proxies of a fleet that ask for it by that
    /// name.
    IngressCertificate(Fleet, Hostname),
    /// A Secret with a certificate that ingress proxies serve, by namespace and name.
    Secret(Arc<str>, Arc<str>),
    /// The health of the proxy itself: `/healthz` and `/livez`.
    Healthz,
}

impl Origin {
    /// The origin that displays like this, if it is one of objects. What a Service has on one node,
    /// or for gRPC clients, counts as the Service's.
    pub(crate) fn read(text: &str) -> Option<Origin> {
        let (kind, rest) = text.split_once(' ')?;
        let names = |text: &str| {
            let (namespace, name) = text.split_once('/')?;
            Some((Arc::from(namespace), Arc::from(name)))
        };
        if kind == ObjectKind::Service.as_str() {
            let (namespace, name) = names(rest.split(' ').next()?)?;
            return Some(Origin::Service(ServiceKey { namespace, name }));
        }
        if kind == ObjectKind::Secret.as_str() {
            let (namespace, name) = names(rest)?;
            return Some(Origin::Secret(namespace, name));
        }
        let (fleet, at) = rest.split_once(' ').filter(|_| kind == "ingress")?;
        let fleet = fleet.parse().ok()?;
        if let Some(host) = at.strip_prefix("certificate ") {
            return Some(Origin::IngressCertificate(fleet, Hostname::read(host)));
        }
        Some(match at.split_once('/') {
            None => Origin::IngressPort(fleet, at.parse().ok()?),
            Some((port, host)) => {
                Origin::IngressHost(fleet, port.parse().ok()?, Hostname::read(host))
            }
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Service(key) => write!(f, "{} {key}", ObjectKind::Service),
            Origin::ServiceOnNode(key, layer) => {
                write!(f, "{} {key} {layer}", ObjectKind::Service)
            }
            Origin::Targets(key) => write!(f, "{} {key} targets", ObjectKind::Service),
            Origin::Redirect => f.write_str("redirect"),
            Origin::Mesh => f.write_str("mesh"),
            Origin::MeshNamespace(name, false) => write!(f, "mesh namespace {name}"),
            Origin::MeshNamespace(name, true) => write!(f, "mesh namespace-table {name}"),
            Origin::WholeTable => f.write_str("mesh whole-table"),
            Origin::ImportTable(table) => write!(f, "mesh import-table {table}"),
            Origin::IngressHosts => f.write_str("ingress hosts"),
            Origin::IngressPort(fleet, port) => write!(f, "ingress {fleet} {port}"),
            Origin::IngressHost(fleet, port, host) => {
                write!(f, "ingress {fleet} {port}/{host}")
            }
            Origin::IngressCertificate(fleet, host) => {
                write!(f, "ingress {fleet} certificate {host}")
            }
            Origin::Secret(namespace, name) => {
                write!(f, "{} {namespace}/{name}", ObjectKind::Secret)
            }
            Origin::Healthz => f.write_str("healthz"),
        }
    }
}

/// The complete set of resources that one origin has now. Any other resource that it had before is
/// gone; an empty set removes all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The origin of the resources.
    pub origin: Origin,
    /// The resources, each with the layer it lies in.
    pub resources: Vec<(Layer, Resource)>,
}
