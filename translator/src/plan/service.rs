//! The plan of a Service with endpoints of its own: all decisions on it, in one value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Context;
use super::clusters::{self, ClusterPlan, ClusterUse};
use super::frontends::{self, FrontendPlan};
use super::health::{self, HealthCheckPlan};
use super::hosts::{self, Host};
use crate::model::{Family, Service};
use crate::names::ClusterName;
use crate::place::endpoints::{self, Candidate, PortEndpoints};
use crate::policy::frontends::of_service;

/// The endpoints of a Service by the position of their port and their family.
pub(crate) type Endpoints<'a> = BTreeMap<(usize, Family), PortEndpoints<'a>>;

/// The plan of a Service that is not of type ExternalName. Listeners of single nodes are planned
/// node by node (`plan/listeners.rs`).
#[derive(Debug)]
pub(crate) struct ServicePlan<'a> {
    /// Every frontend with the verdict on it.
    pub frontends: Vec<FrontendPlan>,
    /// The endpoints of each port and IP family for which there is a cluster.
    pub endpoints: Endpoints<'a>,
    /// The clusters, which stay when all endpoints are gone (Service rule 80).
    pub clusters: Vec<ClusterPlan>,
    pub hosts: Vec<Host>,
    pub health_check: HealthCheckPlan<'a>,
}

impl<'a> ServicePlan<'a> {
    /// Plans the Service.
    pub(crate) fn new(context: &Context<'a>, service: &Service) -> ServicePlan<'a> {
        let frontends = of_service(service, context.options);
        let wanted = clusters::wanted(service, &frontends, context);
        let endpoints = join(context, service, &wanted);
        let clusters = wanted.into_iter().map(|(name, users)| {
            let candidates = candidates(&endpoints, users.port, name.family);
            clusters::plan(context, service, name, users, candidates)
        });
        let clusters = clusters.collect();
        let all = endpoints.values().flat_map(|of_port| &of_port.candidates);
        let health_check = health::plan(context, service, all, None);
        ServicePlan {
            frontends: frontends::decide(context, service, frontends, &endpoints),
            clusters,
            hosts: hosts::of_service(service),
            health_check,
            endpoints,
        }
    }

    /// The endpoints among which the assignments of a cluster choose.
    pub(crate) fn candidates(&self, cluster: &ClusterPlan) -> &[Candidate<'a>] {
        candidates(&self.endpoints, cluster.port, cluster.name.family)
    }
}

/// Plans only the health check of a Service, with the listeners and answers of these nodes alone.
pub(crate) fn health_check_on<'a>(
    context: &Context<'a>,
    service: &Service,
    nodes: &BTreeSet<Arc<str>>,
) -> HealthCheckPlan<'a> {
    if service.health_check_port.is_none() {
        return HealthCheckPlan::default();
    }
    let frontends = of_service(service, context.options);
    let wanted = clusters::wanted(service, &frontends, context);
    let endpoints = join(context, service, &wanted);
    let all = endpoints.values().flat_map(|of_port| &of_port.candidates);
    health::plan(context, service, all, Some(nodes))
}

/// Joins the endpoints of each port and family for which a cluster is wanted.
fn join<'a>(
    context: &Context<'a>,
    service: &Service,
    wanted: &BTreeMap<ClusterName, ClusterUse>,
) -> Endpoints<'a> {
    let mut joined = Endpoints::new();
    for (name, users) in wanted {
        let of_port = joined.entry((users.port, name.family));
        of_port.or_insert_with(|| {
            let port = &service.ports[users.port];
            endpoints::of_port(service, port, name.family, context.index, context.options)
        });
    }
    joined
}

/// The candidates of a Service port in a family; none if they were not joined.
fn candidates<'e, 'a>(
    endpoints: &'e Endpoints<'a>,
    port: usize,
    family: Family,
) -> &'e [Candidate<'a>] {
    let of_port = endpoints.get(&(port, family));
    of_port.map_or(&[], |of_port| &of_port.candidates)
}
