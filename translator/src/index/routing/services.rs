//! The Services that are made for single Gateways: which there should be, with which ports, and
//! which nobody needs any more (Gateway rule 13).
//!
//! This is decided for all Gateways together, since they share the ports of the proxies: those that
//! Services have are kept, then those that were given away before, and the rest comes after.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use super::{Key, Routing, RoutingChanges};
use crate::model::{Gateway, GatewayService, ServiceKey, ServiceWrite, StrayService};
use crate::policy::binding::Front;
use crate::policy::gateway::services::{self, Pool, Waits};
use crate::policy::gateway::{gateway_refusal, is_class_ours};
use crate::{Fleet, Options};

/// What was decided.
#[derive(Debug, Default)]
pub(super) struct Services {
    plan: BTreeMap<ServiceKey, ServiceWrite>,
    /// The Gateways that wait for something else than that their Service is made.
    waits: BTreeMap<Key, Waits>,
    /// Something has changed of which it is made.
    stale: bool,
    /// The Services for which something else was decided since somebody asked.
    changed: BTreeSet<ServiceKey>,
}

impl Services {
    /// Why a Gateway has no Service that is made for it, or one that lacks a port.
    pub(super) fn waits(&self, gateway: &Key) -> Waits {
        self.waits.get(gateway).cloned().unwrap_or(Waits::BeingMade)
    }

    /// Notes that something has changed of which all is made.
    pub(super) fn touch(&mut self) {
        self.stale = true;
    }

    /// The port that was given away for that of a Service.
    fn given(&self, service: &ServiceKey, port: NonZeroU16) -> Option<NonZeroU16> {
        match self.plan.get(service)? {
            ServiceWrite::Make(made) => made.ports.get(&port).copied(),
            ServiceWrite::Remove(_) => None,
        }
    }
}

/// A Gateway for which a Service is to be made.
struct Wish<'a> {
    gateway: Key,
    service: ServiceKey,
    /// The Service as it is.
    there: Option<&'a Front>,
    /// The one that all of the fleet share.
    shared: &'a Front,
    /// The ports that it is to have.
    ports: BTreeSet<NonZeroU16>,
}

/// What becomes of a Gateway.
enum Verdict<'a> {
    Wish(Wish<'a>),
    /// It is to have a Service; nothing can be made for now, and nothing is taken away.
    Waits(Option<Waits>),
    /// It needs none.
    None,
}

impl Routing {
    /// What was decided on Services that are made for Gateways, as far as it is something else than
    /// at the last call; `None`: nothing is to be done about them.
    pub(crate) fn take_services(&mut self) -> BTreeMap<ServiceKey, Option<ServiceWrite>> {
        let changed = std::mem::take(&mut self.services.changed).into_iter();
        let now = changed.map(|key| {
            let write = self.services.plan.get(&key).cloned();
            (key, write)
        });
        now.collect()
    }

    /// Decides anew which Services should be there, if anything has changed of which that is made.
    pub(crate) fn plan_services(&mut self, options: &Options, changes: &mut RoutingChanges) {
        if !options.gateway_services || !std::mem::take(&mut self.services.stale) {
            return;
        }
        let (plan, waits) = self.planned(options);
        let old = std::mem::replace(&mut self.services.plan, plan);
        let (plan, changed) = (&self.services.plan, &mut self.services.changed);
        let keys = old.keys().chain(plan.keys());
        let differs = keys.filter(|key| old.get(*key) != plan.get(*key));
        changed.extend(differs.cloned());
        let old = std::mem::replace(&mut self.services.waits, waits);
        let keys = old.keys().chain(self.services.waits.keys());
        let differs = keys.filter(|key| old.get(*key) != self.services.waits.get(*key));
        let differs: BTreeSet<Key> = differs.cloned().collect();
        for gateway in differs {
            if self.bind(&gateway, options) {
                self.share_bound_gateway(&gateway, options, changes);
            }
        }
        // It waits for what has just been decided.
        self.services.stale = false;
    }

    /// Decides on all Services, and why Gateways wait.
    fn planned(
        &self,
        options: &Options,
    ) -> (BTreeMap<ServiceKey, ServiceWrite>, BTreeMap<Key, Waits>) {
        let mut waits = BTreeMap::new();
        let mut wishes: BTreeMap<ServiceKey, Wish<'_>> = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for (key, gateway) in self.all_gateways() {
            match self.wish(key, gateway, options) {
                Verdict::Wish(wish) => match wishes.entry(wish.service.clone()) {
                    Entry::Vacant(entry) => drop(entry.insert(wish)),
                    Entry::Occupied(entry) => {
                        waits.insert(key.clone(), Waits::Taken(entry.key().clone()));
                    }
                },
                Verdict::Waits(why) => {
                    waits.extend(why.map(|why| (key.clone(), why)));
                    kept.insert(key.clone());
                }
                Verdict::None => {}
            }
        }
        let mut plan = self.strays(&wishes, &kept);
        let mut pool = self.pool(&wishes, options);
        let mut given = Given::new();
        keep(
            &wishes,
            |wish, port| wish.target(port),
            &mut pool,
            &mut given,
        );
        let before = |wish: &Wish<'_>, port| self.services.given(&wish.service, port);
        keep(&wishes, before, &mut pool, &mut given);
        for wish in wishes.into_values() {
            let mut ports = given.remove(&wish.service).unwrap_or_default();
            for port in &wish.ports {
                if ports.contains_key(port) {
                    continue;
                }
                match pool.take_any(&wish.service.namespace, &wish.gateway, *port) {
                    Some(target) => drop(ports.insert(*port, target)),
                    None => drop(waits.insert(wish.gateway.clone(), Waits::Exhausted)),
                }
            }
            if !ports.is_empty() {
                plan.insert(wish.service.clone(), ServiceWrite::Make(wish.made(ports)));
            }
        }
        (plan, waits)
    }

    /// Whether a Gateway is to have a Service of its own, and which.
    fn wish<'a>(&'a self, key: &Key, gateway: &Gateway, options: &'a Options) -> Verdict<'a> {
        if !self.is_gateway_ours(gateway) {
            // Whose it is now is known by its class alone.
            let class = self.gateway_class(&gateway.class);
            let is_foreign = class.is_some_and(|class| !is_class_ours(class));
            return match is_foreign {
                true => Verdict::None,
                false => Verdict::Waits(None),
            };
        }
        if gateway_refusal(gateway).is_some() {
            return Verdict::Waits(None);
        }
        let fleet: &Fleet = &gateway.fleet.clone().unwrap_or_default();
        let Some(shared_key) = options.ingress_services.get(fleet) else {
            return Verdict::None;
        };
        if !gateway.addresses.is_empty() {
            return Verdict::None;
        }
        let own = self.bindings.own(key, &shared_key.namespace);
        let adopted = match own {
            // Somebody made it by hand.
            Some((_, front)) if !front.managed => return Verdict::None,
            own => own,
        };
        let Some(shared) = self.bindings.front(shared_key) else {
            return Verdict::Waits(Some(Waits::NoShared(shared_key.clone())));
        };
        if shared.selector.is_empty() {
            return Verdict::Waits(Some(Waits::NoSelector(shared_key.clone())));
        }
        let service = match adopted {
            Some((service, _)) => service.clone(),
            None => ServiceKey {
                namespace: shared_key.namespace.clone(),
                name: services::name(&key.0, &key.1),
            },
        };
        let there = self.bindings.front(&service);
        if adopted.is_none() && there.is_some() {
            return Verdict::Waits(Some(Waits::Taken(service)));
        }
        let ports = services::ports(gateway);
        if ports.is_empty() {
            return Verdict::Waits(None);
        }
        Verdict::Wish(Wish {
            gateway: key.clone(),
            service,
            there,
            shared,
            ports,
        })
    }

    /// The Services that were made for Gateways which need none any more.
    fn strays(
        &self,
        wishes: &BTreeMap<ServiceKey, Wish<'_>>,
        kept: &BTreeSet<Key>,
    ) -> BTreeMap<ServiceKey, ServiceWrite> {
        let made = self.bindings.made();
        let strays = made.filter(|(service, gateway)| {
            !wishes.contains_key(*service) && !kept.contains(*gateway)
        });
        let removed = strays.map(|(service, gateway)| {
            let known = self.gateway_of_key(gateway);
            let stray = StrayService {
                gateway: gateway.clone(),
                generation: known.map(|gateway| gateway.generation),
            };
            (service.clone(), ServiceWrite::Remove(stray))
        });
        removed.collect()
    }

    /// The ports of the proxies, with those taken that others have than the Services that are made.
    fn pool(&self, wishes: &BTreeMap<ServiceKey, Wish<'_>>, options: &Options) -> Pool {
        let mut pool = Pool::default();
        for (service, front) in self.bindings.fronts() {
            pool.take(&service.namespace, options.http_port);
            pool.take(&service.namespace, options.https_port);
            if !wishes.contains_key(service) {
                for target in front.ports.values().flatten() {
                    pool.take(&service.namespace, target.get());
                }
            }
        }
        pool
    }
}

/// The ports of Services, each with that of the proxies.
type Given = BTreeMap<ServiceKey, BTreeMap<NonZeroU16, NonZeroU16>>;

/// Keeps the ports of the proxies that Services had by this account, where that is possible. Of two
/// that had one the first by name keeps it.
fn keep(
    wishes: &BTreeMap<ServiceKey, Wish<'_>>,
    had: impl Fn(&Wish<'_>, NonZeroU16) -> Option<NonZeroU16>,
    pool: &mut Pool,
    given: &mut Given,
) {
    for (service, wish) in wishes {
        let given = given.entry(service.clone()).or_default();
        for port in &wish.ports {
            if let Some(target) = had(wish, *port).filter(|_| !given.contains_key(port))
                && pool.take(&service.namespace, target.get())
            {
                given.insert(*port, target);
            }
        }
    }
}

impl Wish<'_> {
    /// Where a port of the Service leads as it is.
    fn target(&self, port: NonZeroU16) -> Option<NonZeroU16> {
        self.there?.ports.get(&port).copied().flatten()
    }

    /// The Service with these ports.
    fn made(self, ports: BTreeMap<NonZeroU16, NonZeroU16>) -> GatewayService {
        let seen = self.there.map(|there| there.ports.clone());
        GatewayService {
            gateway: self.gateway,
            selector: self.shared.selector.clone(),
            is_local: self.shared.is_local,
            ports,
            seen: seen.unwrap_or_default(),
        }
    }
}
