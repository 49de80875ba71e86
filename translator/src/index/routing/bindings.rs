//! The Services before the proxies of each fleet, and by which of them clients reach a Gateway
//! (Gateway rules 11 to 15).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::share::Share;
use super::{Key, Routing, RoutingChanges, put, refile};
use crate::model::{Gateway, Service, ServiceKey};
use crate::policy::binding::{Binding, Front};
use crate::policy::gateway::services::Waits;
use crate::policy::gateway::{self, ListenerRefusal};
use crate::policy::table::Table;
use crate::{Fleet, ObjectId, Options};

/// The Services before the proxies, and what each Gateway is reached by.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    /// The Services of the namespaces in which fleets are.
    fronts: BTreeMap<ServiceKey, Front>,
    /// Those that are made for one Gateway, by the Gateway.
    of_gateway: BTreeMap<Key, BTreeSet<ServiceKey>>,
    /// What each Gateway that is served is reached by.
    of: BTreeMap<Key, Binding>,
    /// The Gateways and Ingresses that are served, by the Service by which they are reached.
    reached: BTreeMap<ServiceKey, BTreeSet<ObjectId>>,
}

impl Bindings {
    /// The Service with which a fleet shares its pods, if it is known.
    fn shared(&self, fleet: &Fleet, options: &Options) -> Option<(&ServiceKey, &Front)> {
        self.fronts
            .get_key_value(options.ingress_services.get(fleet)?)
    }

    /// The Services before the proxies of a fleet, the shared one first: those of its namespace
    /// that select what it selects.
    fn of_fleet(
        &self,
        fleet: &Fleet,
        options: &Options,
    ) -> impl Iterator<Item = (&ServiceKey, &Front)> {
        let shared = self.shared(fleet, options);
        let others = shared.into_iter().flat_map(|(key, shared)| {
            let first = ServiceKey {
                namespace: key.namespace.clone(),
                name: "".into(),
            };
            let others = self.fronts.range(first..);
            let others = others.take_while(|(other, _)| other.namespace == key.namespace);
            others.filter(move |(other, front)| {
                let is_same = !front.selector.is_empty() && front.selector == shared.selector;
                is_same && *other != key
            })
        });
        shared.into_iter().chain(others)
    }

    /// The Service that is made for a Gateway in this namespace; if there are several, one that was
    /// made by hand, and the first by name.
    pub(super) fn own(&self, gateway: &Key, namespace: &Arc<str>) -> Option<(&ServiceKey, &Front)> {
        let own = self.of_gateway.get(gateway)?.iter();
        let own = own.filter(|key| key.namespace == *namespace);
        let own = own.filter_map(|key| self.fronts.get_key_value(key));
        own.min_by_key(|(_, front)| front.managed)
    }

    /// A Service that may be one before the proxies of a fleet.
    pub(super) fn front(&self, service: &ServiceKey) -> Option<&Front> {
        self.fronts.get(service)
    }

    /// All Services that may be.
    pub(super) fn fronts(&self) -> impl Iterator<Item = (&ServiceKey, &Front)> {
        self.fronts.iter()
    }

    /// The Services that Seaway made for Gateways, each with its Gateway.
    pub(super) fn made(&self) -> impl Iterator<Item = (&ServiceKey, &Key)> {
        let made = self.fronts.iter().filter(|(_, front)| front.managed);
        made.filter_map(|(key, front)| Some((key, front.of_gateway.as_ref()?)))
    }

    /// What a Gateway is reached by: the Service that it asks for, else its own, else the one that
    /// all of its fleet share.
    /// `waits` says why a Service that is made for it is not there, or lacks a port.
    fn find(&self, gateway: &Gateway, fleet: &Fleet, options: &Options, waits: Waits) -> Binding {
        let key = (gateway.namespace.clone(), gateway.name.clone());
        let front = self.shared(fleet, options).map(|(_, front)| front);
        let shared = || Binding::shared(fleet, options, front);
        if gateway.addresses.is_empty() {
            let is_made = options.makes_services(fleet);
            let namespace = options.ingress_services.get(fleet);
            let own = namespace.and_then(|of| self.own(&key, &of.namespace));
            return match own {
                Some(own) => {
                    let is_ours = is_made && own.1.managed;
                    Binding::by(fleet, own, is_ours.then_some(waits))
                }
                None if is_made => Binding::pending(fleet, waits),
                None => shared(),
            };
        }
        let mut wanted = gateway.addresses.iter();
        let meant = wanted.find_map(|address| {
            let mut all = self.of_fleet(fleet, options);
            all.find(|(service, front)| {
                front.of_gateway.as_ref().is_none_or(|of| *of == key)
                    && front.is_meant(service, address, options)
            })
        });
        let has = meant.or_else(|| self.shared(fleet, options));
        let lacks = |(service, front): (&ServiceKey, &Front)| {
            front.lacks(service, &gateway.addresses, options)
        };
        let binding = match meant {
            Some((service, _)) if options.ingress_services.get(fleet) == Some(service) => shared(),
            Some(meant) => Binding::by(fleet, meant, None),
            None => shared(),
        };
        Binding {
            unusable: has.map(lacks).unwrap_or_default(),
            ..binding
        }
    }
}

impl Routing {
    /// What a Gateway of a class that is served is reached by.
    pub(crate) fn binding(&self, gateway: &Gateway) -> Option<&Binding> {
        let key = (gateway.namespace.clone(), gateway.name.clone());
        self.bindings.of.get(&key)
    }

    /// The table that each listener of a Gateway is served at, in the order of the listeners, or
    /// why it is not, as far as the Gateway alone decides.
    pub(crate) fn tables_of(
        &self,
        gateway: &Gateway,
        options: &Options,
    ) -> Vec<Result<Table, ListenerRefusal>> {
        match self.binding(gateway) {
            Some(binding) => gateway::listeners(gateway, binding, options),
            None => Vec::new(),
        }
    }

    /// The objects that are reached by a Service.
    pub(crate) fn reached_by(&self, service: &ServiceKey) -> impl Iterator<Item = &ObjectId> {
        self.bindings.reached.get(service).into_iter().flatten()
    }

    /// Whether objects are reached by a Service.
    pub(crate) fn is_front_in_use(&self, service: &ServiceKey) -> bool {
        self.bindings.reached.contains_key(service)
    }

    /// The Services by which objects are reached.
    pub(crate) fn fronts_in_use(&self) -> impl Iterator<Item = &ServiceKey> {
        self.bindings.reached.keys()
    }

    /// Notes by which Service an object is reached now.
    pub(super) fn note_service(
        &mut self,
        id: &ObjectId,
        old: Option<&Share>,
        new: Option<&Share>,
        changes: &mut RoutingChanges,
    ) {
        let service = |share: Option<&Share>| share.and_then(|share| share.service.clone());
        let services = |share| service(share).into_iter().collect::<BTreeSet<_>>();
        let (old, new) = (services(old), services(new));
        if old != new {
            changes.addresses.extend(old.union(&new).cloned());
            refile(&mut self.bindings.reached, id, &old, new);
        }
    }

    /// Works out anew what a Gateway is reached by. Returns whether that changed.
    pub(super) fn bind(&mut self, key: &Key, options: &Options) -> bool {
        let gateway = self.gateway_of_key(key);
        let gateway = gateway.filter(|gateway| self.is_gateway_ours(gateway));
        let binding = gateway.map(|gateway| {
            // One that names no fleet that could be is refused as a whole.
            let fleet = gateway.fleet.clone().unwrap_or_default();
            let waits = self.services.waits(key);
            self.bindings.find(gateway, &fleet, options, waits)
        });
        self.services.touch();
        let old = put(&mut self.bindings.of, key.clone(), binding);
        old.as_ref() != self.bindings.of.get(key)
    }

    /// Adds, replaces or (`None`) removes a Service that may be one before the proxies of a fleet.
    pub(crate) fn set_front(
        &mut self,
        key: &ServiceKey,
        service: Option<&Service>,
        options: &Options,
        changes: &mut RoutingChanges,
    ) {
        let mut fleets = options.ingress_services.values();
        if !fleets.any(|shared| shared.namespace == key.namespace) {
            return;
        }
        let new = service.and_then(Front::of);
        let owner = |front: Option<&Front>| front.and_then(|front| front.of_gateway.clone());
        let new_owner = owner(new.as_ref());
        let old = put(&mut self.bindings.fronts, key.clone(), new);
        if old.as_ref() == self.bindings.fronts.get(key) {
            return;
        }
        self.services.touch();
        let old_owner = owner(old.as_ref());
        let (was, is) = (old_owner.as_slice(), new_owner.as_slice());
        let filed = |owner: &[Key]| owner.iter().cloned().collect();
        refile(&mut self.bindings.of_gateway, key, &filed(was), filed(is));
        for gateway in self.concerned(key, was.iter().chain(is), options) {
            if self.bind(&gateway, options) {
                self.share_bound_gateway(&gateway, options, changes);
            }
        }
    }

    /// The Gateways that may be reached by a Service: all if it is one that all of a fleet share,
    /// else those for which it is made, and those that ask for addresses.
    fn concerned<'a>(
        &'a self,
        service: &ServiceKey,
        owners: impl Iterator<Item = &'a Key>,
        options: &Options,
    ) -> BTreeSet<Key> {
        let is_shared = options.ingress_services.values().any(|of| of == service);
        let all = self.bindings.of.keys();
        let asking = all.filter(|key| {
            let gateway = self.gateway_of_key(key);
            is_shared || gateway.is_some_and(|gateway| !gateway.addresses.is_empty())
        });
        asking.chain(owners).cloned().collect()
    }
}
