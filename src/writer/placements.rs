//! Which views are in use, and from where each looks at the layers.
//!
//! A view is active while a stream holds a lease on it and [`LINGER`] longer, so that a proxy that reconnects finds what
//! it needs already made.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use seaway_translator::{Layer, ObjectId, ObjectKind, Translator, View};
use seaway_xds::{LayerId, PlacementId};

/// How long a view stays active without a stream.
const LINGER: Duration = Duration::from_secs(30);

/// A placement that is new, changed (its layers) or retired (`None`).
pub(super) type Change = (PlacementId, Option<Vec<LayerId>>);

/// The views in use.
#[derive(Debug, Default)]
pub(super) struct Placements {
    held: BTreeMap<View, Held>,
    layers: BTreeMap<Layer, LayerId>,
    last: u32,
    changed: Vec<Change>,
}

#[derive(Debug)]
struct Held {
    id: PlacementId,
    layers: Vec<Layer>,
    leases: usize,
    /// Set while nobody holds a lease.
    expires: Option<Instant>,
}

impl Placements {
    /// A stream with this view is coming: makes the view active.
    pub(super) fn lease(&mut self, view: &View, translator: &mut Translator) -> PlacementId {
        if let Some(held) = self.held.get_mut(view) {
            held.leases += 1;
            held.expires = None;
            return held.id;
        }
        translator.activate(view);
        self.last += 1;
        let id = PlacementId(self.last);
        let layers = translator.place(view);
        self.note(id, &layers);
        self.held.insert(
            view.clone(),
            Held {
                id,
                layers,
                leases: 1,
                expires: None,
            },
        );
        id
    }

    /// A stream with this view has ended.
    pub(super) fn release(&mut self, view: &View, now: Instant) {
        if let Some(held) = self.held.get_mut(view) {
            held.leases = held.leases.saturating_sub(1);
            if held.leases == 0 {
                held.expires = Some(now + LINGER);
            }
        }
    }

    /// When the next view expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.held.values().filter_map(|held| held.expires).min()
    }

    /// Deactivates the views nobody has used for long. Whether there were any.
    pub(super) fn expire(&mut self, now: Instant, translator: &mut Translator) -> bool {
        let before = self.changed.len();
        let changed = &mut self.changed;
        self.held.retain(|view, held| {
            let over = held.expires.is_some_and(|at| at <= now);
            if over {
                translator.deactivate(view);
                changed.push((held.id, None));
            }
            !over
        });
        self.changed.len() > before
    }

    /// An object changed: a Node's zone decides where its proxies stand (Service rules 69, 150).
    pub(super) fn follow(&mut self, object: &ObjectId, translator: &Translator) {
        if object.kind != ObjectKind::Node {
            return;
        }
        let mut moved = Vec::new();
        for (view, held) in &mut self.held {
            if view.node.as_ref() != Some(&object.name) {
                continue;
            }
            let layers = translator.place(view);
            if layers != held.layers {
                held.layers.clone_from(&layers);
                moved.push((held.id, layers));
            }
        }
        for (id, layers) in moved {
            self.note(id, &layers);
        }
    }

    /// Whether a commit is outstanding.
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What changed since the last time.
    pub(super) fn take_changed(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changed)
    }

    /// The number under which the xDS server knows a layer.
    pub(super) fn layer(&mut self, layer: Layer) -> LayerId {
        let next = LayerId(u32::try_from(self.layers.len()).unwrap_or(u32::MAX));
        *self.layers.entry(layer).or_insert(next)
    }

    fn note(&mut self, id: PlacementId, layers: &[Layer]) {
        let layers = layers
            .iter()
            .map(|layer| self.layer(layer.clone()))
            .collect();
        self.changed.push((id, Some(layers)));
    }
}

#[cfg(test)]
mod tests {
    use seaway_translator::{Options, Role};

    use super::*;

    #[test]
    fn a_view_outlives_its_last_stream_for_a_while() {
        let (mut placements, mut translator) =
            (Placements::default(), Translator::new(Options::default()));
        let (view, now) = (View::of(Role::Mesh), Instant::now());
        let id = placements.lease(&view, &mut translator);
        assert_eq!(placements.lease(&view, &mut translator), id);
        assert!(matches!(&placements.take_changed()[..], [(changed, Some(_))] if *changed == id));
        placements.release(&view, now);
        assert_eq!(placements.next_expiry(), None, "one stream is left");
        placements.release(&view, now);
        assert_eq!(placements.next_expiry(), Some(now + LINGER));
        assert!(!placements.expire(now + LINGER / 2, &mut translator));
        assert_eq!(
            placements.lease(&view, &mut translator),
            id,
            "it came back in time"
        );
        placements.release(&view, now);
        assert!(placements.expire(now + LINGER, &mut translator));
        assert_eq!(placements.take_changed(), [(id, None)]);
        assert_ne!(
            placements.lease(&view, &mut translator),
            id,
            "a retired placement is not used again"
        );
    }

    #[test]
    fn layers_keep_their_numbers() {
        let mut placements = Placements::default();
        let all = placements.layer(Layer::All);
        let role = placements.layer(Layer::Role(Role::Node));
        assert_ne!(all, role);
        assert_eq!(placements.layer(Layer::All), all);
    }
}
