//! Gateways and their routes: which classes are served, which routes name which Gateway, and who
//! may refer to what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::share::Share;
use super::{Key, Routing, RoutingChanges, put, refile};
use crate::model::{
    AllowedNamespaces, Gateway, GatewayClass, HTTPRoute, Namespace, ParentRef, ReferenceGrant,
};
use crate::policy::gateway::{self, NotAttached};
use crate::{ObjectId, ObjectKind, Options};

/// The objects of Gateway API, with the lookups between them.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    classes: BTreeMap<Arc<str>, Arc<GatewayClass>>,
    gateways: BTreeMap<Key, Arc<Gateway>>,
    /// The Gateways that name a class, by its name.
    of_class: BTreeMap<Arc<str>, BTreeSet<Key>>,
    routes: BTreeMap<Key, Arc<HTTPRoute>>,
    /// The routes that name a Gateway as a parent, whether it exists or not.
    of_gateway: BTreeMap<Key, BTreeSet<Key>>,
    /// The grants of a namespace, by name.
    grants: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<ReferenceGrant>>>,
    namespaces: BTreeMap<Arc<str>, Arc<Namespace>>,
}

/// The Gateway that a route names as its parent, if that is what it names.
pub(crate) fn gateway_of(route: &HTTPRoute, parent: &ParentRef) -> Option<Key> {
    let namespace = parent.namespace.as_ref().unwrap_or(&route.namespace);
    parent
        .is_gateway()
        .then(|| (namespace.clone(), parent.name.clone()))
}

impl Routing {
    /// A Gateway, served or not.
    pub(crate) fn gateway(&self, id: &ObjectId) -> Option<&Arc<Gateway>> {
        self.gateways
            .gateways
            .get(&(id.namespace.clone(), id.name.clone()))
    }

    /// A Gateway, by its namespace and name.
    pub(super) fn gateway_of_key(&self, key: &Key) -> Option<&Arc<Gateway>> {
        self.gateways.gateways.get(key)
    }

    /// All Gateways, of whichever class.
    pub(super) fn all_gateways(&self) -> impl Iterator<Item = (&Key, &Arc<Gateway>)> {
        self.gateways.gateways.iter()
    }

    /// An HTTPRoute, attached or not.
    pub(crate) fn http_route(&self, id: &ObjectId) -> Option<&Arc<HTTPRoute>> {
        self.gateways
            .routes
            .get(&(id.namespace.clone(), id.name.clone()))
    }

    /// A GatewayClass.
    pub(crate) fn gateway_class(&self, name: &str) -> Option<&Arc<GatewayClass>> {
        self.gateways.classes.get(name)
    }

    /// The Gateway of a parent, if there is one and its class is served. The others are none of
    /// this controller's business (Gateway rule 10).
    pub(crate) fn parent(&self, route: &HTTPRoute, parent: &ParentRef) -> Option<&Arc<Gateway>> {
        let gateway = self.gateways.gateways.get(&gateway_of(route, parent)?)?;
        self.is_gateway_ours(gateway).then_some(gateway)
    }

    /// Whether a Gateway is of a class of this controller that is served (Gateway rule 7).
    pub(crate) fn is_gateway_ours(&self, gateway: &Gateway) -> bool {
        let class = self.gateways.classes.get(&gateway.class);
        class.is_some_and(|class| is_class_served(class))
    }

    /// All objects of Gateway API that may have a status of this controller's.
    pub(super) fn of_gateway_api(&self) -> impl Iterator<Item = ObjectId> {
        let id = |kind, key: &Key| ObjectId::new(kind, &key.0, &key.1);
        let Gateways {
            classes,
            gateways,
            routes,
            ..
        } = &self.gateways;
        let none: Arc<str> = "".into();
        let class = move |name| ObjectId::new(ObjectKind::GatewayClass, &none, name);
        let gateways = gateways.keys();
        let routes = routes.keys();
        let classes = classes.keys().map(class);
        let gateways = gateways.map(move |key| id(ObjectKind::Gateway, key));
        classes
            .chain(gateways)
            .chain(routes.map(move |key| id(ObjectKind::HTTPRoute, key)))
    }

    /// The listeners that take a route by one of its parents: the names of the listeners, each with
    /// the host names.
    ///
    /// # Errors
    /// When none of the parent's listeners takes it.
    pub(crate) fn attach<'a>(
        &'a self,
        route: &'a HTTPRoute,
        parent: &ParentRef,
        gateway: &'a Gateway,
    ) -> Result<gateway::Taken<'a>, NotAttached> {
        gateway::attach(route, parent, gateway, |namespace| {
            self.gateways
                .namespaces
                .get(namespace)
                .map(|namespace| &namespace.labels)
        })
    }

    /// Whether an object may refer to one of another namespace (Gateway rule 32).
    pub(crate) fn is_granted(&self, from: &ObjectId, group: &str, kind: &str, to: &Key) -> bool {
        if from.namespace == to.0 {
            return true;
        }
        let grants = self
            .gateways
            .grants
            .get(&to.0)
            .into_iter()
            .flat_map(BTreeMap::values);
        grants.into_iter().any(|grant| {
            let is_from = grant.from.iter().any(|allowed| {
                *allowed.group == *from.kind.group()
                    && *allowed.kind == *from.kind.as_str()
                    && allowed.namespace == from.namespace
            });
            is_from
                && grant.to.iter().any(|allowed| {
                    *allowed.group == *group
                        && *allowed.kind == *kind
                        && allowed.name.as_ref().is_none_or(|name| *name == to.1)
                })
        })
    }

    /// Adds, replaces or (`None`) removes a GatewayClass.
    pub(crate) fn set_gateway_class(
        &mut self,
        name: &Arc<str>,
        new: Option<Arc<GatewayClass>>,
        options: &Options,
        changes: &mut RoutingChanges,
    ) {
        let ours =
            |class: Option<&Arc<GatewayClass>>| class.is_some_and(|class| is_class_served(class));
        let old = put(&mut self.gateways.classes, name.clone(), new);
        let id = ObjectId::new(ObjectKind::GatewayClass, &"".into(), name);
        changes.mark_for(&id, id.kind);
        if ours(old.as_ref()) != ours(self.gateways.classes.get(name)) {
            for key in self
                .gateways
                .of_class
                .get(name)
                .cloned()
                .unwrap_or_default()
            {
                self.share_gateway(&key, options, changes);
            }
        }
    }

    /// Adds, replaces or (`None`) removes a Gateway.
    pub(crate) fn set_gateway(
        &mut self,
        key: Key,
        new: Option<Arc<Gateway>>,
        options: &Options,
        changes: &mut RoutingChanges,
    ) {
        let class = |gateway: &Arc<Gateway>| BTreeSet::from([gateway.class.clone()]);
        let new_classes = new.as_ref().map(class).unwrap_or_default();
        let old = put(&mut self.gateways.gateways, key.clone(), new);
        let old_classes = old.as_ref().map(class).unwrap_or_default();
        refile(&mut self.gateways.of_class, &key, &old_classes, new_classes);
        if old.as_ref() != self.gateways.gateways.get(&key) {
            self.share_gateway(&key, options, changes);
        }
    }

    /// Adds, replaces or (`None`) removes an HTTPRoute.
    pub(crate) fn set_http_route(
        &mut self,
        key: Key,
        new: Option<Arc<HTTPRoute>>,
        options: &Options,
        changes: &mut RoutingChanges,
    ) {
        let parents = |route: &Arc<HTTPRoute>| {
            let parents = route.parents.iter();
            parents
                .filter_map(|parent| gateway_of(route, parent))
                .collect::<BTreeSet<Key>>()
        };
        let new_parents = new.as_ref().map(parents).unwrap_or_default();
        let old = put(&mut self.gateways.routes, key.clone(), new);
        let old_parents = old.as_ref().map(parents).unwrap_or_default();
        refile(
            &mut self.gateways.of_gateway,
            &key,
            &old_parents,
            new_parents,
        );
        let new = self.gateways.routes.get(&key).cloned();
        if old != new {
            self.file_mesh_route(old.as_deref(), new.as_deref(), changes);
            self.share_http_route(&key, options, changes);
        }
    }

    /// Adds, replaces or (`None`) removes a ReferenceGrant. What refers to Services of its
    /// namespace from another one is looked at again (Gateway rule 34). Returns whether the grants
    /// of the namespace are others than before.
    pub(crate) fn set_reference_grant(
        &mut self,
        key: Key,
        new: Option<Arc<ReferenceGrant>>,
        changes: &mut RoutingChanges,
    ) -> bool {
        let of_namespace = self.gateways.grants.entry(key.0.clone()).or_default();
        let old = put(of_namespace, key.1.clone(), new);
        let changed = old.as_ref() != of_namespace.get(&key.1);
        if of_namespace.is_empty() {
            self.gateways.grants.remove(&key.0);
        }
        if changed {
            for service in self.services_used_from_elsewhere(&key.0) {
                self.service_changed(&service, changes);
            }
            self.secret_grants_changed(&key.0, changes);
        }
        changed
    }

    /// A Namespace.
    pub(crate) fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.gateways.namespaces.get(name).map(|one| &**one)
    }

    /// Adds, replaces or (`None`) removes a Namespace: routes of it may be selected by other
    /// listeners now (Gateway rule 43).
    pub(crate) fn set_namespace(
        &mut self,
        name: &Arc<str>,
        new: Option<Arc<Namespace>>,
        options: &Options,
        changes: &mut RoutingChanges,
    ) {
        let old = put(&mut self.gateways.namespaces, name.clone(), new);
        if old.as_ref() == self.gateways.namespaces.get(name) {
            return;
        }
        let first = (name.clone(), "".into());
        let routes = self.gateways.routes.range(first..);
        let routes = routes.take_while(|((namespace, _), _)| namespace == name);
        let selected = routes.filter(|(_, route)| {
            let parents = route
                .parents
                .iter()
                .filter_map(|parent| self.parent(route, parent));
            parents
                .flat_map(|gateway| &gateway.listeners)
                .any(|listener| matches!(listener.namespaces, AllowedNamespaces::Selector(_)))
        });
        let selected: Vec<Key> = selected.map(|(key, _)| key.clone()).collect();
        for key in selected {
            self.share_http_route(&key, options, changes);
        }
    }

    /// Works out anew what a Gateway and its routes add.
    fn share_gateway(&mut self, key: &Key, options: &Options, changes: &mut RoutingChanges) {
        self.bind(key, options);
        self.share_bound_gateway(key, options, changes);
    }

    /// Does so where it is known what the Gateway is reached by.
    pub(super) fn share_bound_gateway(
        &mut self,
        key: &Key,
        options: &Options,
        changes: &mut RoutingChanges,
    ) {
        let id = ObjectId::new(ObjectKind::Gateway, &key.0, &key.1);
        let gateway = self.gateways.gateways.get(key);
        let served = gateway.filter(|gateway| self.is_gateway_ours(gateway));
        let share = served.map(|gateway| Share::of_gateway(self, gateway, options));
        self.replace(id, share, changes);
        for route in self
            .gateways
            .of_gateway
            .get(key)
            .cloned()
            .unwrap_or_default()
        {
            self.share_http_route(&route, options, changes);
        }
    }

    /// Works out anew what a route adds.
    fn share_http_route(&mut self, key: &Key, options: &Options, changes: &mut RoutingChanges) {
        let id = ObjectId::new(ObjectKind::HTTPRoute, &key.0, &key.1);
        let route = self.gateways.routes.get(key);
        let share = route.and_then(|route| Share::of_http_route(self, route, options));
        self.replace(id, share, changes);
    }
}

/// Whether the Gateways of a class are served.
fn is_class_served(class: &GatewayClass) -> bool {
    gateway::is_class_ours(class) && gateway::class_refusal(class).is_none()
}
