//! The sections about a request that an ingress proxy gets: who has the host, with which
//! certificate, which rule takes the request, and where that sends it.

mod certificate;
mod rule;

use std::collections::BTreeSet;

use super::answer::{Fact, Section};
use super::asker::Asker;
use super::draft::Draft;
use super::external::of_target;
use super::question::Request;
use super::words::verdict::Verdicts;
use crate::Origin;
use crate::model::Hostname;
use crate::names::ClusterName;
use crate::plan::certificates::ListenerId;
use crate::plan::host::{HostPlan, RoutePlan, Table};
use certificate::{Secured, is_misdirected, secured};
pub(super) use rule::{act, path, route};

/// What is said of a request, while it is put together.
pub(super) struct Saying<'d> {
    pub(super) facts: Vec<Fact>,
    pub(super) verdicts: Verdicts,
    pub(super) draft: &'d mut Draft,
}

impl Saying<'_> {
    pub(super) fn fact(&mut self, label: &str, text: impl Into<String>) {
        self.facts.push(Fact::new(label, text));
    }

    pub(super) fn refuse(&mut self, sentence: impl Into<String>) {
        self.verdicts.say(false, 1, sentence.into());
    }

    /// Adds a section with what was said, and behind it the clusters where requests go.
    pub(super) fn end(self, asker: &Asker<'_>, section: Section, clusters: BTreeSet<ClusterName>) {
        let (served, verdict) = self.verdicts.end();
        self.draft.add(Section {
            facts: self.facts,
            served,
            verdict,
            ..section
        });
        for cluster in clusters {
            of_target(asker, &cluster, self.draft);
        }
    }
}

/// Explains a request at an ingress proxy.
pub(super) fn answer(asker: &Asker<'_>, request: &Request, draft: &mut Draft) {
    let mut clusters = BTreeSet::new();
    let mut said = Saying {
        facts: Vec::new(),
        verdicts: Verdicts::default(),
        draft,
    };
    say(asker, request, &mut said, &mut clusters);
    let section = Section {
        title: format!("{request}, as {} sees it", asker.who()),
        ..Section::default()
    };
    said.end(asker, section, clusters);
}

fn say(
    asker: &Asker<'_>,
    request: &Request,
    said: &mut Saying<'_>,
    clusters: &mut BTreeSet<ClusterName>,
) {
    let routing = asker.context.index.routing();
    let Some(table) = table(asker, request, said) else {
        return;
    };
    let Some(hosts) = routing.hosts(&table).filter(|hosts| hosts.is_claimed()) else {
        nothing_listens(&table, routing.external_port(&table), said);
        return;
    };
    let port = Origin::IngressPort(table.fleet.clone(), table.port);
    said.draft.made_of(port);
    let host = Hostname::Exact(request.host.clone());
    let secured = match request.is_tls() {
        true => secured(asker, &table, &host, said),
        false => Secured::Yes,
    };
    let covering: Vec<Hostname> = host.covering().collect();
    let plan = covering
        .iter()
        .find_map(|of| HostPlan::new(&asker.context, &table, of));
    let Some((plan, _)) = plan else {
        said.fact(
            "host",
            format!("nothing has rules for {host} at port {}", table.port),
        );
        // Without a connection nothing is answered.
        if secured != Secured::Closed {
            said.refuse("The request is answered with 404.");
        }
        return;
    };
    let (fleet, of_host) = (table.fleet.clone(), plan.host.clone());
    let origin = Origin::IngressHost(fleet, table.port, of_host);
    said.draft.made_of(origin);
    if let Some((claimed, listener)) = hosts.owner(&host) {
        said.fact("host", format!("{claimed} of {}", of_whom(listener)));
    }
    if secured == Secured::Closed {
        // The rule that would take the request is told all the same.
        taking(&plan, &host, request, said);
        return;
    }
    if request.is_tls() && is_misdirected(asker, &table, &host, &plan) {
        said.fact(
            "listener",
            format!("the certificate for {host} is that of another listener"),
        );
        said.refuse("The request is answered with 421.");
        return;
    }
    let Some(route) = taking(&plan, &host, request, said) else {
        said.fact(
            "rule",
            format!("none for {} takes path {}", plan.host, request.path),
        );
        said.refuse("The request is answered with 404.");
        return;
    };
    let is_secured = secured == Secured::Yes;
    act(asker, request, route, (is_secured, said), clusters);
}

/// The first route of a host that takes the request.
fn taking<'p, 'a>(
    plan: &'p HostPlan<'a>,
    host: &Hostname,
    request: &Request,
    said: &mut Saying<'_>,
) -> Option<&'p RoutePlan<'a>> {
    let is_for = |route: &RoutePlan<'_>| !route.one_label || is_one_label(plan.host, host);
    route(&plan.routes, is_for, plan.host, request, said)
}

fn is_one_label(wildcard: &Hostname, host: &Hostname) -> bool {
    match (wildcard, host) {
        (Hostname::Wildcard(suffix), Hostname::Exact(name)) => name
            .split_once('.')
            .is_some_and(|(_, rest)| *rest == **suffix),
        _ => true,
    }
}

fn nothing_listens(table: &Table, port: u16, said: &mut Saying<'_>) {
    let what = format!("fleet {} serves nothing at port {port}", table.fleet);
    said.fact("port", what);
    said.refuse("No ingress proxy listens there.");
}

/// Whose a host is, in words.
fn of_whom(listener: &ListenerId) -> String {
    match listener {
        ListenerId::Ingresses => "Ingresses".to_owned(),
        ListenerId::Gateway {
            namespace,
            name,
            listener,
        } => format!("Gateway {namespace}/{name}, listener {listener}"),
    }
}

/// The port of the fleet's proxies that the request comes to.
fn table(asker: &Asker<'_>, request: &Request, said: &mut Saying<'_>) -> Option<Table> {
    let (fleet, options) = (&asker.view.fleet, asker.context.options);
    let routing = asker.context.index.routing();
    let shared = match request.is_tls() {
        true => Table::https(fleet, options),
        false => Table::http(fleet, options),
    };
    let Some(port) = request.port.map(std::num::NonZeroU16::get) else {
        return Some(shared);
    };
    let mut tables = routing.tables_with(fleet, request.is_tls());
    let found = tables.find(|table| routing.external_port(table) == port);
    let mut tables = routing.tables_with(fleet, request.is_tls());
    let found = found.or_else(|| tables.find(|table| table.port == port));
    if found.is_none() {
        said.fact(
            "port",
            format!("fleet {fleet} serves nothing at port {port}"),
        );
        said.refuse("No ingress proxy listens there.");
    }
    found.cloned()
}
