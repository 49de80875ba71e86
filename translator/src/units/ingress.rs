//! The units of ingress proxies: the listener of a port, the routes of each host, and the problems
//! of each object with rules. They keep nothing: what they are made of is in the index.

use std::collections::BTreeSet;
use std::sync::Arc;

use seaway_proto::Resource;

use super::Output;
use crate::envoy::http::tls::{self, on_demand};
use crate::envoy::http::{listener, lookup, scope};
use crate::model::Hostname;
use crate::plan::certificates::{self, Served};
use crate::plan::host::{HostPlan, Table};
use crate::plan::{Context, gateway, ingress};
use crate::{Layer, ObjectId, ObjectKind, Origin, Replace, Role, Subject};

/// The listener of a port, and what finds the wildcard that a host is under. Nothing is bound where
/// nothing is claimed.
pub(crate) fn port(table: &Table, context: &Context<'_>) -> Output {
    let table = &context.index.routing().served_at(table);
    let hosts = context.index.routing().hosts(table);
    let mut resources = Vec::new();
    if let Some(hosts) = hosts.filter(|hosts| hosts.is_claimed()) {
        let wildcards: Vec<Hostname> = hosts.wildcards().into_iter().cloned().collect();
        let any = hosts.owner(&Hostname::Any).is_some();
        resources.push((fleet(table), lookup::lookup(table, &wildcards, any)));
        resources.extend(listeners(table, context));
    }
    Output {
        resources: vec![Replace {
            origin: Origin::IngressPort(table.fleet.clone(), table.port),
            resources,
        }],
        problems: None,
    }
}

/// The listeners of a port: one for each way in which proxies in use come by certificates, and
/// those by which Envoy has certificates before it is asked for them.
fn listeners(table: &Table, context: &Context<'_>) -> Vec<(Layer, Resource)> {
    let options = context.options;
    let listener = |served: Served<'_>| listener::listener(table, options, &served);
    if !table.tls {
        return vec![(fleet(table), listener(Served::default()))];
    }
    let deliveries = context.views.deliveries(&table.fleet);
    let selects = certificates::has_certificates_on_demand(context, table);
    let mut listeners = Vec::new();
    let in_chains = || listener(certificates::in_chains(context, table));
    if !selects {
        listeners.push((fleet(table), in_chains()));
    } else if deliveries.chains {
        let layer = Layer::Chains(table.fleet.clone());
        listeners.push((layer, in_chains()));
    }
    if deliveries.on_demand && selects {
        let served = certificates::on_demand(context, table);
        let layer = Layer::OnDemand(table.fleet.clone());
        let names = served.on_demand.iter().flat_map(|served| &served.names);
        let prefetching = on_demand::prefetching(names.copied());
        listeners.extend(prefetching.into_iter().map(|one| (layer.clone(), one)));
        listeners.push((layer, listener(served)));
    }
    listeners
}

/// The certificate of a host under its own name.
pub(crate) fn certificate(table: &Table, host: &Hostname, context: &Context<'_>) -> Output {
    let is_asked_for = context.views.deliveries(&table.fleet).on_demand;
    let certificate = certificates::by_name(context, table, host).filter(|_| is_asked_for);
    let layer = Layer::OnDemand(table.fleet.clone());
    let resource = certificate.map(|used| (layer, tls::certificate(&host.to_string(), used)));
    Output {
        resources: vec![Replace {
            origin: Origin::IngressCertificate(table.fleet.clone(), host.clone()),
            resources: resource.into_iter().collect(),
        }],
        problems: None,
    }
}

fn fleet(table: &Table) -> Layer {
    Layer::Fleet(table.fleet.clone())
}

/// The listener by which ingress proxies ask for hosts, whether there are any or not.
pub(crate) fn subscriber() -> Output {
    let layer = Layer::Role(Role::Ingress);
    Output {
        resources: vec![Replace {
            origin: Origin::IngressHosts,
            resources: vec![(layer, listener::subscriber())],
        }],
        problems: None,
    }
}

/// The routes of a host, and the matches for it that never take a request.
pub(crate) fn host(table: &Table, host: &Hostname, context: &Context<'_>) -> Output {
    let table = &context.index.routing().served_at(table);
    let (resources, problems) = match HostPlan::new(context, table, host) {
        None => (Vec::new(), Vec::new()),
        Some((plan, problems)) => (vec![(fleet(table), scope::scope(table, &plan))], problems),
    };
    let origin = Origin::IngressHost(table.fleet.clone(), table.port, host.clone());
    let of = match table.fleet.is_default() {
        true => String::new(),
        false => format!("{}/", table.fleet),
    };
    let subject = Subject::Other(format!("Host {of}{}/{host}", table.port).into());
    Output {
        resources: vec![Replace { origin, resources }],
        problems: Some((subject, problems)),
    }
}

/// The certificate of a Secret, for each fleet that serves something with it.
pub(crate) fn secret((namespace, name): &(Arc<str>, Arc<str>), context: &Context<'_>) -> Output {
    let key = (namespace.clone(), name.clone());
    let secret = context.index.routing().secret(&key);
    let certificate = secret.and_then(|secret| secret.certificate.as_ref().ok());
    let resource =
        certificate.map(|used| tls::certificate(&tls::secret_name(namespace, name), used));
    let fleets = certificates::fleets_with(context, &key);
    let layers = fleets.into_iter().cloned().map(Layer::Fleet);
    Output {
        resources: vec![Replace {
            origin: Origin::Secret(namespace.clone(), name.clone()),
            resources: resource.map_or_else(Vec::new, |resource| {
                layers.map(|layer| (layer, resource.clone())).collect()
            }),
        }],
        problems: None,
    }
}

/// The problems of an object with rules: those found while it was read, and, if it is served, those
/// of what it refers to.
pub(crate) fn object(id: &ObjectId, context: &Context<'_>) -> Output {
    let problems: BTreeSet<_> = match id.kind {
        ObjectKind::Ingress => ingress::problems(context, id).into_iter().collect(),
        ObjectKind::GatewayClass => gateway::of_class(context, id).into_iter().collect(),
        ObjectKind::Gateway => gateway::of_gateway(context, id).into_iter().collect(),
        ObjectKind::HTTPRoute => gateway::of_http_route(context, id).into_iter().collect(),
        _ => BTreeSet::new(),
    };
    Output {
        resources: Vec::new(),
        problems: Some((Subject::from(id), problems.into_iter().collect())),
    }
}
