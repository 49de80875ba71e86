//! What mesh proxies with imports have of a Service: copies of its resources, in the layers of
//! those that import it. A Service may lead to others that are not imported: an alias to its
//! target. Of those the same proxies have the clusters alone that are led to, and no name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl};

use crate::model::ServiceKey;
use crate::names::ClusterName;
use crate::place::imports::wide;
use crate::plan::Context;
use crate::plan::host::{RoutePlan, routed_for};
use crate::{Layer, Role};

/// Which Services that are imported lead to others.
#[derive(Clone, Debug, Default)]
pub(super) struct Imported {
    borrows: BTreeMap<ServiceKey, Borrows>,
    /// The Services that lead to a Service.
    borrowers: BTreeMap<ServiceKey, BTreeSet<ServiceKey>>,
    /// The Services of which others need something else, or elsewhere.
    lent: BTreeSet<ServiceKey>,
}

/// The clusters of other Services to which an imported Service leads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Borrows {
    /// The layers in which it is.
    layers: Vec<Layer>,
    clusters: BTreeMap<ServiceKey, BTreeSet<Arc<str>>>,
}

/// What a mesh proxy without imports sees of a Service, whatever its place.
type Seen<'r> = BTreeMap<(TypeUrl, &'r Arc<str>), (usize, &'r Resource)>;

impl Imported {
    /// Takes the Services that have to be translated once more for others that lead to them.
    pub(super) fn take_lent(&mut self) -> BTreeSet<ServiceKey> {
        std::mem::take(&mut self.lent)
    }

    /// Adds the copies of a Service's resources for those that import it, or what leads to it.
    pub(super) fn copy(
        &mut self,
        key: &ServiceKey,
        resources: &mut Vec<(Layer, Resource)>,
        context: &Context<'_>,
    ) {
        let own: Vec<Layer> = context.views.importing(key).collect();
        let is_lent = self.borrowers.contains_key(key);
        if own.is_empty() && !is_lent {
            self.note(key, None);
            return;
        }
        let wide = wide(Role::Mesh, context.options);
        let mut seen = Seen::new();
        for (layer, resource) in &*resources {
            let Some(rank) = wide.iter().position(|one| one == layer) else {
                continue;
            };
            let of_name = seen.entry((resource.type_url, &resource.name));
            let first = of_name.or_insert((rank, resource));
            if rank < first.0 {
                *first = (rank, resource);
            }
        }
        // What the routes of single namespaces lead to, all may have.
        let of_namespaces = resources.iter().filter_map(|(layer, resource)| {
            matches!(layer, Layer::Namespace { .. }).then_some(resource)
        });
        let leads = seen.values().map(|(_, resource)| *resource);
        let leads = leads.chain(of_namespaces).flat_map(|one| &*one.refs);
        let leads = leads.filter(|to| to.type_url == TypeUrl::CLUSTER);
        let leads = leads.map(|to| to.name.clone());
        let borrows = borrows(key, &own, leads.chain(of_tables(key, context)));
        let mut copies: Vec<(Layer, Resource)> = Vec::new();
        for layer in &own {
            let all = seen.values();
            copies.extend(all.map(|(_, resource)| (layer.clone(), (*resource).clone())));
        }
        let by_mtls = resources.iter().filter_map(|(layer, resource)| {
            let is_cluster = resource.type_url == TypeUrl::CLUSTER && *layer == Layer::MeshTls;
            is_cluster.then_some((&resource.name, resource))
        });
        copies.extend(self.lent_of(key, &own, (&seen, &by_mtls.collect())));
        resources.extend(copies);
        self.note(key, borrows);
    }

    /// The clusters of a Service to which others lead, with their assignments, in the layers of
    /// those. Proxies with a certificate have some clusters in another form (`by_mtls`), in a layer
    /// that overrides these, with an assignment of its own.
    fn lent_of(
        &self,
        key: &ServiceKey,
        own: &[Layer],
        (seen, by_mtls): (&Seen<'_>, &BTreeMap<&Arc<str>, &Resource>),
    ) -> Vec<(Layer, Resource)> {
        let mut lent = BTreeSet::new();
        for borrower in self.borrowers.get(key).into_iter().flatten() {
            let Some(borrows) = self.borrows.get(borrower) else {
                continue;
            };
            let clusters = borrows.clusters.get(key).into_iter().flatten();
            for cluster in clusters.map(|name| (TypeUrl::CLUSTER, name)) {
                let resource = seen.get(&cluster).map(|(_, resource)| resource);
                let forms = resource.into_iter().chain(by_mtls.get(cluster.1));
                let refs = forms.flat_map(|resource| &*resource.refs);
                let refs = refs.map(|to| (to.type_url, &to.name));
                let all: Vec<_> = refs.chain([cluster]).collect();
                let layers = borrows.layers.iter().filter(|layer| !own.contains(layer));
                lent.extend(layers.flat_map(|layer| all.iter().map(move |one| (layer, *one))));
            }
        }
        let found = lent.into_iter().filter_map(|(layer, name)| {
            let (_, resource) = seen.get(&name)?;
            Some((layer.clone(), (*resource).clone()))
        });
        found.collect()
    }

    /// Takes in what a Service leads to now, and where.
    fn note(&mut self, key: &ServiceKey, new: Option<Borrows>) {
        if self.borrows.get(key) == new.as_ref() {
            return;
        }
        let old = self.borrows.remove(key);
        for target in old.iter().flat_map(|old| old.clusters.keys()) {
            if let Some(borrowers) = self.borrowers.get_mut(target) {
                borrowers.remove(key);
                if borrowers.is_empty() {
                    self.borrowers.remove(target);
                }
            }
            self.lent.insert(target.clone());
        }
        if let Some(new) = new {
            for target in new.clusters.keys() {
                let borrowers = self.borrowers.entry(target.clone()).or_default();
                borrowers.insert(key.clone());
                self.lent.insert(target.clone());
            }
            self.borrows.insert(key.clone(), new);
        }
    }
}

/// The clusters to which the routes of a Service lead in the tables of those who import it, as the
/// clients of their namespaces have them.
fn of_tables(key: &ServiceKey, context: &Context<'_>) -> BTreeSet<Arc<str>> {
    let Some(service) = context.index.service(key) else {
        return BTreeSet::new();
    };
    let consumers = context.index.routing().consumers_of(key);
    let consumers = consumers.filter(|name| {
        let mut tables = context.views.import_tables();
        tables.any(|of| of.namespace.as_ref() == Some(name) && of.imports.has(key))
    });
    let routed = consumers.map(|name| routed_for(context, service, Some(name)));
    let clusters = routed.flat_map(|routed| {
        let routes = routed.values().flatten();
        let clusters = routes.flat_map(RoutePlan::clusters);
        clusters.cloned().collect::<Vec<_>>()
    });
    clusters.collect()
}

/// What a Service that is in these layers leads to, which are these clusters, besides its own ones.
fn borrows(
    key: &ServiceKey,
    layers: &[Layer],
    leads: impl Iterator<Item = Arc<str>>,
) -> Option<Borrows> {
    if layers.is_empty() {
        return None;
    }
    let mut clusters: BTreeMap<ServiceKey, BTreeSet<Arc<str>>> = BTreeMap::new();
    for cluster in leads {
        let Ok(name) = cluster.parse::<ClusterName>() else {
            continue;
        };
        if name.port.service != *key {
            clusters
                .entry(name.port.service)
                .or_default()
                .insert(cluster);
        }
    }
    (!clusters.is_empty()).then(|| Borrows {
        layers: layers.to_vec(),
        clusters,
    })
}
