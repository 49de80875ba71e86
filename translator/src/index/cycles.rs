//! Cycles: the edges of a directed graph that lie on a circle.

use std::collections::{BTreeMap, BTreeSet};

/// The edges inside strongly connected components, which are those on a circle. Kosaraju's two
/// walks, each once over every edge and without recursion, so that the cost is linear however large
/// the graph is.
pub(super) fn on_circles<N: Clone + Ord>(edges: &BTreeSet<(N, N)>) -> BTreeSet<(N, N)> {
    let nodes: BTreeSet<&N> = edges.iter().flat_map(|(from, to)| [from, to]).collect();
    let numbers: BTreeMap<&N, usize> = nodes.into_iter().zip(0..).collect();
    let mut forwards = vec![Vec::new(); numbers.len()];
    let mut backwards = forwards.clone();
    for (from, to) in edges {
        let (from, to) = (numbers[from], numbers[to]);
        forwards[from].push(to);
        backwards[to].push(from);
    }
    let mut seen = vec![false; numbers.len()];
    let mut finished = Vec::with_capacity(numbers.len());
    for start in 0..numbers.len() {
        walk(start, &forwards, &mut seen, |node| finished.push(node));
    }
    let mut seen = vec![false; numbers.len()];
    let mut component = vec![0; numbers.len()];
    for start in finished.into_iter().rev() {
        walk(start, &backwards, &mut seen, |node| component[node] = start);
    }
    let inside = |(from, to): &&(N, N)| component[numbers[from]] == component[numbers[to]];
    edges.iter().filter(inside).cloned().collect()
}

/// Visits all nodes that can be reached and were not seen yet, each after all to which it leads.
fn walk(start: usize, next: &[Vec<usize>], seen: &mut [bool], mut visit: impl FnMut(usize)) {
    if std::mem::replace(&mut seen[start], true) {
        return;
    }
    let mut path = vec![(start, 0)];
    while let Some((node, tried)) = path.last_mut() {
        match next[*node].get(*tried) {
            Some(to) => {
                *tried += 1;
                if !std::mem::replace(&mut seen[*to], true) {
                    path.push((*to, 0));
                }
            }
            None => {
                visit(*node);
                path.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a way of at least one edge leads from one node to the other.
    fn leads(edges: &BTreeSet<(u16, u16)>, from: u16, to: u16) -> bool {
        let mut reached = BTreeSet::from([from]);
        loop {
            let next = edges.iter().filter(|(a, _)| reached.contains(a));
            let next: BTreeSet<u16> = next.map(|(_, b)| *b).chain(reached.clone()).collect();
            if next == reached {
                return reached.contains(&to);
            }
            reached = next;
        }
    }

    proptest! {
        #[test]
        fn an_edge_is_on_a_circle_if_a_way_leads_back(
            edges in prop::collection::btree_set((0..8u16, 0..8u16), 0..16)
        ) {
            let back = edges.iter().filter(|(from, to)| leads(&edges, *to, *from));
            prop_assert_eq!(on_circles(&edges), back.copied().collect());
        }
    }

    #[test]
    fn a_long_chain_is_no_trouble() {
        let mut edges: BTreeSet<(u32, u32)> = (0..200_000).map(|i| (i, i + 1)).collect();
        assert!(on_circles(&edges).is_empty());
        edges.insert((200_000, 0));
        assert_eq!(on_circles(&edges), edges);
    }
}
