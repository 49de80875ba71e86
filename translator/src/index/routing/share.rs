//! [`Share`]: what one object adds to the routing of ingress proxies.

use std::collections::{BTreeMap, BTreeSet};

use super::Routing;
use super::hosts::{Entry, Hosts, ListenerId, Part};
use crate::model::{
    BackendPort, Gateway, GatewayListener, HTTPRoute, Hostname, Ingress, Rule, ServiceKey, Target,
};
use crate::policy::gateway;
use crate::policy::route_order::Age;
use crate::policy::table::Table;
use crate::{ObjectId, ObjectKind, Options};

/// What one object adds: claims of host names, rules for them, and the use of Services.
#[derive(Debug)]
pub(crate) struct Share {
    age: Age,
    /// The entries, by port and host name.
    entries: BTreeSet<(Table, Hostname, Part, ListenerId)>,
    /// The ports where its default backend may serve.
    default_backend_of: BTreeSet<Table>,
    /// Whether it is for any host: else nothing is sent to the Services that it names.
    pub(super) sends: bool,
    /// The ports of Services that it names.
    pub(super) ports: BTreeMap<ServiceKey, BTreeSet<BackendPort>>,
}

impl Share {
    fn new(created: i64, object: &ObjectId) -> Share {
        Share {
            age: Age::new(created, object),
            entries: BTreeSet::new(),
            default_backend_of: BTreeSet::new(),
            sends: true,
            ports: BTreeMap::new(),
        }
    }

    /// What an Ingress adds: each of its hosts is a listener of its own, at the addresses that all
    /// Ingresses share (Gateway rule 114).
    pub(super) fn of_ingress(ingress: &Ingress, options: &Options) -> Share {
        let id = ObjectId::new(ObjectKind::Ingress, &ingress.namespace, &ingress.name);
        let mut share = Share::new(ingress.created, &id);
        let table = Table::http(options);
        for (host, rules) in &ingress.hosts {
            share.claim_with_rules(&table, host);
            rules.iter().for_each(|rule| share.name_ports(rule));
        }
        if let Some(rule) = &ingress.default_backend {
            share.claim_with_rules(&table, &Hostname::Any);
            share.default_backend_of.insert(table);
            share.name_ports(rule);
        }
        share
    }

    /// What a Gateway adds: the host names of those of its listeners that are served.
    pub(super) fn of_gateway(gateway: &Gateway, options: &Options) -> Share {
        let id = ObjectId::new(ObjectKind::Gateway, &gateway.namespace, &gateway.name);
        let mut share = Share::new(gateway.created, &id);
        if gateway.has_parameters {
            return share;
        }
        let tables = gateway::listeners(gateway, options);
        for (listener, table) in gateway.listeners.iter().zip(tables) {
            if let Ok(table) = table {
                let entry = (
                    table,
                    listener.hostname.clone(),
                    Part::Claim,
                    id_of(gateway, listener),
                );
                share.entries.insert(entry);
            }
        }
        share
    }

    /// What a route adds: rules for its host names at the listeners that take it. `None`: no parent
    /// of it is served.
    pub(super) fn of_http_route(
        routing: &Routing,
        route: &HTTPRoute,
        options: &Options,
    ) -> Option<Share> {
        let id = ObjectId::new(ObjectKind::HTTPRoute, &route.namespace, &route.name);
        let mut share = Share::new(route.created, &id);
        let mut is_served = false;
        for parent in &route.parents {
            let Some(gateway) = routing.parent(route, parent) else {
                continue;
            };
            is_served = true;
            let tables = gateway::listeners(gateway, options);
            for (listener, hosts) in routing.attach(route, parent, gateway).unwrap_or_default() {
                let position = gateway
                    .listeners
                    .iter()
                    .position(|one| one.name == listener.name);
                let table = position.and_then(|position| tables.get(position));
                let Some(Ok(table)) = table.filter(|_| !gateway.has_parameters) else {
                    continue;
                };
                for host in hosts {
                    let listener = id_of(gateway, listener);
                    let entry = (table.clone(), host.clone(), Part::Rules, listener);
                    share.entries.insert(entry);
                }
            }
        }
        share.sends = !share.entries.is_empty();
        route.rules.iter().for_each(|rule| share.name_ports(rule));
        is_served.then_some(share)
    }

    /// The host names, by port, that one of these claims and the other does not, or as an object of
    /// another age.
    pub(super) fn changed_claims<'s>(
        old: Option<&'s Share>,
        new: Option<&'s Share>,
    ) -> BTreeSet<(&'s Table, &'s Hostname)> {
        let claims = |share: Option<&'s Share>| {
            let shares = share.into_iter();
            let all =
                shares.flat_map(|share| share.entries.iter().map(|entry| (&share.age, entry)));
            let claims = all.filter(|(_, (_, _, part, _))| *part == Part::Claim);
            claims.collect::<BTreeSet<_>>()
        };
        let (old, new) = (claims(old), claims(new));
        let changed = old.symmetric_difference(&new);
        changed
            .map(|(_, (table, host, ..))| (table, host))
            .collect()
    }

    /// All host names with something in them, by port.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&Table, &Hostname)> {
        self.entries.iter().map(|(table, host, _, _)| (table, host))
    }

    /// Adds it all.
    pub(super) fn add_to(&self, tables: &mut BTreeMap<Table, Hosts>) {
        for (table, host, part, listener) in &self.entries {
            let entry = self.entry(listener);
            let hosts = tables.entry(table.clone()).or_default();
            hosts.add(*part, host, entry);
        }
        for table in &self.default_backend_of {
            let hosts = tables.entry(table.clone()).or_default();
            hosts.add_default_backend(self.age.clone());
        }
    }

    /// Removes it all.
    pub(super) fn withdraw(&self, tables: &mut BTreeMap<Table, Hosts>) {
        for (table, host, part, listener) in &self.entries {
            let entry = self.entry(listener);
            if let Some(hosts) = tables.get_mut(table) {
                hosts.remove(*part, host, &entry);
            }
        }
        for table in &self.default_backend_of {
            if let Some(hosts) = tables.get_mut(table) {
                hosts.remove_default_backend(&self.age);
            }
        }
        tables.retain(|_, hosts| !hosts.is_empty());
    }

    fn entry(&self, listener: &ListenerId) -> Entry {
        Entry {
            age: self.age.clone(),
            listener: listener.clone(),
        }
    }

    fn claim_with_rules(&mut self, table: &Table, host: &Hostname) {
        for part in [Part::Claim, Part::Rules] {
            let entry = (table.clone(), host.clone(), part, ListenerId::Ingresses);
            self.entries.insert(entry);
        }
    }

    fn name_ports(&mut self, rule: &Rule) {
        let backends = rule.backends.iter().map(|backend| &backend.target);
        let mirrors = rule.filters.mirrors.iter().map(|mirror| &mirror.target);
        for target in backends.chain(mirrors) {
            if let Target::Service(service, port) = target {
                let ports = self.ports.entry(service.clone()).or_default();
                ports.insert(port.clone());
            }
        }
    }
}

fn id_of(gateway: &Gateway, listener: &GatewayListener) -> ListenerId {
    ListenerId::Gateway {
        namespace: gateway.namespace.clone(),
        name: gateway.name.clone(),
        listener: listener.name.clone(),
    }
}
