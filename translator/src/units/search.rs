//! Finds a resource by its name: translates once more what makes resources of such names, and hands
//! over nothing. What is published is kept by whoever publishes it, and not here.

use std::collections::BTreeSet;

use seaway_proto::{Resource, TypeUrl};

use super::Units;
use super::dirty::Unit;
use super::imports::Imported;
use super::mesh::table_name;
use super::service::Extent;
use crate::envoy::http::{self, tls::on_demand::PREFETCHING};
use crate::model::{Hostname, ServiceKey};
use crate::names::service_of;
use crate::place::targets::Target;
use crate::plan::Context;
use crate::plan::host::Table;
use crate::{Layer, Origin, Replace};

/// The types of which Services have resources, each with names of its own form.
const OF_SERVICES: [TypeUrl; 5] = [
    TypeUrl::CLUSTER,
    TypeUrl::ENDPOINT,
    TypeUrl::LISTENER,
    TypeUrl::ROUTE,
    TypeUrl::SCOPED_ROUTE,
];

/// The resources of this name, of whatever type, each with its origin and its layer.
pub(crate) fn find(
    name: &str,
    known: &Units,
    context: &Context<'_>,
) -> Vec<(Origin, Layer, Resource)> {
    let services = OF_SERVICES.iter();
    let services: BTreeSet<ServiceKey> = services
        .filter_map(|type_url| service_of(*type_url, name))
        .collect();
    let services = services.into_iter();
    let services = services.map(|key| Unit::Service(key, Extent::Whole, BTreeSet::new()));
    let target = Target::read(name, context.options);
    let target = target.map(|target| Unit::Targets(target.service));
    let units = services
        .chain(target)
        .chain([
            Unit::Redirect,
            Unit::Healthz,
            Unit::IngressHosts,
            Unit::MeshCertificates,
        ])
        .chain(of_mesh(name, context));
    let units = units.chain(of_ingress(name, context));
    let mut found = look(name, units, &known.imported, context);
    if name.starts_with("inbound") {
        found.extend(named(name, known.inbound.all(context)));
    }
    found
}

/// The resources of this name among those of origins.
fn named(
    name: &str,
    replaces: impl IntoIterator<Item = Replace>,
) -> impl Iterator<Item = (Origin, Layer, Resource)> {
    replaces.into_iter().flat_map(move |replace| {
        let resources = replace.resources.into_iter();
        let named = resources.filter(move |(_, resource)| *resource.name == *name);
        let origin = replace.origin;
        named.map(move |(layer, resource)| (origin.clone(), layer, resource))
    })
}

/// Translates units with nothing known of before but who leads to whom, and takes the resources of
/// this name.
fn look(
    name: &str,
    units: impl IntoIterator<Item = Unit>,
    imported: &Imported,
    context: &Context<'_>,
) -> Vec<(Origin, Layer, Resource)> {
    let mut found = Vec::new();
    for unit in units {
        // A Service is not to be summed up for this.
        let context = Context {
            summaries: false,
            ..*context
        };
        let mut units = Units {
            imported: imported.clone(),
            ..Units::default()
        };
        let output = units.translate(unit, &context);
        found.extend(named(name, output.resources));
    }
    found
}

/// What mesh proxies share: their listener, in each of its forms, and the tables of Services, which
/// are much to put together for nothing.
fn of_mesh(name: &str, context: &Context<'_>) -> Vec<Unit> {
    let is_listener = name == http::mesh::name(context.options.mesh_listen);
    let is_table = name == &*table_name(context);
    let namespaces = context.views.namespaces().filter(|_| is_listener);
    let of_namespaces = namespaces.map(|(name, table)| Unit::MeshNamespace(name.clone(), *table));
    let shared = is_listener.then_some(Unit::Mesh);
    let tables = [Unit::WholeTable, Unit::ImportTables];
    let tables = (is_listener || is_table).then_some(tables);
    let of_namespaces = of_namespaces.chain(shared);
    of_namespaces.chain(tables.into_iter().flatten()).collect()
}

/// What ingress proxies have under such a name: `<port>/<host>`, the listener of a port and what
/// belongs to it, `<namespace>/<secret>`, or `<host>` of a certificate on demand.
fn of_ingress(name: &str, context: &Context<'_>) -> Vec<Unit> {
    let routing = context.index.routing();
    // Of two tables with one port only one is served.
    let tables: BTreeSet<Table> = routing
        .tables()
        .map(|(table, _)| routing.served_at(table))
        .collect();
    let tables = tables.into_iter();
    let Some((first, last)) = name.split_once('/') else {
        let certificate = |table| Unit::IngressCertificate(table, Hostname::read(name));
        return tables.map(certificate).collect();
    };
    let units = tables.filter_map(|table| {
        let port = table.port.to_string();
        let is_of_names = table.tls && name.starts_with(PREFETCHING);
        if port == first {
            Some(Unit::IngressHost(table, Hostname::read(last)))
        } else if port == last || is_of_names {
            Some(Unit::IngressPort(table))
        } else {
            None
        }
    });
    let secret = Unit::Secret((first.into(), last.into()));
    units.chain([secret]).collect()
}
