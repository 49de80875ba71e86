//! Services whose objects say something else although no proxy is sent anything: people who edited
//! them want to read that nothing happens.

use std::collections::{BTreeMap, BTreeSet};

use super::Both;
use super::effect::{Changed, Effect, Harm, Places, Silence, What};
use super::owner::{Owner, OwnerKind};
use super::world::World;
use crate::{Object, ObjectId, ObjectKind};

/// The Services that changed, unless `is_sent` says that proxies are sent something of them.
pub(super) fn changed(both: Both<'_>, is_sent: impl Fn(&Owner) -> bool) -> Vec<Changed> {
    let Both { from, to } = both;
    let mut silent: BTreeMap<Owner, Silence> = BTreeMap::new();
    let ids: BTreeSet<&ObjectId> = from
        .objects
        .keys()
        .chain(to.objects.keys())
        .chain(from.texts.keys())
        .chain(to.texts.keys())
        .collect();
    for id in ids {
        let Some(why) = why(from, to, id) else {
            continue;
        };
        let Some(owner) = owner(to, id).or_else(|| owner(from, id)) else {
            continue;
        };
        if !is_sent(&owner) {
            let all = silent.entry(owner).or_insert(why);
            *all = both_of(*all, why);
        }
    }
    let changed = silent.into_iter().map(|(owner, why)| Changed {
        owner,
        effects: vec![Effect {
            harm: Harm::Nothing,
            port: None,
            loses: false,
            places: Places::Everywhere,
            what: What::NothingSent { why },
        }],
    });
    changed.collect()
}

/// What is different about an object; `None`: nothing.
fn why(from: &World, to: &World, id: &ObjectId) -> Option<Silence> {
    if from.objects.get(id) != to.objects.get(id) {
        return Some(Silence::Unused);
    }
    let (old, new) = (from.texts.get(id)?, to.texts.get(id)?);
    let (labels, annotations) = (old.labels != new.labels, old.annotations != new.annotations);
    match (old.rest != new.rest, labels, annotations) {
        (true, ..) => Some(Silence::Unused),
        (_, true, true) => Some(Silence::LabelsAndAnnotations),
        (_, true, false) => Some(Silence::Labels),
        (_, false, true) => Some(Silence::Annotations),
        (_, false, false) => None,
    }
}

/// What two objects of one Service are together.
fn both_of(one: Silence, other: Silence) -> Silence {
    match (one, other) {
        (Silence::Unused, _) | (_, Silence::Unused) => Silence::Unused,
        (one, other) if one == other => one,
        _ => Silence::LabelsAndAnnotations,
    }
}

/// The Service that an object belongs to.
fn owner(world: &World, id: &ObjectId) -> Option<Owner> {
    let key = match (id.kind, world.objects.get(id)?) {
        (ObjectKind::Service, _) => format!("{}/{}", id.namespace, id.name),
        (_, Object::EndpointSlice(slice)) => slice.service.as_ref()?.to_string(),
        _ => return None,
    };
    Some(Owner::new(OwnerKind::Service, key))
}
