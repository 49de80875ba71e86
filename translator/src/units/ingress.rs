//! The units of ingress proxies: the listener of a port, the routes of each host, and the problems
//! of each object with rules. They keep nothing: what they are made of is in the index.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Output;
use crate::envoy::http::{listener, lookup, scope, tls};
use crate::model::Hostname;
use crate::plan::host::{HostPlan, Table};
use crate::plan::{Context, certificates, gateway, ingress};
use crate::{Layer, ObjectId, ObjectKind, Origin, Replace, Role, Subject};

/// The listener of a port, and what finds the wildcard that a host is under. Nothing is bound where
/// nothing is claimed.
pub(crate) fn port(table: &Table, context: &Context<'_>) -> Output {
    let table = &context.index.routing().served_at(table);
    let hosts = context.index.routing().hosts(table);
    let resources = match hosts.filter(|hosts| hosts.is_claimed()) {
        None => Vec::new(),
        Some(hosts) => {
            let wildcards: Vec<Hostname> = hosts.wildcards().into_iter().cloned().collect();
            let any = hosts.owner(&Hostname::Any).is_some();
            let chains = match table.tls {
                true => certificates::chains(context, table),
                false => Vec::new(),
            };
            vec![
                listener::listener(table, context.options, &chains),
                lookup::lookup(table, &wildcards, any),
            ]
        }
    };
    let layer = Layer::Fleet(table.fleet.clone());
    let resources = resources
        .into_iter()
        .map(|resource| (layer.clone(), resource));
    Output {
        resources: vec![Replace {
            origin: Origin::IngressPort(table.fleet.clone(), table.port),
            resources: resources.collect(),
        }],
        problems: None,
    }
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
        Some((plan, problems)) => {
            let layer = Layer::Fleet(table.fleet.clone());
            (vec![(layer, scope::scope(table, &plan))], problems)
        }
    };
    let origin = Origin::IngressHost(table.fleet.clone(), table.port, host.clone());
    let fleet = match table.fleet.is_default() {
        true => String::new(),
        false => format!("{}/", table.fleet),
    };
    let subject = Subject::Other(format!("Host {fleet}{}/{host}", table.port).into());
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
    let resource = certificate.map(|used| tls::certificate((namespace, name), used));
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
