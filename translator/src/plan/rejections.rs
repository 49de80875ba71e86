//! [`Rejections`]: what proxies say of published resources that they do not take, by what those are
//! made of (Gateway rule 106).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Context;
use super::host::Table;
use crate::index::routing::Key;
use crate::model::Hostname;
use crate::{Fleet, ObjectId, ObjectKind, Origin, Problem, Reason, Subject};

/// How many objects with rules for one host are named: whichever of them is to blame.
const NAMED: usize = 10;

/// The words of proxies, by the origin of what they reject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejections(BTreeMap<Origin, Arc<str>>);

impl Rejections {
    /// From origins as they display, each with the words. Those of no object are left out.
    pub(crate) fn new<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Rejections {
        let mut found = BTreeMap::new();
        for (origin, words) in all {
            if let Some(origin) = Origin::read(origin) {
                found.entry(origin).or_insert_with(|| printable(words));
            }
        }
        Rejections(found)
    }

    /// Whether nothing is rejected, as is the rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words about the listener of a table.
    pub(crate) fn of_table(&self, table: &Table) -> Option<&Arc<str>> {
        let origin = Origin::IngressPort(table.fleet.clone(), table.port);
        self.0.get(&origin)
    }

    /// The words about the routes of a host.
    pub(crate) fn of_host(&self, table: &Table, host: &Hostname) -> Option<&Arc<str>> {
        let origin = Origin::IngressHost(table.fleet.clone(), table.port, host.clone());
        self.0.get(&origin)
    }

    /// The words about the certificate of a Secret.
    pub(crate) fn of_secret(&self, (namespace, name): &Key) -> Option<&Arc<str>> {
        let origin = Origin::Secret(namespace.clone(), name.clone());
        self.0.get(&origin)
    }

    /// The words about certificates that the proxies of a fleet ask for by hosts, each with its
    /// host.
    pub(crate) fn of_certificates<'a>(
        &'a self,
        of: &Fleet,
    ) -> impl Iterator<Item = (&'a Hostname, &'a Arc<str>)> {
        self.0
            .iter()
            .filter_map(move |(origin, words)| match origin {
                Origin::IngressCertificate(fleet, host) if fleet == of => Some((host, words)),
                _ => None,
            })
    }

    /// The origins that are rejected in only one of the two, or in other words.
    pub(crate) fn difference(&self, other: &Rejections) -> BTreeSet<Origin> {
        let all = self.0.keys().chain(other.0.keys());
        let changed = all.filter(|origin| self.0.get(origin) != other.0.get(origin));
        changed.cloned().collect()
    }

    /// The problems of what one origin is made of, as `say` puts the words.
    pub(crate) fn problems(
        &self,
        context: &Context<'_>,
        origin: &Origin,
        say: fn(&str) -> (Reason, String),
    ) -> Vec<Problem> {
        let Some(words) = self.0.get(origin) else {
            return Vec::new();
        };
        let mut subjects: Vec<Subject> = objects(context, origin)
            .into_iter()
            .take(NAMED)
            .map(Subject::from)
            .collect();
        if subjects.is_empty() {
            subjects.push(Subject::Other(origin.to_string().into()));
        }
        let (reason, message) = say(words);
        let problem = |subject| Problem::error(subject, "", reason, &*message);
        subjects.into_iter().map(problem).collect()
    }
}

/// The objects that the resources of an origin are made of, and whose status is about them.
pub(crate) fn objects(context: &Context<'_>, origin: &Origin) -> BTreeSet<ObjectId> {
    let routing = context.index.routing();
    let table = |fleet, port: &u16, tls| Table {
        fleet: Clone::clone(fleet),
        port: *port,
        tls,
    };
    match origin {
        Origin::Service(key) => BTreeSet::from([ObjectId::of_service(key)]),
        Origin::Secret(namespace, name) => {
            let key = (namespace.clone(), name.clone());
            routing.secret_users(&key).cloned().collect()
        }
        Origin::IngressCertificate(fleet, host) => {
            let hosts = routing.hosts(&Table::https(fleet, context.options));
            let holder = hosts.and_then(|hosts| hosts.holder(host));
            holder
                .map(|holder| holder.age.object())
                .into_iter()
                .collect()
        }
        Origin::IngressHost(fleet, port, host) => {
            let table = routing.served_at(&table(fleet, port, false));
            let hosts = routing.hosts(&table);
            hosts.map_or_else(BTreeSet::new, |hosts| hosts.objects_of(host))
        }
        Origin::IngressPort(fleet, port) => {
            let table = routing.served_at(&table(fleet, port, false));
            let hosts = routing.hosts(&table);
            let objects = hosts.map_or_else(BTreeSet::new, |hosts| hosts.objects());
            let gateways = objects.into_iter();
            gateways
                .filter(|object| object.kind == ObjectKind::Gateway)
                .collect()
        }
        _ => BTreeSet::new(),
    }
}

/// What a client wrote, on one line and without anything that a terminal would act on.
fn printable(words: &str) -> Arc<str> {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().filter(|c| !c.is_control()).collect();
    crate::problem::shortened(words).into()
}
