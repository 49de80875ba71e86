//! The routes of what some mesh proxies import, as one table, for those that take no scopes: a
//! table for each set of imports in each namespace, while such a proxy is there. Its listener is
//! with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Output;
use super::mesh::{encoded, put, table_name};
use crate::envoy::http::mesh::{self, Routes};
use crate::envoy::route::{self, Hosts};
use crate::model::ServiceKey;
use crate::plan::Context;
use crate::{ImportTable, Layer, Origin, Replace};

/// The tables that are made.
#[derive(Debug, Default)]
pub(super) struct ImportTables(BTreeMap<ImportTable, Table>);

/// The virtual hosts of which a table is made.
#[derive(Debug)]
struct Table {
    parts: BTreeMap<ServiceKey, Hosts>,
    /// Whether the table has to be made again.
    changed: bool,
}

impl Table {
    fn new(of: &ImportTable, context: &Context<'_>) -> Table {
        let mut table = Table {
            parts: BTreeMap::new(),
            changed: true,
        };
        for import in of.imports.iter() {
            for key in context.index.imported(import) {
                table.put(key, hosts(key, of, context));
            }
        }
        table
    }

    fn put(&mut self, key: &ServiceKey, hosts: Hosts) {
        self.changed |= put(&mut self.parts, key, hosts);
    }
}

impl ImportTables {
    /// Looks at the virtual hosts of one Service again.
    pub(super) fn renew(&mut self, key: &ServiceKey, context: &Context<'_>) {
        let tables = self.0.iter_mut();
        for (of, table) in tables.filter(|(of, _)| of.imports.has(key)) {
            table.put(key, hosts(key, of, context));
        }
    }

    /// The tables that changed, came or went.
    pub(super) fn translate(&mut self, context: &Context<'_>) -> Output {
        let wanted: BTreeSet<&ImportTable> = context.views.import_tables().collect();
        let known = self.0.keys();
        let gone: Vec<ImportTable> = known.filter(|of| !wanted.contains(of)).cloned().collect();
        let mut resources = Vec::new();
        for of in gone {
            self.0.remove(&of);
            resources.push(Replace {
                origin: Origin::ImportTable(of),
                resources: Vec::new(),
            });
        }
        for of in wanted {
            if !self.0.contains_key(of) {
                self.0.insert(of.clone(), Table::new(of, context));
            }
        }
        for (of, table) in self.0.iter_mut().filter(|(_, table)| table.changed) {
            table.changed = false;
            resources.push(replace(of, &table.parts, context));
        }
        Output {
            resources,
            problems: None,
        }
    }
}

/// The virtual hosts of a Service, as the proxies of a table have them.
fn hosts(key: &ServiceKey, of: &ImportTable, context: &Context<'_>) -> Hosts {
    let service = context.index.service(key);
    service.map_or_else(Hosts::default, |service| {
        encoded(context, service, of.namespace.as_ref())
    })
}

fn replace(
    of: &ImportTable,
    parts: &BTreeMap<ServiceKey, Hosts>,
    context: &Context<'_>,
) -> Replace {
    let name: Arc<str> = table_name(context);
    let (address, routes) = (context.options.mesh_listen, Routes::Table(&name));
    let listener = mesh::listener(address, &routes, of.namespace.as_deref());
    let layer = Layer::ImportTable(of.clone());
    Replace {
        origin: Origin::ImportTable(of.clone()),
        resources: vec![
            (layer.clone(), listener),
            (layer, route::table(&name, parts.values())),
        ],
    }
}
