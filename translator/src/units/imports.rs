//! What mesh proxies with imports have of a Service: copies of its resources, in the layers of
//! those that import it. A Service may lead to others that are not imported: an alias to its
//! target. Of those the same proxies have the clusters alone that are led to, and no name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl};

use crate::Layer;
use crate::Role;
use crate::model::ServiceKey;
use crate::names::ClusterName;
use crate::place::imports::wide;
use crate::plan::Context;

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
        let borrows = borrows(key, &own, leads.chain(of_namespaces));
        let mut copies: Vec<(Layer, Resource)> = Vec::new();
        for layer in &own {
            let all = seen.values();
            copies.extend(all.map(|(_, resource)| (layer.clone(), (*resource).clone())));
        }
        copies.extend(self.lent_of(key, &own, &seen));
        resources.extend(copies);
        self.note(key, borrows);
    }

    /// The clusters of a Service to which others lead, with their assignments, in the layers of
    /// those.
    fn lent_of(&self, key: &ServiceKey, own: &[Layer], seen: &Seen<'_>) -> Vec<(Layer, Resource)> {
        let mut lent = BTreeSet::new();
        for borrower in self.borrowers.get(key).into_iter().flatten() {
            let Some(borrows) = self.borrows.get(borrower) else {
                continue;
            };
            let clusters = borrows.clusters.get(key).into_iter().flatten();
            for cluster in clusters.map(|name| (TypeUrl::CLUSTER, name)) {
                let resource = seen.get(&cluster).map(|(_, resource)| resource);
                let refs = resource.into_iter().flat_map(|resource| &*resource.refs);
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

/// What a Service that is in these layers leads to besides its own clusters.
fn borrows<'r>(
    key: &ServiceKey,
    layers: &[Layer],
    resources: impl Iterator<Item = &'r Resource>,
) -> Option<Borrows> {
    if layers.is_empty() {
        return None;
    }
    let mut clusters: BTreeMap<ServiceKey, BTreeSet<Arc<str>>> = BTreeMap::new();
    let refs = resources.flat_map(|resource| &*resource.refs);
    for to in refs.filter(|to| to.type_url == TypeUrl::CLUSTER) {
        let Ok(name) = to.name.parse::<ClusterName>() else {
            continue;
        };
        if name.port.service != *key {
            let of_target = clusters.entry(name.port.service).or_default();
            of_target.insert(to.name.clone());
        }
    }
    (!clusters.is_empty()).then(|| Borrows {
        layers: layers.to_vec(),
        clusters,
    })
}
