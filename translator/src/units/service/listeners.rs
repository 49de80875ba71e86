//! The encoded listeners of a Service, kept for those Services that may have one per node and
//! address, so that a change of one node or endpoint makes few of them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_proto::Resource;

use crate::envoy::listener;
use crate::plan::frontends::{FrontendPlan, Verdict};
use crate::plan::listeners::{NodePlan, Planner, nodes};
use crate::plan::problems;
use crate::units::parts::Parts;
use crate::{Layer, Problem};

/// The encoded listeners of a Service. They depend on whether there are endpoints but not on which,
/// so that they outlast a change of endpoints.
#[derive(Debug)]
pub(super) struct Listeners {
    /// The frontends with the verdicts from which the listeners were made.
    frontends: Vec<FrontendPlan>,
    /// The positions of the frontends that are served, each with the number of its listeners in
    /// `resources` that a proxy has to bind.
    served: Vec<(usize, usize)>,
    /// The listeners that are not a single node's, each with its layer.
    pub(super) resources: Vec<(Layer, Resource)>,
    problems: Vec<Problem>,
    /// The listeners and problems of those nodes that have any.
    nodes: BTreeMap<Arc<str>, OnNode>,
}

/// The listeners that a Service has on one node alone, and their problems.
#[derive(Debug, Default)]
struct OnNode {
    resources: Vec<Resource>,
    problems: Vec<Problem>,
    /// How many of the listeners the node's proxy has to bind, for each served frontend.
    bound: Vec<usize>,
}

impl Listeners {
    /// Makes all listeners of a Service.
    pub(super) fn new(planner: Planner<'_>, frontends: Vec<FrontendPlan>) -> Listeners {
        let (mut served, mut resources) = (Vec::new(), Vec::new());
        for (at, plan) in frontends.iter().enumerate() {
            if plan.verdict != Verdict::Served {
                continue;
            }
            let everywhere = planner.everywhere(&plan.frontend);
            // One of a role is in another one's place, not beside it.
            let any = !everywhere.is_empty() && planner.is_bound(&plan.frontend);
            served.push((at, usize::from(any)));
            let made = everywhere
                .into_iter()
                .map(|(layer, plan)| (layer, listener::frontend(&plan)));
            resources.extend(made);
        }
        let mut listeners = Listeners {
            served,
            resources,
            problems: problems::of_frontends(planner.service, &frontends),
            nodes: BTreeMap::new(),
            frontends,
        };
        let nodes = nodes(planner.context, planner.service);
        listeners.renew(planner, &nodes.cloned().collect());
        listeners
    }

    /// Whether the listeners were made from these frontends and verdicts.
    pub(super) fn is_made_of(&self, frontends: &[FrontendPlan]) -> bool {
        self.frontends == frontends
    }

    /// Makes the listeners of these nodes anew, and no others.
    pub(super) fn renew(&mut self, planner: Planner<'_>, nodes: &BTreeSet<Arc<str>>) {
        let (index, views) = (planner.context.index, planner.context.views);
        for name in nodes {
            self.nodes.remove(name);
            let node = views.has_node_role(name).then(|| index.node(name));
            let Some(node) = node.flatten() else {
                continue;
            };
            let frontend = |at: usize| &self.frontends[at].frontend;
            let served = self.served.iter().map(|(at, _)| (*at, frontend(*at)));
            let NodePlan {
                listeners,
                conflicts,
                bound,
            } = planner.on_node(served, node);
            if listeners.is_empty() && conflicts.is_empty() {
                continue;
            }
            let on_node = OnNode {
                resources: listeners.iter().map(listener::frontend).collect(),
                problems: problems::of_node(planner.service, name, &conflicts, frontend),
                bound,
            };
            self.nodes.insert(name.clone(), on_node);
        }
    }

    /// The problems with the listeners, on all nodes.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        let of_nodes = self.nodes.values().flat_map(|node| &node.problems);
        self.problems.iter().chain(of_nodes)
    }

    /// The most listeners that a proxy has to bind, whatever its node: a node's own one hides the
    /// role's of the same name.
    pub(super) fn sockets(&self) -> usize {
        let most = |(at, (_, everywhere)): (usize, &(usize, usize))| {
            let of_nodes = self.nodes.values().map(|node| node.bound[at]);
            of_nodes.max().unwrap_or_default().max(*everywhere)
        };
        self.served.iter().enumerate().map(most).sum()
    }

    /// Adds the listeners of all nodes to the parts.
    pub(super) fn add_all<'a>(&'a self, parts: &mut Parts<'a>) {
        self.nodes.keys().for_each(|node| self.add_of(node, parts));
    }

    /// Adds the listeners of one node to the parts, if it has any.
    pub(super) fn add_of<'a>(&'a self, node: &Arc<str>, parts: &mut Parts<'a>) {
        let Some(on_node) = self.nodes.get(node) else {
            return;
        };
        if on_node.resources.is_empty() {
            return;
        }
        let each = on_node.resources.iter();
        let of: Vec<(&str, u64)> = each.map(|r| (&*r.name, r.version.hash())).collect();
        parts.add(Layer::NodeRole(node.clone()), of, |to| {
            to.extend(on_node.resources.iter().cloned());
        });
    }
}
