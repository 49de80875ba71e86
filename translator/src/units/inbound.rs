//! What mesh proxies with a certificate have for their own workloads: a listener for each namespace
//! with Services, and where the certificates are.
//!
//! A proxy does not say which pod it is in, so it takes connections to the ports of all Services of
//! its namespace; what does not listen beside it refuses them. The listener is there before the
//! Namespace asks for mTLS, so that clients find it when they turn to it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use super::Output;
use crate::envoy::mtls;
use crate::model::{Kind, ServiceKey};
use crate::plan::Context;
use crate::plan::clusters::mtls::workload_ports;
use crate::{Layer, Origin, Replace};

/// Where the certificates of mesh proxies are.
pub(crate) fn certificates(context: &Context<'_>) -> Output {
    let secrets = match context.options.mesh_inbound {
        Some(_) => mtls::secrets(context.options).to_vec(),
        None => Vec::new(),
    };
    let resources = secrets
        .into_iter()
        .map(|secret| (Layer::MeshCertificates, secret));
    Output {
        resources: vec![Replace {
            origin: Origin::MeshCertificates,
            resources: resources.collect(),
        }],
        problems: None,
    }
}

/// The ports of the Services of each namespace.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    ports: BTreeMap<Arc<str>, BTreeMap<ServiceKey, Vec<NonZeroU16>>>,
    /// The namespaces whose listener has to be made again.
    changed: BTreeSet<Arc<str>>,
}

impl Inbound {
    /// Looks at the ports of one Service again.
    pub(crate) fn renew(&mut self, key: &ServiceKey, context: &Context<'_>) {
        if context.options.mesh_inbound.is_none() {
            return;
        }
        let service = context.index.service(key);
        let service = service.filter(|service| !matches!(service.kind, Kind::ExternalName(_)));
        let ports = service.map_or_else(Vec::new, |service| workload_ports(context, service));
        let of_namespace = self.ports.entry(key.namespace.clone()).or_default();
        let is_other = match ports.is_empty() {
            true => of_namespace.remove(key).is_some(),
            false => of_namespace.insert(key.clone(), ports.clone()) != Some(ports),
        };
        if of_namespace.is_empty() {
            self.ports.remove(&key.namespace);
        }
        if is_other {
            self.changed.insert(key.namespace.clone());
        }
    }

    /// Has the listener of a namespace made again.
    pub(crate) fn renew_namespace(&mut self, namespace: &Arc<str>) {
        self.changed.insert(namespace.clone());
    }

    /// The listeners of the namespaces whose ports may be others.
    pub(crate) fn translate(&mut self, context: &Context<'_>) -> Output {
        let changed = std::mem::take(&mut self.changed);
        let replaces = changed.into_iter().map(|namespace| Replace {
            resources: self.resources(&namespace, context),
            origin: Origin::MeshInbound(namespace),
        });
        Output {
            resources: replaces.collect(),
            problems: None,
        }
    }

    /// The listeners of all namespaces, as of the last flush.
    pub(super) fn all(&self, context: &Context<'_>) -> Vec<Replace> {
        let namespaces = self.ports.keys();
        let replaces = namespaces.map(|namespace| Replace {
            resources: self.resources(namespace, context),
            origin: Origin::MeshInbound(namespace.clone()),
        });
        replaces.collect()
    }

    fn resources(
        &self,
        namespace: &Arc<str>,
        context: &Context<'_>,
    ) -> Vec<(Layer, seaway_proto::Resource)> {
        let services = self.ports.get(namespace).into_iter().flatten();
        let ports: BTreeSet<NonZeroU16> = services.flat_map(|(_, ports)| ports).copied().collect();
        let ports: Vec<NonZeroU16> = ports.into_iter().collect();
        let is_taken = !ports.is_empty() && context.views.has_inbound(namespace);
        let Some(address) = context.options.mesh_inbound.filter(|_| is_taken) else {
            return Vec::new();
        };
        let listener = mtls::listener(address, &ports, context.options);
        let clusters = ports.iter().map(|port| mtls::workload(*port));
        let layer = Layer::MeshInbound(namespace.clone());
        let resources = clusters.chain([listener]);
        resources
            .map(|resource| (layer.clone(), resource))
            .collect()
    }
}
