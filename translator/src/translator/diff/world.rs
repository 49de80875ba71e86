//! [`World`]: everything that would be published for some objects and views, kept by type, name and
//! layer so that two of them can be compared.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl, Version};

use super::owner::{Owner, OwnerKind};
use crate::model::{Policy, Protocol, ServiceKey};
use crate::names::FrontendName;
use crate::policy::capture::is_redirect;
use crate::{
    Change, Layer, Object, ObjectId, ObjectKind, Options, Problem, Role, Translator, View,
};

/// One resource in its layer, with what it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub layer: Layer,
    pub owner: Owner,
    pub resource: Resource,
}

/// The name of a resource among all of them.
pub(super) type Key = (TypeUrl, Arc<str>);

/// What would be published for some objects, as proxies with these views see it.
#[derive(Debug)]
pub struct World {
    /// The views, with the layers through which each looks, most specific first.
    pub(super) views: Vec<(View, Vec<Layer>)>,
    pub(super) published: BTreeMap<Key, Vec<Standing>>,
    /// What the resources belong to.
    pub(super) owners: BTreeSet<Owner>,
    /// The objects, of kinds that belong to a Service.
    pub(super) objects: BTreeMap<ObjectId, Object>,
    /// What is known of the texts of those objects.
    pub(super) texts: BTreeMap<ObjectId, Fingerprint>,
    /// Who knows why; `None` where only resources are known.
    pub(super) translator: Option<Translator>,
    /// Whether a connection to an address that nobody serves is accepted and closed.
    pub(super) closes: bool,
    /// The listeners at each address of Services, found when somebody asks.
    listeners: OnceCell<BTreeMap<Place, Vec<(Key, FrontendName)>>>,
}

/// Where a listener takes connections or datagrams.
type Place = (SocketAddr, Protocol);

/// Hashes of what an object's text says: by them labels are told from what is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of `metadata.labels`.
    pub labels: u64,
    /// Of `metadata.annotations`.
    pub annotations: u64,
    /// Of everything else.
    pub rest: u64,
}

/// What one proxy would be sent, where nothing else is known: the resources that another version of
/// Seaway made.
#[derive(Clone, Debug)]
pub struct SeenBy {
    /// The view of the proxy.
    pub view: View,
    /// All resources that it sees.
    pub resources: Vec<Resource>,
}

impl World {
    /// Translates the objects for these views.
    #[must_use]
    pub fn new(options: Options, objects: Vec<Object>, views: &[View]) -> World {
        let closes = is_redirect(&options);
        let mut translator = Translator::new(options);
        for view in views {
            translator.activate(view);
        }
        let mut kept = BTreeMap::new();
        for object in objects {
            let id = object.id();
            if matches!(id.kind, ObjectKind::Service | ObjectKind::EndpointSlice) {
                kept.insert(id, object.clone());
            }
            translator.apply(Change::Apply(object));
        }
        let mut world = World {
            closes,
            objects: kept,
            ..World::of_views(Vec::new())
        };
        for replace in translator.flush() {
            let owner = Owner::of_origin(&replace.origin);
            for (layer, resource) in replace.resources {
                world.put(layer, owner.clone(), resource);
            }
        }
        let place = |view: &View| (view.clone(), translator.place(view));
        world.views = views.iter().map(place).collect();
        world.translator = Some(translator);
        world
    }

    /// A world of which only resources are known, view by view.
    #[must_use]
    pub fn of_resources(seen: Vec<SeenBy>) -> World {
        // What each proxy sees has a layer of its own.
        let layer = |at: usize| Layer::NodeRole(format!("{at}").into());
        let views = seen.iter().enumerate();
        let views = views.map(|(at, seen)| (seen.view.clone(), vec![layer(at)]));
        let mut world = World::of_views(views.collect());
        for (at, seen) in seen.into_iter().enumerate() {
            for resource in seen.resources {
                let owner = Owner::of_name(seen.view.role, resource.type_url, &resource.name);
                world.put(layer(at), owner, resource);
            }
        }
        world
    }

    /// A world of which only resources are known, each with the name of the origin that it is made
    /// from, in the layers through which the views look.
    #[must_use]
    pub fn of_layers(
        options: &Options,
        views: Vec<(View, Vec<Layer>)>,
        resources: Vec<(Layer, Arc<str>, Resource)>,
    ) -> World {
        let mut world = World::of_views(views);
        world.closes = is_redirect(options);
        for (layer, origin, resource) in resources {
            world.put(layer, Owner::of_origin_name(&origin), resource);
        }
        world
    }

    /// Leaves out what the other side of a comparison does not know: the objects that resources
    /// were made from, and certificates.
    #[must_use]
    pub fn without_objects(mut self) -> World {
        self.objects = BTreeMap::new();
        self.texts = BTreeMap::new();
        self.published.retain(|(of, _), _| *of != TypeUrl::SECRET);
        self
    }

    /// Adds what is known of the texts of Services and EndpointSlices.
    #[must_use]
    pub fn with_texts(mut self, texts: BTreeMap<ObjectId, Fingerprint>) -> World {
        self.texts = texts;
        self
    }

    fn of_views(views: Vec<(View, Vec<Layer>)>) -> World {
        World {
            views,
            published: BTreeMap::new(),
            owners: BTreeSet::new(),
            objects: BTreeMap::new(),
            texts: BTreeMap::new(),
            translator: None,
            closes: false,
            listeners: OnceCell::new(),
        }
    }

    fn put(&mut self, layer: Layer, owner: Owner, resource: Resource) {
        if !self.owners.contains(&owner) {
            self.owners.insert(owner.clone());
        }
        let key = (resource.type_url, resource.name.clone());
        self.published.entry(key).or_default().push(Standing {
            layer,
            owner,
            resource,
        });
    }

    /// All problems of the objects, sorted.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let translator = self.translator.as_ref();
        translator.map_or_else(Vec::new, Translator::problems)
    }

    /// The Services of this world: those with objects, or with resources where no object is known.
    pub(super) fn services(&self) -> BTreeSet<Arc<str>> {
        let of_kind = |id: &&ObjectId| id.kind == ObjectKind::Service;
        let objects = self.objects.keys().filter(of_kind);
        let objects = objects.map(|id| format!("{}/{}", id.namespace, id.name).into());
        let owners = self.owners.iter();
        let owners = owners.filter(|owner| owner.kind == OwnerKind::Service);
        objects
            .chain(owners.map(|owner| owner.name.clone()))
            .collect()
    }

    /// What a proxy sees under a name.
    pub(super) fn seen(&self, key: &Key, view: usize) -> Option<&Resource> {
        let standing = self.published.get(key)?;
        seen(standing, &self.views.get(view)?.1).map(|found| &found.resource)
    }

    /// The listener that a proxy sees at the place of this one, which is another one.
    pub(super) fn other_listener(&self, name: &FrontendName, view: usize) -> Option<&FrontendName> {
        let listeners = self.listeners.get_or_init(|| {
            let mut all: BTreeMap<Place, Vec<(Key, FrontendName)>> = BTreeMap::new();
            for key in self.published.keys() {
                if key.0 == TypeUrl::LISTENER
                    && let Ok(name) = key.1.parse::<FrontendName>()
                {
                    let place = (name.address, name.port.protocol);
                    all.entry(place).or_default().push((key.clone(), name));
                }
            }
            all
        });
        let mut there = listeners.get(&(name.address, name.port.protocol))?.iter();
        let found = there.find(|(key, other)| other != name && self.seen(key, view).is_some());
        found.map(|(_, other)| other)
    }

    /// Whether a Local policy of this Service is for traffic from outside alone.
    pub(super) fn is_local_outside(&self, service: &ServiceKey) -> bool {
        match self.objects.get(&ObjectId::of_service(service)) {
            Some(Object::Service(service)) => service.internal_policy == Policy::Cluster,
            _ => false,
        }
    }

    /// Whether a view is that of a proxy of role `node`.
    pub(super) fn is_of_node(&self, view: usize) -> bool {
        let view = self.views.get(view);
        view.is_some_and(|(view, _)| view.role == Role::Node)
    }

    /// The zone in which a proxy is.
    pub(super) fn zone(&self, view: usize) -> Option<&Arc<str>> {
        let (view, layers) = self.views.get(view)?;
        let zone = layers.iter().find_map(|layer| match layer {
            Layer::Zone(zone) => Some(zone),
            _ => None,
        });
        zone.or(view.zone.as_ref())
    }
}

/// Which of the resources of one name is seen through these layers.
pub(super) fn seen<'a>(standing: &'a [Standing], layers: &[Layer]) -> Option<&'a Standing> {
    let seen = match standing {
        [only] => layers.contains(&only.layer).then_some(only),
        _ => layers
            .iter()
            .find_map(|layer| standing.iter().find(|one| one.layer == *layer)),
    };
    // What only overrides shows nothing by itself.
    let is_there = |one: &Standing| !one.layer.is_overriding() && layers.contains(&one.layer);
    seen.filter(|seen| is_there(seen) || standing.iter().any(is_there))
}

/// Whether both have the same bytes in the same layers.
pub(super) fn equal(one: &[Standing], other: &[Standing]) -> bool {
    let versions = |all: &[Standing]| -> BTreeMap<Layer, Version> {
        let each = all.iter();
        each.map(|one| (one.layer.clone(), one.resource.version))
            .collect()
    };
    match (one, other) {
        ([one], [other]) => {
            one.layer == other.layer && one.resource.version == other.resource.version
        }
        _ => one.len() == other.len() && versions(one) == versions(other),
    }
}
