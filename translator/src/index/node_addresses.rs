//! The addresses of Nodes, on which Services' claims and endpoints are treated differently from
//! those on other addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::Node;

/// The addresses of all Nodes, each with the number of Nodes that have it.
#[derive(Debug, Default)]
pub(crate) struct NodeAddresses(BTreeMap<IpAddr, usize>);

impl NodeAddresses {
    /// Whether any Node has this address.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.0.contains_key(&ip)
    }

    /// Replaces the addresses of one Node. Returns those that became a Node's, or no Node's.
    pub(crate) fn replace(
        &mut self,
        was: Option<&Arc<Node>>,
        is: Option<&Arc<Node>>,
    ) -> Vec<IpAddr> {
        let addresses = |node: Option<&Arc<Node>>| -> BTreeSet<IpAddr> {
            let all = node.into_iter().flat_map(|node| &node.addresses);
            all.copied().collect()
        };
        let (was, is) = (addresses(was), addresses(is));
        let mut changed = Vec::new();
        for ip in is.difference(&was) {
            let count = self.0.entry(*ip).or_default();
            *count += 1;
            changed.extend((*count == 1).then_some(*ip));
        }
        for ip in was.difference(&is) {
            if let Some(count) = self.0.get_mut(ip) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(ip);
                    changed.push(*ip);
                }
            }
        }
        changed
    }
}
