//! The zones that Nodes are in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::Node;

/// A set of zones that came to be known, or are known no longer.
pub(crate) type Zones = BTreeSet<Arc<str>>;

/// The zones of Nodes, each with the number of Nodes in it.
#[derive(Debug, Default)]
pub(super) struct NodeZones(BTreeMap<Arc<str>, usize>);

impl NodeZones {
    /// Whether any Node is in this zone.
    pub(super) fn has(&self, zone: &str) -> bool {
        self.0.contains_key(zone)
    }

    /// Replaces one Node. Returns the zone in which it is the first, and the one in which it was
    /// the last.
    pub(super) fn replace(&mut self, was: Option<&Arc<Node>>, is: Option<&Arc<Node>>) -> Zones {
        let [left, entered] = [was, is].map(|node| node.and_then(|node| node.zone.clone()));
        let mut changed = Zones::new();
        if left == entered {
            return changed;
        }
        if let Some(zone) = entered {
            let count = self.0.entry(zone.clone()).or_default();
            *count += 1;
            if *count == 1 {
                changed.insert(zone);
            }
        }
        if let Some(zone) = left
            && let Some(count) = self.0.get_mut(&zone)
        {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&zone);
                changed.insert(zone);
            }
        }
        changed
    }
}
