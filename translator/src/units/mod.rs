//! Units of translation: each has its own origin of resources, knows when it has to be translated
//! again, and then yields all its resources.

pub(crate) mod dirty;
pub(crate) mod grpc;
pub(crate) mod healthz;
mod import_tables;
mod imports;
mod inbound;
pub(crate) mod ingress;
pub(crate) mod mesh;
mod parts;
pub(crate) mod redirect;
pub(crate) mod search;
pub(crate) mod service;
pub(crate) mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::ServiceKey;
use crate::plan::Context;
use crate::{Fleet, Origin, Problem, Replace, ServiceSummary, Subject};
use dirty::Unit;
use import_tables::ImportTables;
use imports::Imported;
use inbound::Inbound;
use mesh::WholeTable;
use redirect::Redirect;
use service::{Extent, ServiceUnit, Translated};
use sockets::Sockets;

/// The result of translating one unit: the resources of the origins that changed, and its problems.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// The complete resources of each origin that may have changed.
    pub resources: Vec<Replace>,
    /// All problems of the unit with their subject; `None` if they are those of the last time.
    pub problems: Option<(Subject, Vec<Problem>)>,
}

/// The state that all units keep between translations.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// The state of those Services of which anything is to be kept.
    services: BTreeMap<ServiceKey, ServiceUnit>,
    redirect: Redirect,
    whole_table: WholeTable,
    import_tables: ImportTables,
    imported: Imported,
    inbound: Inbound,
    sockets: Sockets,
    /// The summaries of the Services that were translated since they were last taken; without one a
    /// Service is gone. None unless summaries are asked for.
    summed_up: Vec<(ServiceKey, Option<ServiceSummary>)>,
    /// The fleets with proxies that ask, or asked, for certificates by names: for no other is
    /// anything made of that, nor to be taken back.
    asking: BTreeSet<Fleet>,
}

impl Units {
    /// Translates one unit again.
    pub(crate) fn translate(&mut self, unit: Unit, context: &Context<'_>) -> Output {
        match unit {
            Unit::Service(key, extent, nodes) => self.service(&key, extent, &nodes, context),
            Unit::Redirect => self.redirect.translate(context),
            Unit::Mesh => mesh::listener(context),
            Unit::MeshNamespace(name, table) => mesh::listener_in(&name, table, context),
            Unit::WholeTable => self.whole_table.translate(context),
            Unit::ImportTables => self.import_tables.translate(context),
            Unit::MeshCertificates => inbound::certificates(context),
            Unit::MeshInbound => self.inbound.translate(context),
            Unit::IngressHosts => ingress::subscriber(),
            Unit::IngressPort(table) => ingress::port(&table, context),
            Unit::IngressHost(table, host) => ingress::host(&table, &host, context),
            Unit::IngressCertificate(table, host) => {
                if context.views.deliveries(&table.fleet).on_demand {
                    self.asking.insert(table.fleet.clone());
                }
                match self.asking.contains(&table.fleet) {
                    true => ingress::certificate(&table, &host, context),
                    false => Output::default(),
                }
            }
            Unit::Secret(key) => ingress::secret(&key, context),
            Unit::RouteObject(object) => ingress::object(&object, context),
            Unit::Targets(key) => grpc::translate(&key, context),
            Unit::Sockets => self.sockets.translate(context),
            Unit::Healthz => healthz::translate(context),
        }
    }

    /// The Services that have to be translated once more, since others lead to them that are
    /// imported elsewhere now.
    pub(crate) fn take_lent(&mut self) -> BTreeSet<ServiceKey> {
        self.imported.take_lent()
    }

    /// Has the listener made again by which the proxies of a namespace take mTLS: somebody is the
    /// first to take it, or nobody does any more.
    pub(crate) fn renew_inbound(&mut self, namespace: &Arc<str>) {
        self.inbound.renew_namespace(namespace);
    }

    /// The summaries of the Services that were translated since the last call.
    pub(crate) fn take_summed_up(&mut self) -> Vec<(ServiceKey, Option<ServiceSummary>)> {
        std::mem::take(&mut self.summed_up)
    }

    fn service(
        &mut self,
        key: &ServiceKey,
        extent: Extent,
        nodes: &BTreeSet<Arc<str>>,
        context: &Context<'_>,
    ) -> Output {
        let mut unit = self.services.remove(key).unwrap_or_default();
        let Translated {
            mut output,
            sockets,
            summary,
        } = unit.translate(key, extent, nodes, context);
        if let Some(summary) = summary {
            self.summed_up.push((key.clone(), summary));
        }
        if extent == Extent::Whole {
            self.whole_table.renew(key, context);
            self.import_tables.renew(key, context);
        }
        let mut replaces = output.resources.iter_mut();
        if let Some(whole) = replaces.find(|one| matches!(one.origin, Origin::Service(_))) {
            self.imported.copy(key, &mut whole.resources, context);
        }
        if extent != Extent::Nodes {
            self.inbound.renew(key, context);
        }
        self.sockets.set(key, sockets);
        if !unit.is_empty() {
            self.services.insert(key.clone(), unit);
        }
        output
    }
}
