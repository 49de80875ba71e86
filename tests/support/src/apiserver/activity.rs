//! What was asked of the server, for tests to look at and to wait for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::query::Call;

/// What discovery documents are called where a resource is named.
pub(super) const DISCOVERY: &str = "discovery";
/// How many requests are kept.
const KEPT: usize = 4096;

/// What was asked so far, and what is open.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    requests: BTreeMap<(&'static str, &'static str), u64>,
    watches: BTreeMap<&'static str, usize>,
    forbidden: BTreeSet<String>,
}

impl Activity {
    /// How many requests of this verb, as in RBAC rules, there were for a resource (its plural).
    /// Those that were refused count. Discovery documents are `get` of `discovery`.
    pub fn requests(&self, verb: &str, resource: &str) -> u64 {
        let hits = self.requests.iter();
        hits.filter(|((v, r), _)| *v == verb && *r == resource)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many watches of a resource are open.
    pub fn watches(&self, resource: &str) -> usize {
        self.watches.get(resource).copied().unwrap_or_default()
    }

    /// What was asked for and refused for want of permission: `list
    /// endpointslices.discovery.k8s.io`, or `GET /version`.
    pub fn forbidden(&self) -> &BTreeSet<String> {
        &self.forbidden
    }

    pub(super) fn forbid(&mut self, what: String) {
        self.forbidden.insert(what);
    }

    pub(super) fn count(&mut self, call: &Call) {
        *self
            .requests
            .entry((call.verb, call.kind.resource))
            .or_default() += 1;
    }

    pub(super) fn count_discovery(&mut self) {
        *self.requests.entry(("get", DISCOVERY)).or_default() += 1;
    }

    pub(super) fn opened(&mut self, resource: &'static str) {
        *self.watches.entry(resource).or_default() += 1;
    }

    pub(super) fn closed(&mut self, resource: &'static str) {
        if let Some(open) = self.watches.get_mut(resource) {
            *open = open.saturating_sub(1);
        }
    }
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// As in RBAC rules: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: &'static str,
    /// The plural name.
    pub resource: &'static str,
    /// The namespace of the path.
    pub namespace: Option<String>,
    /// The object of the path.
    pub name: Option<String>,
    /// The parameters, decoded: `labelSelector`, `limit`, `resourceVersion`.
    pub query: BTreeMap<String, String>,
    /// The header `User-Agent`.
    pub agent: String,
}

impl Seen {
    pub(super) fn new(call: &Call, agent: &str) -> Self {
        Self {
            verb: call.verb,
            resource: call.kind.resource,
            namespace: call.namespace.clone(),
            name: call.name.clone(),
            query: call.query.clone(),
            agent: agent.to_owned(),
        }
    }

    /// One parameter; empty where there is none.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

/// The requests that came last.
#[derive(Debug, Default)]
pub(super) struct Book(VecDeque<Seen>);

impl Book {
    pub(super) fn add(&mut self, seen: Seen) {
        self.0.push_back(seen);
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    pub(super) fn of(&self, verb: &str, resource: &str) -> Vec<Seen> {
        let hits = self.0.iter();
        hits.filter(|seen| seen.verb == verb && seen.resource == resource)
            .cloned()
            .collect()
    }
}
