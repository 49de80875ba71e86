//! What all mesh proxies share, or those of a namespace: their HTTP listener, which never changes
//! and finds the scopes that every Service has of its own; and, for those that do not take scopes,
//! the routes of all Services as one table.
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
use crate::plan::host::routed_for;
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
    /// What proxies of a namespace have in place of some of the parts.
    own: BTreeMap<Arc<str>, BTreeMap<ServiceKey, Hosts>>,
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
        let of = |clients| {
            service.map_or_else(Hosts::default, |service| encoded(context, service, clients))
        };
        self.changed |= put(parts, key, of(None));
        let mut own: BTreeMap<&Arc<str>, Hosts> = BTreeMap::new();
        let consumers = context.index.routing().consumers_of(key);
        for namespace in consumers.filter(|name| context.views.has_namespace(name, true)) {
            let hosts = of(Some(namespace));
            if parts.get(key) != Some(&hosts) {
                own.insert(namespace, hosts);
            }
        }
        for namespace in own.keys() {
            self.own.entry(Arc::clone(namespace)).or_default();
        }
        for (namespace, parts) in &mut self.own {
            self.changed |= put(parts, key, own.remove(namespace).unwrap_or_default());
        }
        self.own.retain(|_, parts| !parts.is_empty());
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
                Some(_) => {
                    self.own.clear();
                    output(Vec::new(), subject, Vec::new())
                }
            };
        }
        if self.parts.is_none() {
            let all = context.index.services();
            let hosts = all.map(|(key, service)| (key.clone(), encoded(context, service, None)));
            self.parts = Some(hosts.filter(|(_, hosts)| !hosts.is_empty()).collect());
            self.changed = true;
            for key in context.index.routing().consumed() {
                self.renew(key, context);
            }
        }
        let Some(parts) = self.parts.as_ref().filter(|_| self.changed) else {
            return Output::default();
        };
        let table = route::table(&name, parts.values());
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
        let shared = [listener, table].map(|resource| (Layer::WholeTable, resource));
        let of_namespaces = self.own.iter().map(|(namespace, own)| {
            let layer = Layer::Namespace {
                name: namespace.clone(),
                whole_table: true,
            };
            let hosts = parts.iter();
            let hosts = hosts.map(|(key, hosts)| own.get(key).unwrap_or(hosts));
            (layer, route::table(&name, hosts))
        });
        let resources = shared.into_iter().chain(of_namespaces).collect();
        output(resources, subject, problems)
    }
}

/// Puts the virtual hosts of a Service among others, or takes them away if there are none. Returns
/// whether that changes anything.
pub(super) fn put(parts: &mut BTreeMap<ServiceKey, Hosts>, key: &ServiceKey, hosts: Hosts) -> bool {
    if hosts.is_empty() {
        return parts.remove(key).is_some();
    }
    let differs = parts.get(key) != Some(&hosts);
    if differs {
        parts.insert(key.clone(), hosts);
    }
    differs
}

/// The virtual hosts of a Service, as clients of this namespace have them, or of any other.
pub(super) fn encoded(
    context: &Context<'_>,
    service: &Service,
    clients: Option<&Arc<str>>,
) -> Hosts {
    let addresses = hosts::addresses(context, service);
    let routed = routed_for(context, service, clients);
    let hosts = hosts::of_any(context, service);
    Hosts::new(hosts, &addresses, &routed, context.options)
}

fn output(
    resources: Vec<(Layer, seaway_proto::Resource)>,
    subject: Subject,
    problems: Vec<Problem>,
) -> Output {
    Output {
        resources: vec![Replace {
            origin: Origin::WholeTable,
            resources,
        }],
        problems: Some((subject, problems)),
    }
}
