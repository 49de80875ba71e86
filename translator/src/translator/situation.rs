//! What objects say of the proxies of a view: in which zone they are, and what they import.

use std::sync::Arc;

use super::Translator;
use crate::View;
use crate::place::active_views::{self, Situation};

impl Translator {
    /// The zone of a view: a known Node's label, whatever it is, wins over the proxy's claim
    /// (Service rule 150). A zone that no Node is in and no slice names is none: nothing could
    /// differ there, and a proxy may claim what it likes.
    pub(super) fn zone(&self, view: &View) -> Option<Arc<str>> {
        let node = active_views::name(&view.node).and_then(|name| self.index.node(name));
        let zone = node.map_or(&view.zone, |node| &node.zone);
        let zone = active_views::name(zone).filter(|zone| self.index.knows_zone(zone));
        zone.cloned()
    }

    /// What objects say of the proxies of a view. What a proxy says it imports wins over its
    /// Namespace.
    pub(super) fn situation(&self, view: &View) -> Situation {
        let of_namespace = || {
            let namespace = view.mesh_namespace()?;
            self.index.routing().namespace(namespace)?.imports.as_ref()
        };
        Situation {
            zone: self.zone(view),
            imports: view.own_imports().or_else(of_namespace).cloned(),
        }
    }
}
