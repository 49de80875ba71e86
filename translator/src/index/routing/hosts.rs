//! [`Hosts`]: the host names of one port, who serves each, and whose rules are for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::ObjectId;
use crate::model::{Gateway, GatewayListener, Hostname};
use crate::policy::route_order::Age;

/// What serves a host name: all Ingresses together, or one listener of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ListenerId {
    /// The Ingresses that have a rule for the host.
    Ingresses,
    /// A listener of a Gateway.
    Gateway {
        /// The Gateway's namespace.
        namespace: Arc<str>,
        /// The Gateway's name.
        name: Arc<str>,
        /// The listener's name.
        listener: Arc<str>,
    },
}

impl ListenerId {
    /// The listener of a Gateway.
    pub(crate) fn of(gateway: &Gateway, listener: &GatewayListener) -> ListenerId {
        ListenerId::Gateway {
            namespace: gateway.namespace.clone(),
            name: gateway.name.clone(),
            listener: listener.name.clone(),
        }
    }
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenerId::Ingresses => f.write_str("ingresses"),
            ListenerId::Gateway {
                namespace,
                name,
                listener,
            } => write!(f, "{namespace}/{name}/{listener}"),
        }
    }
}

/// What one object adds to a host name. In the order in which they come first, those with a
/// certificate before those without, and then by age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Whether it comes without a certificate, as every one does where clients speak no TLS.
    pub bare: bool,
    /// The object, by age: the first of those that claim a host has it.
    pub age: Age,
    /// The listener that it claims the host for, or whose requests its rules are for.
    pub listener: ListenerId,
    /// The certificates that a claim of a host comes with; none without TLS.
    pub certificates: Certificates,
}

/// The Secrets of certificates, by namespace and name, the preferred one first.
pub(crate) type Certificates = Arc<[super::Key]>;

/// The host names of one port.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    /// Who claims a host name, the one that has it first (Gateway rules 27 and 114).
    claims: BTreeMap<Hostname, BTreeSet<Entry>>,
    /// The objects with rules for a host name.
    rules: BTreeMap<Hostname, BTreeSet<Entry>>,
    /// The Ingresses with a default backend, the oldest of which serves (Service rule 141).
    default_backends: BTreeSet<Age>,
}

/// The sets of entries that [`Hosts`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A claim of a host name.
    Claim,
    /// Rules for a host name.
    Rules,
}

impl Hosts {
    /// The narrowest host name that covers this one and is claimed, and the listener that has it:
    /// its rules alone are for requests for this host (Gateway rule 52).
    pub(crate) fn owner(&self, host: &Hostname) -> Option<(Hostname, &ListenerId)> {
        host.covering().find_map(|covering| {
            let mut claims = self.claims.get(&covering)?.iter();
            let first = claims.find(|claim| self.takes_requests(&covering, claim))?;
            Some((covering, &first.listener))
        })
    }

    /// Whether a claim is of requests, and not of the certificate for a name alone: that of an
    /// Ingress is, if any Ingress has rules for the name.
    fn takes_requests(&self, host: &Hostname, claim: &Entry) -> bool {
        let mut rules = self.rules.get(host).into_iter().flatten();
        claim.listener != ListenerId::Ingresses
            || rules.any(|entry| entry.listener == ListenerId::Ingresses)
    }

    /// The claim that has this very host name, if there is one.
    pub(crate) fn holder(&self, host: &Hostname) -> Option<&Entry> {
        self.claims.get(host).and_then(BTreeSet::first)
    }

    /// The host names for which certificates are claimed, each with the claim that has it. A
    /// listener of a Gateway claims some even if none of its references can be one.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&Hostname, &Entry)> {
        let claims = self.claims.iter();
        claims.filter_map(|(host, entries)| Some((host, of_certificate(entries)?)))
    }

    /// The claim of the certificates that clients get who ask for this host: that of the narrowest
    /// host name that covers it and is [`held`](Hosts::held).
    pub(crate) fn held_by(&self, host: &Hostname) -> Option<&Entry> {
        let mut covering = host.covering();
        covering.find_map(|wider| of_certificate(self.claims.get(&wider)?))
    }

    /// The host names that somebody claims.
    pub(super) fn claimed(&self) -> impl Iterator<Item = &Hostname> {
        self.claims.keys()
    }

    /// The objects with rules for this very host name and this listener, the oldest first.
    pub(crate) fn rules<'a>(
        &'a self,
        host: &Hostname,
        listener: &'a ListenerId,
    ) -> impl Iterator<Item = &'a Age> {
        let entries = self.rules.get(host).into_iter().flatten();
        let of_listener = entries.filter(move |entry| entry.listener == *listener);
        of_listener.map(|entry| &entry.age)
    }

    /// The Ingress whose default backend serves.
    pub(crate) fn default_backend(&self) -> Option<&Age> {
        self.default_backends.first()
    }

    /// Whether something claims a host name: else nothing is served at the port.
    pub(crate) fn is_claimed(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Whether there is nothing here.
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.rules.is_empty() && self.default_backends.is_empty()
    }

    /// The wildcards that somebody claims or has rules for.
    pub(crate) fn wildcards(&self) -> BTreeSet<&Hostname> {
        let claims = self.claims.iter();
        let claims = claims.filter(|(host, entries)| {
            let mut entries = entries.iter();
            entries.any(|claim| self.takes_requests(host, claim))
        });
        let all = claims.map(|(host, _)| host).chain(self.rules.keys());
        all.filter(|host| matches!(host, Hostname::Wildcard(_)))
            .collect()
    }

    /// The host names that this one covers, itself included, whether anything is known of it or
    /// not.
    pub(super) fn covered_by(&self, host: &Hostname) -> BTreeSet<Hostname> {
        let covered = |set: &BTreeMap<Hostname, BTreeSet<Entry>>| {
            let following = set.range(host..).map(|(other, _)| other);
            let covered = following.take_while(|other| host.covers(other));
            covered.cloned().collect::<BTreeSet<_>>()
        };
        let mut all = covered(&self.claims);
        all.append(&mut covered(&self.rules));
        all.insert(host.clone());
        all
    }

    /// The objects to which it matters who claims a host name: those that claim it too, and those
    /// with rules for a host under it.
    pub(super) fn contenders(&self, host: &Hostname) -> BTreeSet<ObjectId> {
        let claims = self.claims.get(host).into_iter().flatten();
        let covered = self.rules.range(host..);
        let covered = covered.take_while(|(other, _)| host.covers(other));
        let entries = claims.chain(covered.flat_map(|(_, entries)| entries));
        let mut objects: BTreeSet<ObjectId> = entries.map(|entry| entry.age.object()).collect();
        if *host == Hostname::Any {
            objects.extend(self.default_backends.iter().map(Age::object));
        }
        objects
    }

    /// All host names.
    pub(crate) fn names(&self) -> BTreeSet<&Hostname> {
        self.claims.keys().chain(self.rules.keys()).collect()
    }

    /// All objects that claim a host name or have rules for one.
    pub(crate) fn objects(&self) -> BTreeSet<ObjectId> {
        let entries = self.claims.values().chain(self.rules.values()).flatten();
        entries.map(|entry| entry.age.object()).collect()
    }

    /// The objects with rules for this very host name, or, if there are none, the one that has it.
    pub(crate) fn objects_of(&self, host: &Hostname) -> BTreeSet<ObjectId> {
        let rules = self.rules.get(host).into_iter().flatten();
        let objects: BTreeSet<ObjectId> = rules.map(|entry| entry.age.object()).collect();
        match objects.is_empty() {
            true => self
                .holder(host)
                .map(|entry| entry.age.object())
                .into_iter()
                .collect(),
            false => objects,
        }
    }

    pub(super) fn add(&mut self, part: Part, host: &Hostname, entry: Entry) {
        self.part(part)
            .entry(host.clone())
            .or_default()
            .insert(entry);
    }

    pub(super) fn remove(&mut self, part: Part, host: &Hostname, entry: &Entry) {
        let part = self.part(part);
        if let Some(entries) = part.get_mut(host) {
            entries.remove(entry);
            if entries.is_empty() {
                part.remove(host);
            }
        }
    }

    pub(super) fn add_default_backend(&mut self, age: Age) {
        self.default_backends.insert(age);
    }

    pub(super) fn remove_default_backend(&mut self, age: &Age) {
        self.default_backends.remove(age);
    }

    fn part(&mut self, part: Part) -> &mut BTreeMap<Hostname, BTreeSet<Entry>> {
        match part {
            Part::Claim => &mut self.claims,
            Part::Rules => &mut self.rules,
        }
    }
}

/// The first of the claims of a host name, if it is one of certificates.
fn of_certificate(entries: &BTreeSet<Entry>) -> Option<&Entry> {
    let first = entries.first();
    first.filter(|claim| !claim.bare || claim.listener != ListenerId::Ingresses)
}
