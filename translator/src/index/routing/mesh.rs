//! The HTTPRoutes whose parents are Services: what mesh proxies make of requests for those (Gateway
//! rule 115).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Routing, RoutingChanges};
use crate::model::{HTTPRoute, ServiceKey};
use crate::policy::gateway::service_of;
use crate::policy::route_order::Age;
use crate::{ObjectId, ObjectKind};

/// The routes of Services, whether those exist or not.
#[derive(Debug, Default)]
pub(super) struct MeshRoutes {
    /// By the Service and the namespace of the route, the oldest first.
    of_service: BTreeMap<ServiceKey, BTreeMap<Arc<str>, BTreeSet<Age>>>,
    /// The Services of other namespaces that the routes of a namespace are for.
    from: BTreeMap<Arc<str>, BTreeSet<ServiceKey>>,
}

impl MeshRoutes {
    fn add(&mut self, service: &ServiceKey, age: &Age) {
        let namespace = age.object().namespace;
        if namespace != service.namespace {
            let services = self.from.entry(namespace.clone()).or_default();
            services.insert(service.clone());
        }
        let of_service = self.of_service.entry(service.clone()).or_default();
        of_service.entry(namespace).or_default().insert(age.clone());
    }

    fn remove(&mut self, service: &ServiceKey, age: &Age) {
        let namespace = age.object().namespace;
        let Some(of_service) = self.of_service.get_mut(service) else {
            return;
        };
        let Some(routes) = of_service.get_mut(&namespace) else {
            return;
        };
        routes.remove(age);
        if !routes.is_empty() {
            return;
        }
        of_service.remove(&namespace);
        if of_service.is_empty() {
            self.of_service.remove(service);
        }
        if let Some(services) = self.from.get_mut(&namespace) {
            services.remove(service);
            if services.is_empty() {
                self.from.remove(&namespace);
            }
        }
    }
}

/// The Services that a route names as parents.
pub(super) fn services_of(route: &HTTPRoute) -> BTreeSet<ServiceKey> {
    let parents = route.parents.iter();
    let services = parents.filter_map(|parent| service_of(route, parent));
    services.collect()
}

/// The age of a route.
fn age(route: &HTTPRoute) -> Age {
    let id = ObjectId::new(ObjectKind::HTTPRoute, &route.namespace, &route.name);
    Age::new(route.created, &id)
}

impl Routing {
    /// The routes of a namespace that name a Service as their parent, the oldest first.
    pub(crate) fn routes_of_service(
        &self,
        service: &ServiceKey,
        namespace: &Arc<str>,
    ) -> impl Iterator<Item = &Age> {
        let of_service = self.mesh.of_service.get(service);
        let routes = of_service.and_then(|routes| routes.get(namespace));
        routes.into_iter().flatten()
    }

    /// The namespaces with routes for a Service, its own included.
    pub(crate) fn routing_namespaces(
        &self,
        service: &ServiceKey,
    ) -> impl Iterator<Item = &Arc<str>> {
        let of_service = self.mesh.of_service.get(service);
        of_service.into_iter().flat_map(BTreeMap::keys)
    }

    /// The other namespaces with routes for a Service: those are for their own clients alone.
    pub(crate) fn consumers_of(&self, service: &ServiceKey) -> impl Iterator<Item = &Arc<str>> {
        let namespaces = self.routing_namespaces(service);
        namespaces.filter(|namespace| **namespace != service.namespace)
    }

    /// The Services of other namespaces that the routes of a namespace are for.
    pub(crate) fn consumed_in(&self, namespace: &str) -> impl Iterator<Item = &ServiceKey> {
        self.mesh.from.get(namespace).into_iter().flatten()
    }

    /// The Services that are consumed in any other namespace than their own.
    pub(crate) fn consumed(&self) -> BTreeSet<&ServiceKey> {
        self.mesh.from.values().flatten().collect()
    }

    /// Files a route under the Services that it names as parents now, and marks those and the ones
    /// before.
    pub(super) fn file_mesh_route(
        &mut self,
        old: Option<&HTTPRoute>,
        new: Option<&HTTPRoute>,
        changes: &mut RoutingChanges,
    ) {
        if let Some(route) = old {
            let age = age(route);
            for service in services_of(route) {
                self.mesh.remove(&service, &age);
                changes.services.insert(service);
            }
        }
        if let Some(route) = new {
            let age = age(route);
            for service in services_of(route) {
                self.mesh.add(&service, &age);
                changes.services.insert(service);
            }
        }
    }

    /// Marks the Services that send requests to another one by their routes.
    pub(super) fn mark_parents(&self, user: &ObjectId, changes: &mut RoutingChanges) {
        if user.kind == ObjectKind::HTTPRoute
            && let Some(route) = self.http_route(user)
        {
            changes.services.extend(services_of(route));
        }
    }

    /// Marks the routes of a Service that came, went or has other ports.
    pub(super) fn mark_routes_of(&self, service: &ServiceKey, changes: &mut RoutingChanges) {
        let of_service = self.mesh.of_service.get(service);
        for age in of_service.into_iter().flat_map(BTreeMap::values).flatten() {
            changes.mark_for(&age.object(), ObjectKind::HTTPRoute);
        }
    }
}
