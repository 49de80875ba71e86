//! The routing of requests: which objects have rules for which host of which port of ingress
//! proxies, or for which Service at mesh proxies, and which Services they send requests to.
//!
//! A change of an object marks the hosts it names. One that names a wildcard, or every host, marks
//! those that it covers too, since its rules come after their own there (Gateway rule 54).

mod bindings;
mod certificates;
mod files;
mod gateways;
mod hosts;
mod mesh;
mod ports;
mod services;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use crate::model::{BackendPort, Hostname, Ingress, IngressClass, ServiceKey};
use crate::policy::table::Table;
use crate::{Fleet, ObjectId, ObjectKind, Options};

use bindings::Bindings;
use certificates::Secrets;
use files::{put, refile};
use gateways::Gateways;
pub(crate) use hosts::{Entry, Hosts, ListenerId};
use mesh::MeshRoutes;
use ports::Ports;
use services::Services;
use share::{Attached, Share};

/// The namespace and the name of an object.
pub(crate) type Key = (Arc<str>, Arc<str>);

/// All objects that route requests, joined by host.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    ingress_classes: BTreeMap<Arc<str>, Arc<IngressClass>>,
    ingresses: BTreeMap<Key, Arc<Ingress>>,
    /// The Ingresses that name a class, by its name.
    of_class: BTreeMap<Arc<str>, BTreeSet<Key>>,
    gateways: Gateways,
    secrets: Secrets,
    bindings: Bindings,
    ports: Ports,
    services: Services,
    mesh: MeshRoutes,
    /// What each object that is served adds.
    shares: BTreeMap<ObjectId, Share>,
    tables: BTreeMap<Table, Hosts>,
    /// The objects that name a Service as a backend, and which of its ports.
    users: BTreeMap<ServiceKey, BTreeMap<ObjectId, BTreeSet<BackendPort>>>,
    /// How many routes are attached to a listener.
    attached: BTreeMap<Attached, usize>,
}

/// What changes of routing have marked to be translated again.
#[derive(Debug, Default)]
pub(crate) struct RoutingChanges {
    /// The hosts whose routes may have changed.
    pub hosts: BTreeSet<(Table, Hostname)>,
    /// The ports that may have come or gone, or where a wildcard did.
    pub tables: BTreeSet<Table>,
    /// The objects whose problems may have changed.
    pub objects: BTreeSet<ObjectId>,
    /// The objects whose status may have changed.
    pub statuses: BTreeSet<ObjectId>,
    /// The Services of which other ports may be used, or that mesh proxies may route otherwise.
    pub services: BTreeSet<ServiceKey>,
    /// The Services by which objects are reached now, or no more.
    pub addresses: BTreeSet<ServiceKey>,
    /// The host names of which the certificate may have changed.
    pub certificates: BTreeSet<(Table, Hostname)>,
    /// The Secrets that changed, or that other objects use now.
    pub secrets: BTreeSet<Key>,
}

impl RoutingChanges {
    /// Marks an object for something that it refers to, which is in the status of such a kind.
    fn mark_for(&mut self, user: &ObjectId, kind: ObjectKind) {
        self.objects.insert(user.clone());
        if user.kind == kind {
            self.statuses.insert(user.clone());
        }
    }
}

impl Routing {
    /// The host names of a port; `None` if nothing is served there.
    pub(crate) fn hosts(&self, table: &Table) -> Option<&Hosts> {
        let hosts = self.tables.get(table)?;
        self.port_taken(table).is_none().then_some(hosts)
    }

    /// The fleet that serves an object, if it is served.
    pub(crate) fn fleet_of(&self, id: &ObjectId) -> Option<&Fleet> {
        self.shares.get(id)?.fleet.as_ref()
    }

    /// An Ingress, served or not.
    pub(crate) fn ingress(&self, id: &ObjectId) -> Option<&Arc<Ingress>> {
        self.ingresses.get(&(id.namespace.clone(), id.name.clone()))
    }

    /// Whether the object is of a class that is served.
    pub(crate) fn is_served(&self, id: &ObjectId) -> bool {
        self.shares.contains_key(id)
    }

    /// How many routes are attached to a listener of a Gateway.
    pub(crate) fn attached(&self, gateway: &Key, listener: &Arc<str>) -> usize {
        let listener = (gateway.clone(), listener.clone());
        self.attached.get(&listener).copied().unwrap_or_default()
    }

    /// All objects that may have a status of this controller's, be it only an old one.
    pub(crate) fn with_status(&self) -> impl Iterator<Item = ObjectId> {
        let ingress = |key: &Key| ObjectId::new(ObjectKind::Ingress, &key.0, &key.1);
        self.ingresses
            .keys()
            .map(ingress)
            .chain(self.of_gateway_api())
    }

    /// Whether a port of this number and name is one that requests are sent to.
    pub(crate) fn uses(&self, service: &ServiceKey, number: u16, name: &str) -> bool {
        self.ports_used(service).any(|port| match port {
            BackendPort::Number(wanted) => wanted.get() == number,
            BackendPort::Name(wanted) => **wanted == *name,
        })
    }

    /// The objects that send requests to a port of this number and name.
    pub(crate) fn users_of(&self, service: &ServiceKey, number: u16, name: &str) -> Vec<&ObjectId> {
        let users = self.users.get(service).into_iter().flatten();
        let sending = users.filter(|(user, ports)| {
            let share = self.shares.get(user);
            let mut ports = ports.iter();
            share.is_some_and(|share| share.sends)
                && ports.any(|port| match port {
                    BackendPort::Number(wanted) => wanted.get() == number,
                    BackendPort::Name(wanted) => **wanted == *name,
                })
        });
        sending.map(|(user, _)| user).collect()
    }

    /// All ports, with the host names of each.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&Table, &Hosts)> {
        self.tables.iter()
    }

    /// The ports of a fleet at which something may be served, with or without TLS.
    pub(crate) fn tables_with<'a>(
        &'a self,
        fleet: &'a Fleet,
        tls: bool,
    ) -> impl Iterator<Item = &'a Table> {
        let tables = self.tables.keys();
        tables.filter(move |table| table.fleet == *fleet && table.tls == tls)
    }

    /// The numbers of the ports that requests are sent to.
    pub(crate) fn numbers_used(&self, service: &ServiceKey) -> impl Iterator<Item = NonZeroU16> {
        self.ports_used(service).filter_map(|port| match port {
            BackendPort::Number(number) => Some(*number),
            BackendPort::Name(_) => None,
        })
    }

    fn ports_used(&self, service: &ServiceKey) -> impl Iterator<Item = &BackendPort> {
        let users = self.users.get(service).into_iter().flatten();
        let sending = users.filter(|(user, _)| {
            let share = self.shares.get(user);
            share.is_some_and(|share| share.sends)
        });
        sending.flat_map(|(_, ports)| ports)
    }

    /// Marks what sends requests to a Service that came, went or has other ports.
    pub(crate) fn service_changed(&self, service: &ServiceKey, changes: &mut RoutingChanges) {
        let users = self.users.get(service).into_iter().flat_map(BTreeMap::keys);
        for user in users {
            changes.mark_for(user, ObjectKind::HTTPRoute);
            self.mark_parents(user, changes);
            if let Some(share) = self.shares.get(user) {
                self.mark(share, changes);
            }
        }
        self.mark_routes_of(service, changes);
    }

    /// The Services of a namespace that objects of others send requests to.
    fn services_used_from_elsewhere(&self, namespace: &Arc<str>) -> Vec<ServiceKey> {
        let first = ServiceKey {
            namespace: namespace.clone(),
            name: "".into(),
        };
        let services = self.users.range(first..);
        let services = services.take_while(|(key, _)| key.namespace == *namespace);
        let from_elsewhere =
            services.filter(|(_, users)| users.keys().any(|user| user.namespace != *namespace));
        from_elsewhere.map(|(key, _)| key.clone()).collect()
    }

    /// Adds, replaces or (`None`) removes an IngressClass.
    pub(crate) fn set_ingress_class(
        &mut self,
        name: &Arc<str>,
        new: Option<Arc<IngressClass>>,
        options: &Options,
        changes: &mut RoutingChanges,
    ) {
        let old = put(&mut self.ingress_classes, name.clone(), new);
        let serves = |class: Option<&Arc<IngressClass>>| {
            class.map(|class| (class.controller.clone(), class.fleet.clone()))
        };
        if serves(old.as_ref()) == serves(self.ingress_classes.get(name)) {
            return;
        }
        for key in self.of_class.get(name).cloned().unwrap_or_default() {
            self.share_again(&key, options, changes);
        }
    }

    /// Adds, replaces or (`None`) removes an Ingress.
    pub(crate) fn set_ingress(
        &mut self,
        key: Key,
        new: Option<Arc<Ingress>>,
        options: &Options,
        changes: &mut RoutingChanges,
    ) {
        let class = |ingress: &Arc<Ingress>| ingress.class.iter().cloned().collect();
        let new_class = new.as_ref().map(class).unwrap_or_default();
        let old = put(&mut self.ingresses, key.clone(), new);
        let old_class = old.as_ref().map(class).unwrap_or_default();
        refile(&mut self.of_class, &key, &old_class, new_class);
        if old.as_ref() != self.ingresses.get(&key) {
            self.share_again(&key, options, changes);
        }
    }

    /// Works out anew what an Ingress adds.
    fn share_again(&mut self, key: &Key, options: &Options, changes: &mut RoutingChanges) {
        let id = ObjectId::new(ObjectKind::Ingress, &key.0, &key.1);
        let ingress = self.ingresses.get(key);
        let fleet = ingress.and_then(|ingress| self.fleet_for(ingress, options));
        let served = ingress.zip(fleet);
        let share = served.map(|(ingress, fleet)| Share::of_ingress(ingress, &fleet, options));
        self.replace(id, share, changes);
    }

    /// The fleet that serves an Ingress. `None`: it is of no class of this controller's (Service
    /// rule 132, Gateway rule 9), or of one that names no fleet.
    fn fleet_for(&self, ingress: &Ingress, options: &Options) -> Option<Fleet> {
        let Some(name) = &ingress.class else {
            return options.ingress_without_class.then(Fleet::default);
        };
        let class = self.ingress_classes.get(name);
        let ours = class.filter(|class| *class.controller == *options.ingress_controller);
        ours?.fleet.clone()
    }

    /// Puts what an object adds now in place of what it added before.
    fn replace(&mut self, id: ObjectId, new: Option<Share>, changes: &mut RoutingChanges) {
        let claimed = self.claimed();
        let old = self.shares.remove(&id);
        if let Some(old) = &old {
            self.mark(old, changes);
            old.withdraw(&mut self.tables);
        }
        if let Some(new) = &new {
            new.add_to(&mut self.tables);
            self.mark(new, changes);
        }
        self.claim_ports(old.as_ref(), new.as_ref(), changes);
        let came_or_went = &claimed ^ &self.claimed();
        changes.tables.extend(came_or_went);
        for (table, host) in Share::changed_claims(old.as_ref(), new.as_ref()) {
            // Every name that is claimed has a certificate there.
            if table.tls {
                changes.tables.insert(table.clone());
                changes.certificates.insert((table.clone(), host.clone()));
            }
            if let Some(hosts) = self.tables.get(table) {
                for contender in hosts.contenders(host) {
                    changes.mark_for(&contender, ObjectKind::Gateway);
                }
            }
        }
        let sends = |share: Option<&Share>| share.is_some_and(|share| share.sends);
        let sends_otherwise = sends(old.as_ref()) != sends(new.as_ref());
        let (old_ports, new_ports) = (ports(old.as_ref()), ports(new.as_ref()));
        for service in old_ports.keys().chain(new_ports.keys()) {
            let (old, new) = (old_ports.get(service), new_ports.get(service));
            if old != new || sends_otherwise {
                self.name_ports(service, &id, new);
                changes.services.insert(service.clone());
            }
        }
        self.note_service(&id, old.as_ref(), new.as_ref(), changes);
        self.name_secrets(&id, old.as_ref(), new.as_ref(), changes);
        self.count_attached(old.as_ref(), new.as_ref(), changes);
        changes.mark_for(&id, id.kind);
        if let Some(new) = new {
            self.shares.insert(id, new);
        }
    }

    fn name_ports(
        &mut self,
        service: &ServiceKey,
        by: &ObjectId,
        ports: Option<&BTreeSet<BackendPort>>,
    ) {
        let users = self.users.entry(service.clone()).or_default();
        match ports {
            Some(ports) => users.insert(by.clone(), ports.clone()),
            None => users.remove(by),
        };
        if users.is_empty() {
            self.users.remove(service);
        }
    }

    /// Counts to which listeners a route is attached now.
    fn count_attached(
        &mut self,
        old: Option<&Share>,
        new: Option<&Share>,
        changes: &mut RoutingChanges,
    ) {
        let none = BTreeSet::new();
        let old = old.map_or(&none, |share| &share.attached);
        let new = new.map_or(&none, |share| &share.attached);
        for listener in new.difference(old) {
            *self.attached.entry(listener.clone()).or_default() += 1;
        }
        for listener in old.difference(new) {
            if let Some(count) = self.attached.get_mut(listener) {
                *count -= 1;
                if *count == 0 {
                    self.attached.remove(listener);
                }
            }
        }
        let gateways = old.symmetric_difference(new);
        let gateways = gateways
            .map(|((namespace, name), _)| ObjectId::new(ObjectKind::Gateway, namespace, name));
        changes.statuses.extend(gateways);
    }

    /// The ports where something is served.
    fn claimed(&self) -> BTreeSet<Table> {
        let claimed = self.tables.iter().filter(|(_, hosts)| hosts.is_claimed());
        claimed.map(|(table, _)| table.clone()).collect()
    }

    /// Marks all that the presence of this share may change.
    fn mark(&self, share: &Share, changes: &mut RoutingChanges) {
        for (table, host) in share.hosts() {
            let covered = match self.tables.get(table) {
                Some(hosts) => hosts.covered_by(host),
                None => BTreeSet::from([host.clone()]),
            };
            let covered = covered.into_iter().map(|host| (table.clone(), host));
            changes.hosts.extend(covered);
            // Only what is no single host is known to the lookup of the port.
            if !matches!(host, Hostname::Exact(_)) {
                changes.tables.insert(table.clone());
            }
        }
    }
}

/// The ports of Services that an object names.
fn ports(share: Option<&Share>) -> BTreeMap<ServiceKey, BTreeSet<BackendPort>> {
    share.map(|share| share.ports.clone()).unwrap_or_default()
}
