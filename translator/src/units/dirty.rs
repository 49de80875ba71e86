//! The units that have to be translated again, and how much of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::service::Extent;
use crate::ObjectId;
use crate::index::ServiceSet;
use crate::index::routing::RoutingChanges;
use crate::model::{Hostname, ServiceKey};
use crate::plan::host::Table;

/// What is translated again as a whole when an object changes: a Service, or resources that are
/// made of several objects, such as the routes of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A Service, how much of it may have changed, and the nodes that came, went or changed.
    Service(ServiceKey, Extent, BTreeSet<Arc<str>>),
    /// The listener behind `capture: redirect`.
    Redirect,
    /// The HTTP listener of mesh proxies.
    Mesh,
    /// The HTTP listener of the mesh proxies of a namespace, and whether it is that of those which
    /// take one table.
    MeshNamespace(Arc<str>, bool),
    /// The routes of all Services as one table, for the mesh proxies that take it.
    WholeTable,
    /// The routes of what some proxies import as one table.
    ImportTables,
    /// The listener by which ingress proxies ask for hosts.
    IngressHosts,
    /// The HTTP listener of ingress proxies at a port.
    IngressPort(Table),
    /// The routes of ingress proxies for a host.
    IngressHost(Table, Hostname),
    /// The certificate of a host, for ingress proxies that ask for it by that name.
    IngressCertificate(Table, Hostname),
    /// A certificate of ingress proxies, by the namespace and name of its Secret.
    Secret((Arc<str>, Arc<str>)),
    /// The problems of an object with rules for ingress proxies.
    RouteObject(ObjectId),
    /// What gRPC clients find by the names of a Service.
    Targets(ServiceKey),
    /// The number of listeners that a proxy has to bind.
    Sockets,
    /// The health of the proxy itself: `/healthz` and `/livez`.
    Healthz,
}

/// The units that have to be translated again.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    /// The Services of which everything has to be translated again.
    pub services: ServiceSet,
    /// The Services whose endpoints have changed, or the places of the proxies that use them.
    pub endpoints: ServiceSet,
    /// The Services whose listeners or health checks may have changed on these nodes alone.
    nodes: BTreeMap<ServiceKey, BTreeSet<Arc<str>>>,
    /// The Services of which names are wanted, or were, by gRPC clients, and lead elsewhere now.
    pub targets: ServiceSet,
    /// The namespaces to which the first mesh proxy came that takes scopes, or one table (`true`),
    /// or which the last one left.
    pub namespaces: BTreeSet<(Arc<str>, bool)>,
    /// Whether the proxy's health has to be translated again: a Node with a proxy of role `node`
    /// came, went, or is about to go.
    pub healthz: bool,
    /// Whether this is the first translation, in which that is made which never changes.
    first: bool,
    /// What ingress proxies have of the objects that changed.
    pub routing: RoutingChanges,
}

impl Dirty {
    /// The state before the first flush, in which only that has to be translated which needs no
    /// object.
    pub(crate) fn at_first() -> Dirty {
        Dirty {
            healthz: true,
            first: true,
            ..Dirty::default()
        }
    }

    /// Marks the resources that a Service has on one node.
    pub(crate) fn mark_on_node(&mut self, service: &ServiceKey, node: &Arc<str>) {
        let nodes = self.nodes.entry(service.clone()).or_default();
        nodes.insert(node.clone());
    }

    /// Whether anything of a Service is marked.
    pub(crate) fn has_service(&self, service: &ServiceKey) -> bool {
        self.services.contains(service)
            || self.endpoints.contains(service)
            || self.nodes.contains_key(service)
            || self.routing.services.contains(service)
    }

    /// Whether anything of any Service is marked.
    pub(crate) fn has_services(&self) -> bool {
        let services = [&self.services, &self.endpoints, &self.routing.services];
        services.iter().any(|all| !all.is_empty()) || !self.nodes.is_empty()
    }

    /// Takes all units that are marked, in the order of translation: units that are made from those
    /// of Services come after them.
    pub(crate) fn take(&mut self) -> Vec<Unit> {
        let Dirty {
            services,
            endpoints,
            mut nodes,
            targets,
            namespaces,
            healthz,
            first,
            routing,
        } = std::mem::take(self);
        let mut all: BTreeMap<ServiceKey, Extent> = endpoints
            .into_iter()
            .map(|key| (key, Extent::Endpoints))
            .collect();
        let services = services.into_iter().chain(routing.services);
        all.extend(services.map(|key| (key, Extent::Whole)));
        let mut units = Vec::with_capacity(all.len() + nodes.len() + 5);
        for (key, extent) in all {
            let nodes = nodes.remove(&key).unwrap_or_default();
            units.push(Unit::Service(key, extent, nodes));
        }
        let on_nodes = nodes.into_iter();
        units.extend(on_nodes.map(|(key, nodes)| Unit::Service(key, Extent::Nodes, nodes)));
        units.extend(targets.into_iter().map(Unit::Targets));
        units.extend([
            Unit::Redirect,
            Unit::WholeTable,
            Unit::ImportTables,
            Unit::Sockets,
        ]);
        let namespaces = namespaces.into_iter();
        units.extend(namespaces.map(|(name, table)| Unit::MeshNamespace(name, table)));
        if first {
            units.extend([Unit::Mesh, Unit::IngressHosts]);
        }
        units.extend(routing.secrets.into_iter().map(Unit::Secret));
        let certificates = routing.certificates.into_iter();
        units.extend(certificates.map(|(table, host)| Unit::IngressCertificate(table, host)));
        units.extend(routing.tables.into_iter().map(Unit::IngressPort));
        let hosts = routing.hosts.into_iter();
        units.extend(hosts.map(|(table, host)| Unit::IngressHost(table, host)));
        units.extend(routing.objects.into_iter().map(Unit::RouteObject));
        units.extend(healthz.then_some(Unit::Healthz));
        units
    }
}
