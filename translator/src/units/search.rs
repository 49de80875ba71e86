//! Finds a resource by its name: translates once more what may have made it, and hands over
//! nothing. What is published is kept by whoever publishes it, and not here.

use std::collections::BTreeSet;

use seaway_proto::Resource;

use super::Units;
use super::dirty::Unit;
use super::service::Extent;
use crate::model::ServiceKey;
use crate::names::{ClusterName, FrontendName, HealthCheckName};
use crate::plan::Context;
use crate::{Layer, Origin};

/// How many hosts of ingress proxies are looked through at most.
const HOSTS: usize = 20_000;

/// The resources of this name, of whatever type, each with its origin and its layer.
pub(crate) fn find(name: &str, context: &Context<'_>) -> Vec<(Origin, Layer, Resource)> {
    let of_service = service(name);
    let of_service = of_service.map(|key| Unit::Service(key, Extent::Whole, BTreeSet::new()));
    let found = look(name, of_service, context);
    if !found.is_empty() {
        return found;
    }
    let few = [Unit::Mesh, Unit::WholeTable, Unit::Redirect, Unit::Healthz];
    let few = few.into_iter().chain([Unit::IngressHosts]);
    let found = look(name, few, context);
    if !found.is_empty() {
        return found;
    }
    look(name, of_ingress(context), context)
}

/// Translates units with nothing known of before, and takes the resources of this name.
fn look(
    name: &str,
    units: impl IntoIterator<Item = Unit>,
    context: &Context<'_>,
) -> Vec<(Origin, Layer, Resource)> {
    let mut found = Vec::new();
    for unit in units {
        // A Service is not to be summed up for this.
        let context = Context {
            summaries: false,
            ..*context
        };
        let output = Units::default().translate(unit, &context);
        for replace in output.resources {
            let named = replace.resources.into_iter();
            let named = named.filter(|(_, resource)| *resource.name == *name);
            let origin = replace.origin;
            found.extend(named.map(|(layer, resource)| (origin.clone(), layer, resource)));
        }
    }
    found
}

/// The Service whose resources have such names.
fn service(name: &str) -> Option<ServiceKey> {
    if let Ok(FrontendName { port, .. }) = name.parse() {
        return Some(port.service);
    }
    if let Ok(HealthCheckName { service, .. }) = name.parse() {
        return Some(service);
    }
    if let Ok(ClusterName { port, .. }) = name.parse() {
        return Some(port.service);
    }
    // The scopes of mesh proxies, and the answer of a health check.
    let name = name.strip_prefix("healthcheck/").unwrap_or(name);
    let (namespace, name) = name.split_once('/')?;
    let name = name.split(':').next().unwrap_or(name);
    Some(ServiceKey {
        namespace: namespace.into(),
        name: name.into(),
    })
}

/// All that ingress proxies have.
fn of_ingress<'a>(context: &'a Context<'a>) -> impl Iterator<Item = Unit> + 'a {
    let routing = context.index.routing();
    let ports = routing
        .tables()
        .map(|(table, _)| Unit::IngressPort(table.clone()));
    let secrets = routing.secrets_named().cloned().map(Unit::Secret);
    let hosts = routing.tables().flat_map(|(table, hosts)| {
        let names = hosts.names().into_iter();
        names.map(move |host| (table, host))
    });
    let hosts = hosts.take(HOSTS).flat_map(|(table, host)| {
        let (table, host) = (table.clone(), host.clone());
        let routes = Unit::IngressHost(table.clone(), host.clone());
        [routes, Unit::IngressCertificate(table, host)]
    });
    ports.chain(secrets).chain(hosts)
}
