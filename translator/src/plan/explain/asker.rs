//! [`Asker`]: a proxy at its place and who connects to it, as the parts of an answer need it.

use std::borrow::Borrow;
use std::sync::Arc;

use super::answer::Fact;
use super::viewpoint::Client;
use crate::model::{IMPORT_ANNOTATION, Node, Protocol, ServiceKey, Target};
use crate::place::active_views;
use crate::place::choose::Place;
use crate::plan::Context;
use crate::plan::host::{Refused, Upstream, resolve, resolve_in_mesh};
use crate::policy::capture;
use crate::problem::Unread;
use crate::{Imports, Layer, ObjectId, Role, View};

/// Who asks, and what decisions are made from.
#[derive(Clone, Debug)]
pub(crate) struct Asker<'a> {
    pub context: Context<'a>,
    pub view: &'a View,
    /// The zone of the view, as the translator knows it.
    pub zone: Option<Arc<str>>,
    /// What the proxy imports; `None` for all there is.
    pub imports: Option<Imports>,
    /// The layers that the view sees of what it imports, most specific first.
    pub layers: Vec<Layer>,
    pub client: Client,
    /// Whether the view says all of a proxy: it is on no Node if none is named.
    pub is_whole: bool,
    /// What the source says is wrong with its objects.
    pub unread: &'a Unread,
}

impl<'a> Asker<'a> {
    /// The name of the Node on which the proxy runs.
    pub(super) fn node_name(&self) -> Option<&'a Arc<str>> {
        active_views::name(&self.view.node)
    }

    /// The Node, if it is known.
    pub(super) fn node(&self) -> Option<&'a Arc<Node>> {
        self.context.index.node(self.node_name()?)
    }

    /// Whether the proxy may be on any Node.
    pub(super) fn is_anywhere(&self) -> bool {
        !self.is_whole && self.node_name().is_none()
    }

    /// The place for which endpoints are chosen.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            node: self.node_name().map(|name| &**name),
            zone: self.zone.as_deref(),
        }
    }

    /// What the view sees of something in several layers: what the most specific one of its own
    /// has, with that layer.
    pub(crate) fn seen<L: Borrow<Layer>, T>(
        &self,
        all: impl IntoIterator<Item = (L, T)>,
    ) -> Option<(L, T)> {
        let ranked = all.into_iter().filter_map(|(layer, of_layer)| {
            let mut own = self.layers.iter();
            let rank = own.position(|own| own == layer.borrow())?;
            Some((rank, (layer, of_layer)))
        });
        let seen = ranked.min_by_key(|(rank, _)| *rank);
        seen.map(|(_, found)| found)
    }

    /// Whether proxies of this role have listeners at addresses of Services for this protocol.
    pub(super) fn has_listeners(&self, protocol: Protocol) -> bool {
        match self.view.role {
            Role::Node => true,
            Role::Mesh => {
                protocol == Protocol::Tcp && capture::is_captured(Role::Mesh, self.context.options)
            }
            Role::Ingress | Role::Grpc => false,
        }
    }

    /// The cluster behind a backend of an object, as these proxies are sent it.
    pub(super) fn resolve(&self, of: &ObjectId, target: &Target) -> Result<Upstream, Refused> {
        match self.view.role {
            Role::Mesh | Role::Grpc => resolve_in_mesh(&self.context, target),
            Role::Ingress | Role::Node => resolve(&self.context, of, target),
        }
    }

    /// Says that the proxy does not import a Service; `None`: it does.
    pub(super) fn imports_no(&self, service: &ServiceKey) -> Option<String> {
        let imports = self.imports.as_ref()?;
        let words = || {
            let whose = match (self.view.own_imports(), self.view.mesh_namespace()) {
                (None, Some(namespace)) => {
                    format!("annotation {IMPORT_ANNOTATION} of Namespace {namespace}")
                }
                _ => "seaway.import in its metadata".to_owned(),
            };
            let all: Vec<String> = imports.iter().map(ToString::to_string).collect();
            let all = listed(&all, "and", 8);
            format!("this proxy does not import Service {service}: it imports {all} ({whose})")
        };
        (!imports.has(service)).then(words)
    }

    /// Says that an object is missing: nobody has made it, or it cannot be read.
    pub(super) fn there_is_no(&self, id: &ObjectId) -> String {
        match self.unread.has(id) {
            true => format!("{id} cannot be read"),
            false => format!("there is no {id}"),
        }
    }

    /// The same as a relative clause.
    pub(super) fn which_is_missing(&self, id: &ObjectId) -> &'static str {
        match self.unread.has(id) {
            true => "which cannot be read",
            false => "which does not exist",
        }
    }

    /// Says that what is served of an object is not what it says now; `None`: it is.
    pub(super) fn is_old(&self, id: &ObjectId) -> Option<Fact> {
        self.unread.has(id).then(|| {
            let text = format!("{id} cannot be read: of it, what could be read before is served");
            Fact::new("content", text)
        })
    }

    /// The EndpointSlices that cannot be read and are named like those of this Service, and not
    /// like those of one with a longer name.
    pub(super) fn unread_slices<'k>(
        &'k self,
        key: &'k ServiceKey,
    ) -> impl Iterator<Item = &'k ObjectId> {
        let index = self.context.index;
        let is_of_another = move |id: &&ObjectId| {
            let mut dashes = id.name.match_indices('-').map(|(at, _)| at);
            dashes.any(|at| {
                let longer = ServiceKey {
                    namespace: id.namespace.clone(),
                    name: id.name[..at].into(),
                };
                at > key.name.len() && index.service(&longer).is_some()
            })
        };
        let named = self.unread.slices_named(key);
        named.filter(move |id| !is_of_another(id))
    }

    /// The proxy in words: `node n1 (zone a)`.
    pub(crate) fn who(&self) -> String {
        let zone = self.zone.as_ref();
        let what = match self.view.role {
            Role::Node => {
                return match (self.node_name(), zone) {
                    (Some(node), Some(zone)) => format!("node {node} (zone {zone})"),
                    (Some(node), None) => format!("node {node}"),
                    (None, Some(zone)) => format!("a node in zone {zone}"),
                    (None, None) => "a node".to_owned(),
                };
            }
            Role::Mesh => "a mesh proxy".to_owned(),
            Role::Grpc => "a gRPC client".to_owned(),
            Role::Ingress if self.view.fleet.is_default() => "an ingress proxy".to_owned(),
            Role::Ingress => format!("an ingress proxy of fleet {}", self.view.fleet),
        };
        match (self.node_name(), zone) {
            (Some(node), Some(zone)) => format!("{what} on node {node} (zone {zone})"),
            (Some(node), None) => format!("{what} on node {node}"),
            (None, Some(zone)) => format!("{what} in zone {zone}"),
            (None, None) => what,
        }
    }

    /// Says that the Node or the zone that is asked for is none that is known. Where there are no
    /// Nodes at all, nobody knows any.
    pub(crate) fn where_nobody_is(&self) -> Option<Fact> {
        let index = self.context.index;
        index.nodes().next()?;
        let text = match (self.node_name(), &self.view.zone, &self.zone) {
            (Some(node), _, _) if index.node(node).is_none() => {
                format!("there is no Node {node}: this is what a proxy that says so would have")
            }
            (None, Some(zone), None) => {
                format!(
                    "no Node and no EndpointSlice names zone {zone}, so that it counts for none"
                )
            }
            _ => return None,
        };
        Some(Fact::new("from", text))
    }

    /// Who sends requests on, in a word.
    pub(super) fn by_whom(&self) -> &'static str {
        match self.view.role {
            Role::Grpc => "client",
            Role::Node | Role::Mesh | Role::Ingress => "proxy",
        }
    }

    /// Where a connection comes from, or else where it is taken, with a blank before it; empty:
    /// anywhere.
    pub(super) fn origin(&self) -> String {
        match (self.client, self.node_name()) {
            (Client::Address(ip), Some(node)) => format!(" from {ip} at node {node}"),
            (Client::Address(ip), None) => format!(" from {ip}"),
            (Client::Node, Some(node)) => format!(" from node {node}"),
            (Client::Anybody, Some(node)) => format!(" at node {node}"),
            (_, None) => String::new(),
        }
    }

    /// The place of the proxy in words, for endpoints that have to be there: `node n1`.
    pub(super) fn here(&self) -> String {
        match self.node_name() {
            Some(node) => format!("node {node}"),
            None if self.is_whole => "the proxy's own node (it names none)".to_owned(),
            None => "the node that takes it".to_owned(),
        }
    }
}

/// A count with its noun: `1 endpoint`, `3 endpoints`.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Things in a sentence: `a`, `a or b`, `a, b or c`; of more than `most` the first, and how many
/// there are beside them.
pub(super) fn listed(things: &[String], word: &str, most: usize) -> String {
    match things {
        [] => "none".to_owned(),
        [one] => one.clone(),
        _ if things.len() > most => {
            let shown = most.saturating_sub(1).max(1);
            let rest = things.len() - shown;
            format!("{} and {rest} more", things[..shown].join(", "))
        }
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}
