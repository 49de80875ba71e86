//! The listeners of a Service as they were made: kept for those Services that may have one per node
//! and address, so that a node or an endpoint more costs what is of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_proto::Resource;

use crate::envoy::listener;
use crate::plan::frontends::{FrontendPlan, Verdict};
use crate::plan::listeners::{NodePlan, Planner, nodes};
use crate::plan::problems;
use crate::units::parts::Parts;
use crate::{Layer, Problem};

/// The listeners of a Service. Of its endpoints they show only whether there are any, so that they
/// outlast a change of endpoints.
#[derive(Debug)]
pub(super) struct Listeners {
    /// What was decided of its frontends.
    frontends: Vec<FrontendPlan>,
    /// Those that are served: their positions, and how many of the listeners below a proxy has to
    /// bind for each.
    served: Vec<(usize, usize)>,
    /// Those that are not a single node's.
    pub(super) resources: Vec<(Layer, Resource)>,
    problems: Vec<Problem>,
    /// What single nodes have, where there is anything.
    nodes: BTreeMap<Arc<str>, OnNode>,
}

/// The listeners of a Service that one node has.
#[derive(Debug, Default)]
struct OnNode {
    resources: Vec<Resource>,
    problems: Vec<Problem>,
    /// How many of them its proxy has to bind, by frontend that is served.
    bound: Vec<usize>,
}

impl Listeners {
    /// Makes them all.
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

    /// Whether they are still right for frontends of which this is decided.
    pub(super) fn is_made_of(&self, frontends: &[FrontendPlan]) -> bool {
        self.frontends == frontends
    }

    /// Makes those of these nodes anew, and nobody else's.
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

    /// What is wrong with them.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        let of_nodes = self.nodes.values().flat_map(|node| &node.problems);
        self.problems.iter().chain(of_nodes)
    }

    /// The most that a proxy has to bind, whatever its node: a node's own one hides the role's of
    /// the same name.
    pub(super) fn sockets(&self) -> usize {
        let most = |(at, (_, everywhere)): (usize, &(usize, usize))| {
            let of_nodes = self.nodes.values().map(|node| node.bound[at]);
            of_nodes.max().unwrap_or_default().max(*everywhere)
        };
        self.served.iter().enumerate().map(most).sum()
    }

    /// Adds what every node has.
    pub(super) fn add_all<'a>(&'a self, parts: &mut Parts<'a>) {
        self.nodes.keys().for_each(|node| self.add_of(node, parts));
    }

    /// Adds what a node has, if it has anything.
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
