//! [`Owner`]: what a resource belongs to, as people call it.

use std::fmt;
use std::sync::Arc;

use seaway_proto::TypeUrl;
use serde::{Deserialize, Serialize};

use crate::names::service_of;
use crate::{Fleet, Origin, Role};

/// What changed resources belong to: a Service, a host of ingress proxies, a certificate, or the
/// proxies themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// Which of these it is.
    pub kind: OwnerKind,
    /// Its name: `shop/web` of a Service or a certificate, `443/shop.example.com` of a host; with a
    /// fleet before it that is not the default one.
    pub name: Arc<str>,
}

/// The kinds of owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OwnerKind {
    /// A Service.
    Service,
    /// A host of ingress proxies.
    Host,
    /// A certificate of ingress proxies.
    Certificate,
    /// The proxies: listeners that belong to no object.
    Proxy,
}

/// Displays as a line begins with it: `shop/web`, `host 80/shop.example.com`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            OwnerKind::Service => f.write_str(&self.name),
            OwnerKind::Host => write!(f, "host {}", self.name),
            OwnerKind::Certificate => write!(f, "certificate {}", self.name),
            OwnerKind::Proxy => write!(f, "proxies: {}", self.name),
        }
    }
}

impl Owner {
    /// The owner of this kind and name.
    pub(super) fn new(kind: OwnerKind, name: impl Into<Arc<str>>) -> Owner {
        Owner {
            kind,
            name: name.into(),
        }
    }

    /// The owner of the resources of an origin.
    pub(super) fn of_origin(origin: &Origin) -> Owner {
        let of = |fleet: &Fleet, rest: String| match fleet.is_default() {
            true => rest,
            false => format!("{fleet} {rest}"),
        };
        match origin {
            Origin::Service(key) | Origin::ServiceOnNode(key, _) | Origin::Targets(key) => {
                Owner::new(OwnerKind::Service, key.to_string())
            }
            Origin::IngressHost(fleet, port, host) => {
                Owner::new(OwnerKind::Host, of(fleet, format!("{port}/{host}")))
            }
            Origin::IngressCertificate(fleet, host) => {
                Owner::new(OwnerKind::Certificate, of(fleet, host.to_string()))
            }
            Origin::Secret(namespace, name) => {
                Owner::new(OwnerKind::Certificate, format!("{namespace}/{name}"))
            }
            Origin::IngressPort(fleet, port) => {
                Owner::new(OwnerKind::Proxy, of(fleet, format!("port {port}")))
            }
            other => Owner::new(OwnerKind::Proxy, other.to_string()),
        }
    }

    /// The same of an origin of which only the name is known, as `Display` writes it.
    pub(super) fn of_origin_name(origin: &str) -> Owner {
        match Origin::read(origin) {
            Some(origin) => Owner::of_origin(&origin),
            None => Owner::new(OwnerKind::Proxy, origin),
        }
    }

    /// The owner of a resource of which only the type and the name are known, seen by proxies of
    /// this role.
    pub(super) fn of_name(role: Role, type_url: TypeUrl, name: &str) -> Owner {
        // A scope of an ingress proxy is a host, whatever its name.
        let is_host = type_url == TypeUrl::SCOPED_ROUTE && role != Role::Mesh;
        let service = service_of(type_url, name).filter(|_| !is_host);
        match (service, type_url) {
            (Some(key), _) => Owner::new(OwnerKind::Service, key.to_string()),
            (None, TypeUrl::SCOPED_ROUTE) => Owner::new(OwnerKind::Host, name),
            (None, TypeUrl::SECRET) => Owner::new(OwnerKind::Certificate, name),
            (None, _) => Owner::new(OwnerKind::Proxy, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_origin_says_what_its_resources_belong_to() {
        let key = crate::model::ServiceKey {
            namespace: "shop".into(),
            name: "web".into(),
        };
        let (edge, usual): (Fleet, Fleet) = ("edge".parse().unwrap(), Fleet::default());
        for origin in [
            Origin::Service(key.clone()),
            Origin::ServiceOnNode(key.clone(), crate::Layer::NodeRole("n1".into())),
            Origin::Targets(key),
            Origin::Redirect,
            Origin::Mesh,
            Origin::MeshNamespace("shop".into(), false),
            Origin::MeshNamespace("shop".into(), true),
            Origin::WholeTable,
            Origin::ImportTable("infra/dns,shop@web".parse().unwrap()),
            Origin::IngressHosts,
            Origin::Healthz,
            Origin::Secret("shop".into(), "tls".into()),
            Origin::IngressPort(usual, 80),
            Origin::IngressPort(edge, 80),
        ] {
            let name = origin.to_string();
            assert_eq!(Owner::of_origin_name(&name), Owner::of_origin(&origin));
        }
        let host = Owner::of_origin_name("ingress edge 443/shop.example.com");
        assert_eq!(host.to_string(), "host edge 443/shop.example.com");
    }

    #[test]
    fn a_resource_belongs_to_the_service_that_its_name_says() {
        let of = |role, type_url, name| Owner::of_name(role, type_url, name).to_string();
        let node = |type_url, name| of(Role::Node, type_url, name);
        assert_eq!(node(TypeUrl::CLUSTER, "d/web/80~local~v6"), "d/web");
        assert_eq!(
            node(TypeUrl::LISTENER, "d/web/80@nodeport:0.0.0.0:30080"),
            "d/web"
        );
        assert_eq!(
            node(TypeUrl::LISTENER, "d/web@healthcheck:0.0.0.0:31000"),
            "d/web"
        );
        assert_eq!(node(TypeUrl::ROUTE, "healthcheck/d/web"), "d/web");
        assert_eq!(node(TypeUrl::ROUTE, "healthz"), "proxies: healthz");
        let scope = |role| of(role, TypeUrl::SCOPED_ROUTE, "80/web");
        assert_eq!(scope(Role::Mesh), "80/web");
        let of_ip = of(Role::Mesh, TypeUrl::SCOPED_ROUTE, "d/web@fd00::10");
        assert_eq!(of_ip, "d/web");
        assert_eq!(scope(Role::Ingress), "host 80/web");
    }
}
