//! [`HostPlan`]: what becomes of the requests for one host at one port of the ingress proxies, in
//! the order in which rules are tried. What becomes of those for a Service port at mesh proxies
//! ([`Routed`]) is planned likewise.

mod backends;
mod port;
mod rules;

use std::num::NonZeroU64;
use std::sync::Arc;

use super::Context;
pub(crate) use crate::index::routing::ListenerId;
use crate::model::{Backend, Cors, HashBy, Hostname, Match, RateLimit, Redirect, Rule};
use crate::{IpNet, Problem, Role};

pub(crate) use crate::policy::route_order::Age;
pub(crate) use crate::policy::table::Table;
pub(crate) use backends::{Refused, resolve, resolve_in_mesh};
pub(crate) use port::{Routed, routed, routed_for};

/// The routes of one host.
#[derive(Debug)]
pub(crate) struct HostPlan<'a> {
    /// The names that the routes are for.
    pub host: &'a Hostname,
    /// The routes in the order in which they are tried. What none of them takes is answered with
    /// 404 (Gateway rule 83).
    pub routes: Vec<RoutePlan<'a>>,
    /// The listener of a Gateway whose certificate a client has to have been shown; requests on
    /// other connections are answered with 421 (Gateway rule 63). An Ingress asks for none (Gateway
    /// rule 65).
    pub listener: Option<&'a ListenerId>,
    /// Whether that listener is for exactly this name.
    pub is_own_name: bool,
}

/// One match of a rule, and what becomes of the requests that it takes.
#[derive(Debug)]
pub(crate) struct RoutePlan<'a> {
    /// The object that has the rule, by age.
    pub by: &'a Age,
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
    /// What the annotations of an Ingress ask for.
    pub asked: Asked<'a>,
}

impl RoutePlan<'_> {
    /// The clusters to which requests and their copies are sent.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &Arc<str>> {
        let (shares, mirrors) = match &self.action {
            Action::Forward(shares) => (&**shares, &*self.mirrors),
            Action::Answer(_) | Action::Redirect(..) | Action::ToHttps => (&[][..], &[][..]),
        };
        let upstreams = shares.iter().filter_map(|share| share.to.as_ref().ok());
        let clusters = upstreams.map(|upstream| &upstream.cluster);
        clusters.chain(mirrors.iter().map(|(cluster, _)| cluster))
    }
}

/// What the annotations of an Ingress ask for on one of its routes.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    /// The value of `strict-transport-security` in the answers.
    pub hsts: Option<&'a Arc<str>>,
    /// The ranges of the clients that are served, `None` for all.
    pub sources: Option<&'a [IpNet]>,
    /// What scripts of other origins may do.
    pub cors: Option<&'a Cors>,
    /// The most bytes of a request's body.
    pub max_body: Option<NonZeroU64>,
    /// How many requests for the host are taken, and with which routes that is shared: those of
    /// the Ingress with this namespace and name.
    pub rate: Option<(String, RateLimit)>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Action<'a> {
    /// The proxy answers with this status: 500 where nothing valid is behind the rule (Gateway
    /// rules 75, 82, 83, 95).
    Answer(u16),
    /// The proxy answers with a redirect; the port is the one that clients connect to.
    Redirect(&'a Redirect, u16),
    /// The proxy answers with a redirect to the same over HTTPS.
    ToHttps,
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
    /// What requests that go to one endpoint have in common, such as their client with session
    /// affinity (Service rule 97).
    pub hash: Option<HashBy>,
    /// The host name that an ExternalName puts in place of the one asked for (Service rule 123).
    pub hostname: Option<Arc<str>>,
}

impl<'a> HostPlan<'a> {
    /// Plans the routes of a host name, and says what is wrong with rules for it. `None`: nothing
    /// is known of it alone, so that its requests are for a wildcard that covers it, or for nobody.
    pub(crate) fn new(
        context: &Context<'a>,
        table: &Table,
        host: &'a Hostname,
    ) -> Option<(HostPlan<'a>, Vec<Problem>)> {
        let hosts = context.index.routing().hosts(table)?;
        let (claimed, listener) = hosts.owner(host)?;
        let groups = match listener {
            ListenerId::Ingresses => rules::of_ingresses(context, hosts, &claimed, host)?,
            ListenerId::Gateway { .. } => {
                rules::of_gateway(context, hosts, (&claimed, listener), host)?
            }
        };
        let (mut left, mut problems) = (rules::INHERITED, Vec::new());
        let at = rules::At {
            role: Role::Ingress,
            name: host,
            tls: table.tls,
            port: context.index.routing().external_port(table),
        };
        let mut routes = Vec::new();
        for group in groups {
            routes.extend(group.routes(context, &at, (&mut left, &mut problems)));
        }
        let is_checked = table.tls && *listener != ListenerId::Ingresses;
        let plan = HostPlan {
            host,
            routes,
            listener: is_checked.then_some(listener),
            is_own_name: claimed == *host,
        };
        Some((plan, problems))
    }
}
