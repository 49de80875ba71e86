//! What all mesh proxies share: their HTTP listener, which never changes and finds the scopes that
//! every Service has of its own; and, for those that do not take scopes, the routes of all Services
//! as one table.
//!
//! The table exists while such a proxy does. It is put together anew, once in a commit, when a
//! Service comes, goes or changes its ports: it is one resource, whose version is a hash of all of
//! its bytes and which is sent whole to every proxy that takes it. For 10,000 Services (2.6 MB)
//! that takes 0.8 ms, a copy more beside one for each proxy.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Output;
use crate::envoy::http::mesh::{self, Routes};
use crate::envoy::route::{self, Hosts};
use crate::model::{Service, ServiceKey};
use crate::plan::{Context, hosts};
use crate::{Layer, Origin, Problem, Reason, Replace, Role, Subject};

/// The size of the route table above which it is a problem to send it for every new Service.
const LARGE_BYTES: usize = 3 << 20;

/// The listener of those that take scopes.
pub(crate) fn listener(context: &Context<'_>) -> Output {
    let listener = mesh::listener(context.options.mesh_listen, &Routes::Scopes, None);
    Output {
        resources: vec![Replace {
            origin: Origin::Mesh,
            resources: vec![
                (Layer::Role(Role::Mesh), listener.clone()),
                (Layer::Importers, listener),
            ],
        }],
        problems: None,
    }
}

/// The listener of the proxies of a namespace that take scopes, or one table, while there are any.
pub(crate) fn listener_in(
    namespace: &Arc<str>,
    whole_table: bool,
    context: &Context<'_>,
) -> Output {
    let address = context.options.mesh_listen;
    let table = table_name(context);
    let routes = match whole_table {
        true => Routes::Table(&table),
        false => Routes::Scopes,
    };
    let resource = || {
        let layer = Layer::Namespace {
            name: namespace.clone(),
            whole_table,
        };
        (layer, mesh::listener(address, &routes, Some(namespace)))
    };
    let is_there = context.views.has_namespace(namespace, whole_table);
    Output {
        resources: vec![Replace {
            origin: Origin::MeshNamespace(namespace.clone(), whole_table),
            resources: is_there.then(resource).into_iter().collect(),
        }],
        problems: None,
    }
}

/// The name of the table.
pub(super) fn table_name(context: &Context<'_>) -> Arc<str> {
    format!("http/{}", context.options.mesh_listen.port()).into()
}

/// The virtual hosts of all Services, of which the table is made.
#[derive(Debug, Default)]
pub(crate) struct WholeTable {
    /// `None` while nobody takes the table.
    parts: Option<BTreeMap<ServiceKey, Hosts>>,
    /// Whether the table has to be made again.
    changed: bool,
}

impl WholeTable {
    /// Looks at the virtual hosts of one Service again.
    pub(crate) fn renew(&mut self, key: &ServiceKey, context: &Context<'_>) {
        let Some(parts) = &mut self.parts else {
            return;
        };
        let service = context.index.service(key);
        let hosts = service.map_or_else(Hosts::default, |service| encoded(context, service));
        if hosts.is_empty() {
            self.changed |= parts.remove(key).is_some();
        } else if parts.get(key) != Some(&hosts) {
            self.changed = true;
            parts.insert(key.clone(), hosts);
        }
    }

    /// The listener and the route table, if that changed or somebody is the first to take it, and
    /// the problems with it.
    pub(crate) fn translate(&mut self, context: &Context<'_>) -> Output {
        let address = context.options.mesh_listen;
        let name = table_name(context);
        let subject = Subject::RouteTable(name.clone());
        if !context.views.takes_whole_table() {
            return match self.parts.take() {
                None => Output::default(),
                Some(_) => output(Vec::new(), subject, Vec::new()),
            };
        }
        if self.parts.is_none() {
            let all = context.index.services();
            let hosts = all.map(|(key, service)| (key.clone(), encoded(context, service)));
            self.parts = Some(hosts.filter(|(_, hosts)| !hosts.is_empty()).collect());
            self.changed = true;
        }
        let Some(parts) = self.parts.as_ref().filter(|_| self.changed) else {
            return Output::default();
        };
        let table = route::table(&name, parts);
        self.changed = false;
        let size = table.value.len();
        let mut problems = Vec::new();
        if size > LARGE_BYTES {
            let message = format!(
                "{size} bytes, sent to every mesh proxy that takes no scopes whenever a Service comes or goes"
            );
            let reason = Reason::RouteTableLarge;
            problems.push(Problem::warning(subject.clone(), "", reason, message));
        }
        let listener = mesh::listener(address, &Routes::Table(&name), None);
        output(vec![listener, table], subject, problems)
    }
}

pub(super) fn encoded(context: &Context<'_>, service: &Service) -> Hosts {
    let addresses = hosts::addresses(context, service);
    Hosts::new(hosts::of_any(context, service), &addresses, context.options)
}

fn output(
    resources: Vec<seaway_proto::Resource>,
    subject: Subject,
    problems: Vec<Problem>,
) -> Output {
    let resources = resources.into_iter();
    Output {
        resources: vec![Replace {
            origin: Origin::WholeTable,
            resources: resources
                .map(|resource| (Layer::WholeTable, resource))
                .collect(),
        }],
        problems: Some((subject, problems)),
    }
}
