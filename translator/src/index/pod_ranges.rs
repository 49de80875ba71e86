//! The pod ranges of Nodes (`spec.podCIDRs`): a Service that claims an address in one takes no
//! endpoint from another Service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::IpNet;
use crate::model::Node;

/// The ranges of `spec.podCIDRs` of all Nodes by prefix length, each with the number of Nodes that
/// have it.
#[derive(Debug, Default)]
pub(crate) struct PodRanges(BTreeMap<u8, BTreeMap<IpNet, usize>>);

impl PodRanges {
    /// Whether an address lies in any of the ranges. One look-up for each prefix length there is,
    /// which is one for each family as a rule.
    pub(crate) fn contain(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|(length, ranges)| {
            IpNet::new(ip, *length).is_ok_and(|range| ranges.contains_key(&range.trunc()))
        })
    }

    /// Replaces the ranges of one Node. Returns those that became a Node's, or no Node's.
    pub(crate) fn replace(
        &mut self,
        was: Option<&Arc<Node>>,
        is: Option<&Arc<Node>>,
    ) -> Vec<IpNet> {
        let ranges = |node: Option<&Arc<Node>>| -> BTreeSet<IpNet> {
            let all = node.into_iter().flat_map(|node| &node.pod_cidrs);
            all.map(IpNet::trunc).collect()
        };
        let (was, is) = (ranges(was), ranges(is));
        let mut changed = Vec::new();
        for range in is.difference(&was) {
            let known = self.0.entry(range.prefix_len()).or_default();
            let count = known.entry(*range).or_default();
            *count += 1;
            changed.extend((*count == 1).then_some(*range));
        }
        for range in was.difference(&is) {
            let Some(known) = self.0.get_mut(&range.prefix_len()) else {
                continue;
            };
            if let Some(count) = known.get_mut(range) {
                *count -= 1;
                if *count == 0 {
                    known.remove(range);
                    changed.push(*range);
                }
            }
            if known.is_empty() {
                self.0.remove(&range.prefix_len());
            }
        }
        changed
    }
}
