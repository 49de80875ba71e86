//! [`Share`]: what one object adds to the routing of ingress proxies. A route of a Service adds
//! nothing there, but which Services it names is known by it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hosts::{Certificates, Entry, Hosts, ListenerId, Part};
use super::{Key, Routing};
use crate::model::{
    BackendPort, Gateway, HTTPRoute, Hostname, Ingress, ParentRef, Rule, ServiceKey, Target,
};
use crate::policy::gateway::{self, InvalidRules};
use crate::policy::route_order::Age;
use crate::policy::table::{HTTP, HTTPS, Table};
use crate::{Fleet, ObjectId, ObjectKind, Options};

/// What one object adds: claims of host names, rules for them, and the use of Services.
#[derive(Debug)]
pub(crate) struct Share {
    pub(super) age: Age,
    /// The fleet that serves it; `None` for what several may.
    pub(super) fleet: Option<Fleet>,
    /// The Service whose addresses are those of the object.
    pub(super) service: Option<ServiceKey>,
    /// The tables at which it claims host names, each with the port that clients connect to.
    pub(super) claimed: BTreeSet<(Table, u16)>,
    additions: BTreeSet<Addition>,
    /// The ports where its default backend may serve.
    default_backend_of: BTreeSet<Table>,
    /// Whether it is for any host: else nothing is sent to the Services that it names.
    pub(super) sends: bool,
    /// The ports of Services that it names.
    pub(super) ports: BTreeMap<ServiceKey, BTreeSet<BackendPort>>,
    /// The Secrets that it names as certificates.
    pub(super) secrets: BTreeSet<Key>,
    /// The listeners of Gateways that it counts for, served or not (Gateway rule 46).
    pub(super) attached: BTreeSet<Attached>,
}

/// A Gateway, and the name of a listener of it.
pub(super) type Attached = (Key, Arc<str>);

/// What one object adds to a host name of a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Addition {
    table: Table,
    host: Hostname,
    part: Part,
    listener: ListenerId,
    /// The certificates that a claim of a host name comes with.
    certificates: Certificates,
}

impl Share {
    fn new(created: i64, object: &ObjectId) -> Share {
        Share {
            age: Age::new(created, object),
            fleet: None,
            service: None,
            claimed: BTreeSet::new(),
            additions: BTreeSet::new(),
            default_backend_of: BTreeSet::new(),
            sends: true,
            ports: BTreeMap::new(),
            secrets: BTreeSet::new(),
            attached: BTreeSet::new(),
        }
    }

    /// What an Ingress adds: each of its hosts is a listener of its own, at the addresses that all
    /// Ingresses share; those of its certificates also over TLS (Gateway rule 114).
    pub(super) fn of_ingress(ingress: &Ingress, fleet: &Fleet, options: &Options) -> Share {
        let id = ObjectId::new(ObjectKind::Ingress, &ingress.namespace, &ingress.name);
        let mut share = Share::new(ingress.created, &id);
        let (http, https) = (Table::http(fleet, options), Table::https(fleet, options));
        share.fleet = Some(fleet.clone());
        share.service = options.ingress_services.get(fleet).cloned();
        let none = Certificates::default();
        let hosts = ingress.hosts.iter().map(|(host, _)| host);
        let any = ingress.default_backend.as_ref().map(|_| &Hostname::Any);
        let hosts: BTreeSet<&Hostname> = hosts.chain(any).collect();
        for host in &hosts {
            share.claimed.insert((http.clone(), HTTP));
            share.add(&http, host, Part::Claim, &none);
            share.add(&http, host, Part::Rules, &none);
            // Whether they are served over TLS is said by the claims of all Ingresses.
            share.add(&https, host, Part::Rules, &none);
        }
        for (host, certificates) in claims_over_tls(ingress, &hosts) {
            share.claimed.insert((https.clone(), HTTPS));
            share.add(&https, &host, Part::Claim, &certificates);
        }
        let secrets = ingress.tls.iter().filter_map(|tls| tls.secret.as_ref());
        let secrets = secrets.map(|secret| (ingress.namespace.clone(), secret.clone()));
        share.secrets.extend(secrets);
        if ingress.default_backend.is_some() {
            share.default_backend_of.extend([http, https]);
        }
        let rules = ingress.hosts.iter().flat_map(|(_, rules)| rules);
        let rules = rules.chain(ingress.default_backend.as_deref());
        rules.for_each(|rule| share.name_ports(rule));
        share
    }

    /// Adds something of Ingresses.
    fn add(&mut self, table: &Table, host: &Hostname, part: Part, certificates: &Certificates) {
        self.additions.insert(Addition {
            table: table.clone(),
            host: host.clone(),
            part,
            listener: ListenerId::Ingresses,
            certificates: certificates.clone(),
        });
    }

    /// What a Gateway adds: the host names of those of its listeners that are served.
    pub(super) fn of_gateway(routing: &Routing, gateway: &Gateway, options: &Options) -> Share {
        let id = ObjectId::new(ObjectKind::Gateway, &gateway.namespace, &gateway.name);
        let mut share = Share::new(gateway.created, &id);
        let is_refused = gateway::gateway_refusal(gateway).is_some();
        let binding = routing.binding(gateway);
        share.fleet = binding.map(|binding| binding.fleet.clone());
        share.service = binding.and_then(|binding| binding.service.clone());
        let tables = routing.tables_of(gateway, options);
        for (listener, table) in gateway.listeners.iter().zip(tables) {
            let secrets = listener.certificates.iter().filter(|c| c.is_secret);
            let secrets = secrets.map(|c| (c.namespace.clone(), c.name.clone()));
            let certificates: Certificates = secrets.collect();
            // What is wrong with them is said of a listener that is refused, too.
            share.secrets.extend(certificates.iter().cloned());
            let Some(table) = table.ok().filter(|_| !is_refused) else {
                continue;
            };
            share.claimed.insert((table.clone(), listener.port.get()));
            share.additions.insert(Addition {
                table,
                host: listener.hostname.clone(),
                part: Part::Claim,
                listener: ListenerId::of(gateway, listener),
                certificates,
            });
        }
        share
    }

    /// What a route adds: rules for its host names at the listeners that take it. `None`: no parent
    /// of it is served, and none is a Service.
    pub(super) fn of_http_route(
        routing: &Routing,
        route: &HTTPRoute,
        options: &Options,
    ) -> Option<Share> {
        let id = ObjectId::new(ObjectKind::HTTPRoute, &route.namespace, &route.name);
        let mut share = Share::new(route.created, &id);
        let mut is_served = route.parents.iter().any(ParentRef::is_service);
        for parent in &route.parents {
            let Some(gateway) = routing.parent(route, parent) else {
                continue;
            };
            is_served = true;
            let is_refused = gateway::gateway_refusal(gateway).is_some();
            let tables = routing.tables_of(gateway, options);
            for (listener, hosts) in routing.attach(route, parent, gateway).unwrap_or_default() {
                let of = (gateway.namespace.clone(), gateway.name.clone());
                share.attached.insert((of, listener.name.clone()));
                let position = gateway
                    .listeners
                    .iter()
                    .position(|one| one.name == listener.name);
                let table = position.and_then(|position| tables.get(position));
                let Some(Ok(table)) = table.filter(|_| !is_refused) else {
                    continue;
                };
                for host in hosts {
                    share.additions.insert(Addition {
                        table: table.clone(),
                        host: host.clone(),
                        part: Part::Rules,
                        listener: ListenerId::of(gateway, listener),
                        certificates: Certificates::default(),
                    });
                }
            }
        }
        share.sends = !share.additions.is_empty();
        if let Some(InvalidRules::All(_)) = gateway::invalid_rules(route) {
            // A route that is not accepted is attached nowhere.
            share.attached.clear();
        }
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
            let all = shares.flat_map(|share| {
                share
                    .additions
                    .iter()
                    .map(|addition| (&share.age, addition))
            });
            let claims = all.filter(|(_, addition)| addition.part == Part::Claim);
            claims.collect::<BTreeSet<_>>()
        };
        let (old, new) = (claims(old), claims(new));
        let changed = old.symmetric_difference(&new);
        changed
            .map(|(_, addition)| (&addition.table, &addition.host))
            .collect()
    }

    /// All host names with something in them, by port.
    pub(super) fn hosts(&self) -> BTreeSet<(&Table, &Hostname)> {
        let additions = self.additions.iter();
        additions
            .map(|addition| (&addition.table, &addition.host))
            .collect()
    }

    /// The ports with TLS at which it claims host names.
    pub(super) fn tls_tables(&self) -> BTreeSet<&Table> {
        let additions = self.additions.iter();
        let claims = additions.filter(|addition| addition.part == Part::Claim);
        let tables = claims.map(|addition| &addition.table);
        tables.filter(|table| table.tls).collect()
    }

    /// The host names, by port, that it claims with this Secret.
    pub(super) fn claims_with(&self, secret: &Key) -> impl Iterator<Item = (&Table, &Hostname)> {
        let additions = self.additions.iter();
        let with = additions.filter(|addition| addition.certificates.contains(secret));
        with.map(|addition| (&addition.table, &addition.host))
    }

    /// Adds it all.
    pub(super) fn add_to(&self, tables: &mut BTreeMap<Table, Hosts>) {
        for addition in &self.additions {
            let hosts = tables.entry(addition.table.clone()).or_default();
            hosts.add(addition.part, &addition.host, self.entry(addition));
        }
        for table in &self.default_backend_of {
            let hosts = tables.entry(table.clone()).or_default();
            hosts.add_default_backend(self.age.clone());
        }
    }

    /// Removes it all.
    pub(super) fn withdraw(&self, tables: &mut BTreeMap<Table, Hosts>) {
        for addition in &self.additions {
            if let Some(hosts) = tables.get_mut(&addition.table) {
                hosts.remove(addition.part, &addition.host, &self.entry(addition));
            }
        }
        for table in &self.default_backend_of {
            if let Some(hosts) = tables.get_mut(table) {
                hosts.remove_default_backend(&self.age);
            }
        }
        tables.retain(|_, hosts| !hosts.is_empty());
    }

    fn entry(&self, addition: &Addition) -> Entry {
        Entry {
            bare: addition.certificates.is_empty(),
            age: self.age.clone(),
            listener: addition.listener.clone(),
            certificates: addition.certificates.clone(),
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

/// The names that an Ingress claims over TLS, each with its certificate: those of its certificates,
/// and its hosts that one of them covers, the narrowest counting. Hosts that cover a name, and for
/// which there is no certificate, are claimed without one.
fn claims_over_tls(
    ingress: &Ingress,
    hosts: &BTreeSet<&Hostname>,
) -> BTreeMap<Hostname, Certificates> {
    let mut named: BTreeMap<Hostname, Certificates> = BTreeMap::new();
    for tls in &ingress.tls {
        let Some(secret) = &tls.secret else {
            continue;
        };
        let secret: Certificates = Arc::from([(ingress.namespace.clone(), secret.clone())]);
        let any = tls.hosts.is_empty().then_some(&Hostname::Any);
        for name in tls.hosts.iter().chain(any) {
            named.entry(name.clone()).or_insert_with(|| secret.clone());
        }
    }
    let mut claims = named.clone();
    for host in hosts {
        let certificate = host.covering().find_map(|name| named.get(&name).cloned());
        claims.extend(certificate.map(|certificate| ((*host).clone(), certificate)));
    }
    for host in named.keys().flat_map(Hostname::covering) {
        if hosts.contains(&host) {
            claims.entry(host).or_default();
        }
    }
    claims
}
