//! Which resources differ between two worlds, and for whom: a resource that some proxies see as it
//! was is a change for the others alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl, Version};
use serde::{Deserialize, Serialize};

use super::Both;
use super::effect::{Counts, Places};
use super::owner::{Owner, OwnerKind};
use super::places::places;
use super::world::{Key, Standing, World, equal, seen};
use crate::Layer;
use crate::names::assigned_to;

/// A resource that differs, once for each way in which it does.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub type_url: TypeUrl,
    pub name: Arc<str>,
    pub owner: Owner,
    pub variants: Vec<Variant<'a>>,
    /// The views that have, or had, the resource.
    pub seen_by: Views,
    /// The same in words, for each variant.
    places: Vec<Places>,
}

/// One way in which a resource differs.
#[derive(Debug)]
pub(super) struct Variant<'a> {
    /// What these proxies have; `None`: nothing.
    pub old: Option<&'a Resource>,
    /// What they would have; `None`: nothing.
    pub new: Option<&'a Resource>,
    /// The views of these proxies.
    pub views: Views,
}

/// Positions of views, sorted. Most resources have the same ones, which are kept once.
pub(super) type Views = Arc<[usize]>;

/// A resource that proxies are sent, or that is removed from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceChange {
    /// The last part of the name of its type: `Cluster`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: Arc<str>,
    /// What it belongs to.
    pub owner: Owner,
    /// The proxies that are concerned.
    pub places: Places,
    /// How many bytes it had; 0 if it was not there.
    pub bytes_before: usize,
    /// How many bytes it has; 0 if it is removed.
    pub bytes_after: usize,
    /// The resource before.
    #[serde(skip)]
    pub old: Option<Resource>,
    /// The resource after.
    #[serde(skip)]
    pub new: Option<Resource>,
}

impl<'a> Change<'a> {
    /// The change as a list of plain values, one for each variant.
    pub(super) fn listed(self) -> Vec<ResourceChange> {
        let bytes = |resource: Option<&Resource>| resource.map_or(0, |r| r.value.len());
        let listed = self.variants.into_iter().zip(self.places);
        let listed = listed.map(|(variant, places)| ResourceChange {
            kind: self.type_url.short().to_owned(),
            name: self.name.clone(),
            owner: self.owner.clone(),
            places,
            bytes_before: bytes(variant.old),
            bytes_after: bytes(variant.new),
            old: variant.old.cloned(),
            new: variant.new.cloned(),
        });
        listed.collect()
    }

    /// The variants in which proxies had the resource and have another one.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (&'a Resource, &'a Resource, &[usize])> {
        let pair = |v: &Variant<'a>| Some((v.old?, v.new?));
        let all = self.variants.iter();
        all.filter_map(move |v| pair(v).map(|(old, new)| (old, new, &v.views[..])))
    }

    /// The views that had the resource and have it no more.
    pub(super) fn removed_from(&self) -> Vec<usize> {
        self.views_of(|variant| variant.new.is_none())
    }

    /// The views that have the resource and had it not.
    pub(super) fn added_to(&self) -> Vec<usize> {
        self.views_of(|variant| variant.old.is_none())
    }

    fn views_of(&self, is_meant: impl Fn(&Variant<'a>) -> bool) -> Vec<usize> {
        let meant = self.variants.iter().filter(|variant| is_meant(variant));
        let mut views: Vec<usize> = meant.flat_map(|v| v.views.iter().copied()).collect();
        views.sort_unstable();
        views
    }
}

/// The views that look through the same layers, but for those of their node and zone.
struct Group {
    from: Vec<Layer>,
    to: Vec<Layer>,
    views: Vec<usize>,
}

/// All resources that some view sees otherwise, sorted by type and name.
pub(super) fn between<'a>(from: &'a World, to: &'a World) -> Vec<Change<'a>> {
    let groups = groups(from, to);
    let is_moved = from.views.iter().zip(&to.views).any(|(a, b)| a.1 != b.1);
    let names: BTreeSet<&Key> = from.published.keys().chain(to.published.keys()).collect();
    let mut known = Known::default();
    let mut changes = Vec::new();
    for key in names {
        let (old, new) = (Named::of(from, key), Named::of(to, key));
        let all = || old.standing.iter().chain(new.standing);
        let of_places = all().any(|one| one.layer.is_of_a_place());
        let is_same = equal(old.standing, new.standing) && old.is_asked_like(&new);
        if is_same && !(of_places && is_moved) {
            continue;
        }
        // Two fleets may have a resource of one name each.
        let owners: BTreeSet<&Owner> = all().map(|one| &one.owner).collect();
        for owner in owners {
            let finding = Finding {
                from: (from, old),
                to: (to, new),
                owner,
                of_places,
            };
            let found = finding.variants(&groups);
            if !found.variants.is_empty() {
                changes.push(found.change(key, owner, to, &mut known));
            }
        }
    }
    changes
}

fn groups(from: &World, to: &World) -> Vec<Group> {
    let general = |layers: &[Layer]| -> Vec<Layer> {
        let general = layers.iter().filter(|layer| !layer.is_of_a_place());
        general.cloned().collect()
    };
    let mut groups: BTreeMap<(Vec<Layer>, Vec<Layer>), Vec<usize>> = BTreeMap::new();
    for (at, (old, new)) in from.views.iter().zip(&to.views).enumerate() {
        let layers = (general(&old.1), general(&new.1));
        groups.entry(layers).or_default().push(at);
    }
    let groups = groups.into_iter();
    groups
        .map(|((from, to), views)| Group { from, to, views })
        .collect()
}

/// The resources of one name in one world.
#[derive(Clone, Copy)]
struct Named<'a> {
    standing: &'a [Standing],
    /// The clusters by which an assignment is asked for; it is sent to nobody else.
    asked_by: Option<&'a [Standing]>,
    /// Whether it is asked for by the one that speaks mTLS.
    by_mtls: bool,
}

impl<'a> Named<'a> {
    fn of(world: &'a World, key: &Key) -> Named<'a> {
        let all = |key: &Key| world.published.get(key).map_or(&[][..], |all| all);
        let (cluster, by_mtls) = assigned_to(&key.1);
        let asked_by = (key.0 == TypeUrl::ENDPOINT).then(|| {
            let cluster = if by_mtls {
                cluster.into()
            } else {
                key.1.clone()
            };
            all(&(TypeUrl::CLUSTER, cluster))
        });
        Named {
            standing: all(key),
            asked_by,
            by_mtls,
        }
    }

    /// Whether the same proxies ask for it.
    fn is_asked_like(&self, other: &Named<'_>) -> bool {
        let layers = |named: &Named<'_>| -> BTreeSet<Layer> {
            let clusters = named.asked_by.into_iter().flatten();
            clusters.map(|cluster| cluster.layer.clone()).collect()
        };
        match (self.asked_by, other.asked_by) {
            (None, None) => true,
            (Some([one]), Some([other])) => one.layer == other.layer,
            _ => layers(self) == layers(other),
        }
    }

    /// What is sent to proxies that look through these layers.
    fn sent(&self, layers: &[Layer]) -> Option<&'a Standing> {
        let is_asked = |clusters: &[Standing]| {
            let cluster = seen(clusters, layers);
            cluster.is_some_and(|cluster| (cluster.layer == Layer::MeshTls) == self.by_mtls)
        };
        let found = seen(self.standing, layers);
        found.filter(|_| self.asked_by.is_none_or(is_asked))
    }
}

/// The search for the variants of one resource of one owner.
struct Finding<'a, 'f> {
    from: (&'a World, Named<'a>),
    to: (&'a World, Named<'a>),
    owner: &'f Owner,
    of_places: bool,
}

/// What was found of it.
#[derive(Default)]
struct Found<'a> {
    variants: BTreeMap<Versions, (Pair<'a>, Vec<usize>)>,
    seen_by: Vec<usize>,
}

type Pair<'a> = (Option<&'a Resource>, Option<&'a Resource>);
type Versions = (Option<Version>, Option<Version>);

impl<'a> Finding<'a, '_> {
    fn variants(&self, groups: &[Group]) -> Found<'a> {
        let mut found = Found::default();
        for group in groups {
            if !self.of_places {
                found.note(self.pair(&group.from, &group.to), &group.views);
                continue;
            }
            for view in &group.views {
                let layers = (&self.from.0.views[*view].1, &self.to.0.views[*view].1);
                found.note(self.pair(layers.0, layers.1), &[*view]);
            }
        }
        found
    }

    fn pair(&self, from: &[Layer], to: &[Layer]) -> Pair<'a> {
        let own = |found: Option<&'a Standing>| {
            let own = found.filter(|found| found.owner == *self.owner);
            own.map(|found| &found.resource)
        };
        (own(self.from.1.sent(from)), own(self.to.1.sent(to)))
    }
}

impl<'a> Found<'a> {
    fn note(&mut self, pair: Pair<'a>, views: &[usize]) {
        let versions = (pair.0.map(|r| r.version), pair.1.map(|r| r.version));
        if versions == (None, None) {
            return;
        }
        self.seen_by.extend_from_slice(views);
        if versions.0 != versions.1 {
            let variant = self.variants.entry(versions);
            let (_, of) = variant.or_insert_with(|| (pair, Vec::new()));
            of.extend_from_slice(views);
        }
    }

    fn change(self, key: &Key, owner: &Owner, to: &World, known: &mut Known) -> Change<'a> {
        let seen_by = known.once(self.seen_by);
        let variants = self.variants.into_values();
        let variants = variants.map(|((old, new), views)| Variant {
            old,
            new,
            views: known.once(views),
        });
        let variants: Vec<Variant<'a>> = variants.collect();
        let of = |variant: &Variant<'a>| places(to, &variant.views, &seen_by);
        Change {
            type_url: key.0,
            name: key.1.clone(),
            owner: owner.clone(),
            places: variants.iter().map(of).collect(),
            variants,
            seen_by,
        }
    }
}

/// The lists of views that were found last.
#[derive(Default)]
struct Known(VecDeque<Views>);

impl Known {
    /// How many lists are remembered.
    const MOST: usize = 8;

    /// The list, sorted; the same one again if it was found lately.
    fn once(&mut self, mut views: Vec<usize>) -> Views {
        views.sort_unstable();
        if let Some(known) = self.0.iter().find(|known| ***known == *views) {
            return Arc::clone(known);
        }
        let views: Views = views.into();
        self.0.truncate(Known::MOST - 1);
        self.0.push_front(Arc::clone(&views));
        views
    }
}

/// Counts what changes, and what it costs the proxy that is sent most.
pub(super) fn count<'a>(
    both: Both<'_>,
    changes: &[Change<'_>],
    owners: impl Iterator<Item = &'a Owner>,
) -> Counts {
    let views = both.to.views.len();
    let (mut resources, mut bytes) = (vec![0; views], vec![0; views]);
    for variant in changes.iter().flat_map(|change| &change.variants) {
        for view in variant.views.iter() {
            resources[*view] += 1;
            bytes[*view] += variant.new.map_or(0, |new| new.value.len());
        }
    }
    let listeners = |is_meant: &dyn Fn(&Variant<'_>) -> bool| {
        let listeners = changes.iter();
        let listeners = listeners.filter(|change| change.type_url == TypeUrl::LISTENER);
        listeners
            .filter(|l| l.variants.iter().any(is_meant))
            .count()
    };
    let services = &both.from.services() | &both.to.services();
    Counts {
        services: services.len(),
        changed: owners
            .filter(|owner| owner.kind == OwnerKind::Service)
            .count(),
        views,
        most_resources: resources.into_iter().max().unwrap_or(0),
        most_bytes: bytes.into_iter().max().unwrap_or(0),
        listeners_replaced: listeners(&|v| v.old.is_some() && v.new.is_some()),
        listeners_removed: listeners(&|v| v.new.is_none()),
        listeners_added: listeners(&|v| v.old.is_none()),
    }
}
