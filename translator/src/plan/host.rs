//! [`HostPlan`]: what becomes of the requests for one host at one port of the ingress proxies, in
//! the order in which rules are tried.

use std::sync::Arc;

use crate::model::{Backend, Hostname, Match, Redirect, Rule};

/// A port on which the proxies of one fleet serve HTTP. Its hosts have nothing in common with those
/// of another port (Gateway rule 11).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Table {
    /// The fleet.
    pub fleet: Arc<str>,
    /// The port on which the proxies listen.
    pub port: u16,
    /// The port that clients connect to, for redirects (Gateway rule 69).
    pub external_port: u16,
    /// Whether clients speak TLS.
    pub tls: bool,
}

/// The routes of one host.
#[derive(Debug)]
pub(crate) struct HostPlan<'a> {
    /// The names that the routes are for.
    pub host: &'a Hostname,
    /// The routes in the order in which they are tried. What none of them takes is answered with
    /// 404 (Gateway rule 83).
    pub routes: Vec<RoutePlan<'a>>,
}

/// One match of a rule, and what becomes of the requests that it takes.
#[derive(Debug)]
pub(crate) struct RoutePlan<'a> {
    /// The rule, for its filters and timeouts.
    pub rule: &'a Rule,
    /// What a request looks like.
    pub matches: &'a Match,
    /// Whether only names with exactly one label in place of the `*` of the host are meant, as by
    /// a host of an Ingress (Service rule 133).
    pub one_label: bool,
    /// What becomes of the requests.
    pub action: Action<'a>,
    /// The clusters that get a copy of so many of a million requests.
    pub mirrors: Vec<(Arc<str>, u32)>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Action<'a> {
    /// The proxy answers with this status: 500 where nothing valid is behind the rule (Gateway
    /// rules 75, 82, 83, 95).
    Answer(u16),
    /// The proxy answers with a redirect.
    Redirect(&'a Redirect),
    /// One of these gets it. There is at least one with a cluster, and a weight above 0.
    Forward(Vec<Share<'a>>),
}

/// A share of the requests of a rule.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    /// The backend, for its changes of headers.
    pub backend: &'a Backend,
    /// The cluster, or the status that the proxy answers this share with: 500 for one that is not
    /// valid (Gateway rule 82).
    pub to: Result<Upstream, u16>,
    /// The share, among all weights of the rule; never 0.
    pub weight: u32,
}

/// The cluster that requests are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// Its name.
    pub cluster: Arc<str>,
    /// Whether requests of one client go to one endpoint, for session affinity (Service rule 97).
    pub sticky: bool,
    /// The host name that an ExternalName puts in place of the one asked for (Service rule 123).
    pub hostname: Option<Arc<str>>,
}
