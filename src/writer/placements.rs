//! Keeps which views are in use, and which layers of resources each placement sees.
//!
//! A placement belongs to the part of a view that decides the layers of a proxy: its role, its node
//! and the zone it claims. It is in use while a stream holds a lease on it and [`LINGER`] longer,
//! so that a proxy that reconnects finds its resources already made. What no placement sees any
//! more is dropped with the last one, down to the numbers of its layers: how many there are is the
//! proxies' choice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_translator::{Layer, Translator, View};
use seaway_xds::{LayerId, PlacementId};

use super::imports::ImportLists;

/// How long a view stays active without a lease.
const LINGER: Duration = Duration::from_secs(30);

/// A placement that is new or has other layers, or is retired (`None`).
pub(super) type Change = (PlacementId, Option<Vec<LayerId>>);

/// The places of proxies (role, node and zone) for which resources are made, each with the number
/// of streams that need it.
#[derive(Debug, Default)]
pub(super) struct Placements {
    held: BTreeMap<View, Held>,
    /// Views without a lease, by when they expire.
    expiries: BTreeSet<(Instant, View)>,
    layers: Layers,
    imports: ImportLists,
    last: u64,
    changed: Vec<Change>,
    /// Resources that a new or changed placement sees have yet to be translated.
    incomplete: bool,
}

/// A placement in use: its layers and the number of its leases.
#[derive(Debug)]
struct Held {
    id: PlacementId,
    layers: Vec<Layer>,
    leases: usize,
    /// When it expires; set while there is no lease.
    expires: Option<Instant>,
}

impl Placements {
    /// Takes a lease on the placement of a view, and makes the view active if it is new.
    ///
    /// # Errors
    /// There are too many placements of its kind.
    pub(super) fn lease(
        &mut self,
        view: &View,
        translator: &mut Translator,
    ) -> Result<PlacementId, String> {
        let view = view.deciding();
        if let Some(held) = self.held.get_mut(&view) {
            held.leases += 1;
            let id = held.id;
            if let Some(at) = held.expires.take() {
                self.expiries.remove(&(at, view));
            }
            return Ok(id);
        }
        self.imports.add(&view)?;
        self.incomplete |= translator.activate(&view);
        self.last += 1;
        let id = PlacementId(self.last);
        let layers = translator.place(&view);
        let ids = self.layers.add(&layers);
        self.changed.push((id, Some(ids)));
        let held = Held {
            id,
            layers,
            leases: 1,
            expires: None,
        };
        self.held.insert(view, held);
        Ok(id)
    }

    /// Gives a lease back.
    pub(super) fn release(&mut self, view: &View, now: Instant) {
        let view = view.deciding();
        if let Some(held) = self.held.get_mut(&view) {
            held.leases = held.leases.saturating_sub(1);
            if held.leases == 0 && held.expires.is_none() {
                held.expires = Some(now + LINGER);
                self.expiries.insert((now + LINGER, view));
            }
        }
    }

    /// When the next view expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Retires the placements that have had no lease for [`LINGER`]. Returns whether there were
    /// any.
    pub(super) fn expire(&mut self, now: Instant, translator: &mut Translator) -> bool {
        let before = self.changed.len();
        while self.next_expiry().is_some_and(|at| at <= now)
            && let Some((_, view)) = self.expiries.pop_first()
        {
            if let Some(held) = self.held.remove(&view) {
                translator.deactivate(&view);
                self.imports.remove(&view);
                self.layers.remove(&held.layers);
                self.changed.push((held.id, None));
            }
        }
        self.changed.len() > before
    }

    /// Updates the layers of placements after a change of an object that decides them (Service
    /// rules 69, 150).
    pub(super) fn follow(&mut self, translator: &mut Translator) {
        for view in translator.take_moved() {
            let Some(held) = self.held.get_mut(&view) else {
                continue;
            };
            let layers = translator.place(&view);
            if layers != held.layers {
                // First what comes, so that a layer in both keeps its number.
                let ids = self.layers.add(&layers);
                self.layers.remove(&held.layers);
                held.layers = layers;
                self.incomplete = true;
                self.changed.push((held.id, Some(ids)));
            }
        }
    }

    /// Whether the changes have to be committed together with what the translator has yet to flush.
    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Drops the numbers of layers that no placement sees, once their resources have been removed.
    pub(super) fn forget_unseen(&mut self) {
        self.layers.forget_unseen();
    }

    /// Takes the changes of placements that are to be committed.
    pub(super) fn take_changed(&mut self) -> Vec<Change> {
        self.incomplete = false;
        std::mem::take(&mut self.changed)
    }

    /// Takes the layers that have a number now (`Some`) or have none any more.
    pub(super) fn take_numbered(&mut self) -> Vec<(LayerId, Option<Layer>)> {
        std::mem::take(&mut self.layers.numbered)
    }

    /// The layers that all replicas have ([`Layer::is_shared`]), with their names.
    pub(super) fn shared_layers(&self) -> &Arc<BTreeMap<LayerId, Arc<str>>> {
        &self.layers.shared
    }

    /// The number by which the xDS server knows a layer.
    pub(super) fn layer(&mut self, layer: Layer) -> LayerId {
        self.layers.id(layer)
    }
}

/// Maps each layer in use to its id in the xDS server, and counts the placements that contain it.
#[derive(Debug, Default)]
struct Layers {
    known: BTreeMap<Layer, (LayerId, usize)>,
    /// Layers that may be seen by no placement. Their numbers stay until their resources have been
    /// removed: a placement that comes meanwhile finds them there.
    unseen: BTreeSet<Layer>,
    /// The layers that all replicas have, with their names.
    shared: Arc<BTreeMap<LayerId, Arc<str>>>,
    /// The last number given. None is used twice: what the server remembers of a number is of one
    /// layer.
    last: u32,
    /// The layers that got a number (`Some`), or lost it, since that was last told.
    numbered: Vec<(LayerId, Option<Layer>)>,
}

impl Layers {
    /// Counts the layers of a placement; returns their numbers.
    fn add(&mut self, layers: &[Layer]) -> Vec<LayerId> {
        let number = |layer: &Layer| {
            let id = self.id(layer.clone());
            if let Some((_, placements)) = self.known.get_mut(layer) {
                *placements += 1;
            }
            id
        };
        layers.iter().map(number).collect()
    }

    /// Counts the layers of a placement off.
    fn remove(&mut self, layers: &[Layer]) {
        for layer in layers {
            let Some((_, placements)) = self.known.get_mut(layer) else {
                continue;
            };
            *placements = placements.saturating_sub(1);
            if *placements == 0 && layer.is_of_a_place() {
                self.unseen.insert(layer.clone());
            }
        }
    }

    fn forget_unseen(&mut self) {
        for layer in std::mem::take(&mut self.unseen) {
            if self.known.get(&layer).is_some_and(|(_, seen)| *seen == 0)
                && let Some((id, _)) = self.known.remove(&layer)
            {
                self.numbered.push((id, None));
            }
        }
    }

    fn id(&mut self, layer: Layer) -> LayerId {
        if let Some((id, _)) = self.known.get(&layer) {
            return *id;
        }
        self.last = self.last.saturating_add(1);
        let id = match layer.is_overriding() {
            true => LayerId::overriding(self.last),
            false => LayerId(self.last),
        };
        self.numbered.push((id, Some(layer.clone())));
        if layer.is_shared() {
            let name = layer.to_string().into();
            Arc::make_mut(&mut self.shared).insert(id, name);
        }
        self.known.insert(layer, (id, 0));
        id
    }
}

#[cfg(test)]
mod tests {
    use seaway_translator::{Options, Role};

    use super::*;

    fn world() -> (Placements, Translator) {
        (Placements::default(), Translator::new(Options::default()))
    }

    #[test]
    fn a_view_outlives_its_last_stream_for_a_while() {
        let (mut placements, mut translator) = world();
        let (view, now) = (View::of(Role::Mesh), Instant::now());
        let id = placements.lease(&view, &mut translator).unwrap();
        assert_eq!(placements.lease(&view, &mut translator).unwrap(), id);
        assert!(matches!(&placements.take_changed()[..], [(changed, Some(_))] if *changed == id));
        placements.release(&view, now);
        assert_eq!(placements.next_expiry(), None, "one stream is left");
        placements.release(&view, now);
        assert_eq!(placements.next_expiry(), Some(now + LINGER));
        assert!(!placements.expire(now + LINGER / 2, &mut translator));
        assert_eq!(
            placements.lease(&view, &mut translator).unwrap(),
            id,
            "it came back in time"
        );
        assert_eq!(placements.next_expiry(), None);
        placements.release(&view, now);
        assert!(placements.expire(now + LINGER, &mut translator));
        assert_eq!(placements.take_changed(), [(id, None)]);
    }

    /// What a client says of itself costs as much as the client does.
    #[test]
    fn labels_of_a_clients_choice_are_no_layers_and_leave_nothing_behind() {
        let (mut placements, mut translator) = world();
        let (plain, now) = (View::of(Role::Mesh), Instant::now());
        let first = placements.lease(&plain, &mut translator).unwrap();
        let changed = placements.take_changed();
        let [(_, Some(plain_layers))] = &changed[..] else {
            panic!("{changed:?}");
        };
        let layers = placements.layers.known.clone();
        let some = |text: String| Some(text.into());
        for number in 0..50 {
            let elsewhere = View {
                region: some(format!("region-{number}")),
                ..plain.clone()
            };
            assert_eq!(
                placements.lease(&elsewhere, &mut translator).unwrap(),
                first
            );
            assert_eq!(placements.take_changed(), []);
            let in_zone = View {
                zone: some(format!("zone-{number}")),
                ..plain.clone()
            };
            placements.lease(&in_zone, &mut translator).unwrap();
            assert!(!placements.is_incomplete());
            let changed = placements.take_changed();
            assert!(
                matches!(&changed[..], [(_, Some(layers))] if layers == plain_layers),
                "{changed:?}"
            );
            for view in [elsewhere, in_zone] {
                placements.release(&view, now);
            }
        }
        assert_eq!(placements.layers.known.len(), layers.len());
        // A namespace is a listener of its own and those that its routes bring, for as long as
        // somebody is in it.
        let in_namespace = View {
            namespace: some("ns".to_owned()),
            ..plain.clone()
        };
        assert_ne!(
            placements.lease(&in_namespace, &mut translator).unwrap(),
            first
        );
        assert_eq!(placements.layers.known.len(), layers.len() + 2);
        placements.release(&in_namespace, now);
        assert!(placements.expire(now + LINGER, &mut translator));
        assert_eq!(placements.held.len(), 1);
        assert!(placements.expiries.is_empty());
        placements.forget_unseen();
        assert_eq!(placements.layers.known, layers);
    }

    #[test]
    fn the_namespaces_of_proxies_with_certificates_leave_nothing_behind() {
        let options = Options {
            mesh_inbound: Some(([0, 0, 0, 0], 15008).into()),
            ..Options::default()
        };
        let (mut placements, mut translator) = (Placements::default(), Translator::new(options));
        let now = Instant::now();
        let in_namespace = |name: Option<&str>| View {
            namespace: name.map(Into::into),
            mesh_tls: true,
            ..View::of(Role::Mesh)
        };
        placements
            .lease(&in_namespace(None), &mut translator)
            .unwrap();
        let (known, shared) = (
            placements.layers.known.clone(),
            placements.shared_layers().clone(),
        );
        for name in ["a", "b", "c"] {
            let view = in_namespace(Some(name));
            placements.lease(&view, &mut translator).unwrap();
            assert_eq!(placements.layers.known.len(), known.len() + 3);
            placements.release(&view, now);
            assert!(placements.expire(now + LINGER, &mut translator));
            placements.forget_unseen();
        }
        assert_eq!(placements.layers.known, known);
        assert_eq!(*placements.shared_layers(), shared);
    }

    #[test]
    fn what_is_imported_is_a_layer_while_somebody_imports_it() {
        let (mut placements, mut translator) = world();
        let now = Instant::now();
        let view = |imports: &str| View {
            imports: Some(imports.parse().unwrap()),
            ..View::of(Role::Mesh)
        };
        let (one, same) = (view("shop,infra/dns"), view("infra/dns,shop/web,shop/*"));
        let id = placements.lease(&one, &mut translator).unwrap();
        assert_eq!(placements.lease(&same, &mut translator), Ok(id));
        placements.lease(&view("shop"), &mut translator).unwrap();
        let known = |placements: &Placements| -> Vec<String> {
            let known = placements.layers.known.keys();
            known.map(ToString::to_string).collect()
        };
        let of_both = ["importers", "import:infra/dns", "import:shop"];
        let mut all = known(&placements);
        all.sort_by_key(|layer| of_both.iter().position(|one| one == layer));
        assert_eq!(all, of_both);
        for view in [&one, &same] {
            placements.release(view, now);
        }
        assert!(placements.expire(now + LINGER, &mut translator));
        placements.forget_unseen();
        assert!(!known(&placements).contains(&"import:infra/dns".to_owned()));
        assert!(known(&placements).contains(&"import:shop".to_owned()));
    }

    #[test]
    fn a_zone_is_a_layer_for_as_long_as_a_node_is_in_it_and_only_its_placements_move() {
        let (mut placements, mut translator) = world();
        let there = View {
            zone: Some("za".into()),
            ..View::of(Role::Mesh)
        };
        let id = placements.lease(&there, &mut translator).unwrap();
        placements
            .lease(&View::of(Role::Mesh), &mut translator)
            .unwrap();
        placements.take_changed();
        let node = serde_json::json!({
            "metadata": { "name": "n1", "labels": { "topology.kubernetes.io/zone": "za" } },
        });
        let node = serde_json::from_value(node).unwrap();
        let node = seaway_translator::read::node(&node).unwrap();
        let gone = seaway_translator::Change::Delete(node.id());
        let mut known = Vec::new();
        for change in [seaway_translator::Change::Apply(node), gone] {
            translator.apply(change);
            placements.follow(&mut translator);
            placements.forget_unseen();
            let changed = placements.take_changed();
            assert!(
                matches!(&changed[..], [(moved, Some(_))] if *moved == id),
                "{changed:?}"
            );
            known.push(
                placements
                    .layers
                    .known
                    .contains_key(&Layer::Zone("za".into())),
            );
        }
        assert_eq!(known, [true, false]);
    }

    #[test]
    fn a_fleet_that_leaves_is_forgotten_with_its_layers() {
        let (mut placements, mut translator) = world();
        let now = Instant::now();
        let node = |number: u64| View {
            node: Some(format!("n{number}").into()),
            ..View::of(Role::Node)
        };
        for number in 0..100 {
            placements.lease(&node(number), &mut translator).unwrap();
        }
        for number in 0..100 {
            placements.release(&node(number), now + Duration::from_millis(number));
        }
        placements.expire(now + LINGER + Duration::from_millis(49), &mut translator);
        assert_eq!((placements.held.len(), placements.expiries.len()), (50, 50));
        placements.expire(now + LINGER * 2, &mut translator);
        placements.forget_unseen();
        let left: Vec<&Layer> = placements.layers.known.keys().collect();
        let shared = [&Layer::All, &Layer::Inside, &Layer::Role(Role::Node)];
        assert_eq!(left, shared);
        assert!(placements.held.is_empty() && placements.expiries.is_empty());
    }
    /// What lies in a layer is handed over once: as long as it was not taken away, the layer has to
    /// be the one that it was.
    #[test]
    fn who_comes_back_before_it_is_taken_away_finds_its_layer() {
        let (mut placements, mut translator) = world();
        let (now, layer) = (Instant::now(), Layer::NodeRole("n1".into()));
        let view = View {
            node: Some("n1".into()),
            ..View::of(Role::Node)
        };
        placements.lease(&view, &mut translator).unwrap();
        let number = placements.layer(layer.clone());
        placements.release(&view, now);
        placements.expire(now + LINGER, &mut translator);
        placements.lease(&view, &mut translator).unwrap();
        placements.forget_unseen();
        assert_eq!(placements.layer(layer.clone()), number);
        placements.release(&view, now + LINGER);
        placements.expire(now + LINGER * 2, &mut translator);
        placements.forget_unseen();
        assert_ne!(placements.layer(layer), number);
    }
}
