//! The listeners of the frontends that a Service gets: which, in which layers, and where each
//! leads.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::clusters::{cluster_name, port_key};
use super::frontends::{Conflict, conflict};
use super::{Affinity, ClientIp, Context, ListenOn, Source};
use crate::model::{Family, Node, Protocol, Service};
use crate::names::{ClusterName, FrontendKind, FrontendName};
use crate::policy::claims::{Address, claim};
use crate::policy::frontends::Frontend;
use crate::policy::source_routing::{self, SourceRoute};
use crate::policy::{capture, client_ip, namespace, node_ports, udp_idle};
use crate::{IpNet, Layer, Role};

/// One listener of a frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerPlan {
    pub name: FrontendName,
    pub listen_on: ListenOn,
    /// What was sent to these ranges is not served.
    pub refused: Vec<IpNet>,
    /// Where connections go; nobody may connect if there are none.
    pub routes: Vec<Route>,
    /// Whose addresses endpoints see; `None`: the node's.
    pub client_ip: Option<ClientIp>,
    pub transport: Transport,
}

/// One way through a listener: connections from these sources go to this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub source: Source,
    pub cluster: ClusterName,
    /// Whether a client's connections stay together.
    pub affinity: Option<Affinity>,
}

/// What a listener takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Connections.
    Tcp {
        /// Whether it is bound; otherwise it takes what the redirect listener hands over.
        bound: bool,
    },
    /// Datagrams.
    Udp {
        /// How long a flow may be silent, in milliseconds.
        idle: NonZeroU32,
        /// The cluster of the frontend's policy, after which its statistics are named.
        cluster: ClusterName,
    },
}

/// Why a frontend that a Service gets is not served on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeConflict {
    /// A node port: the address is somebody's.
    Address(Conflict),
    /// An own address of the node: all of those are one in the namespace of its listeners.
    Namespace(Conflict),
}

/// What one node has of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodePlan {
    pub listeners: Vec<ListenerPlan>,
    pub conflicts: Vec<NodeConflict>,
    /// How many of the listeners its proxy has to bind, by frontend that is served.
    pub bound: Vec<usize>,
}

/// A frontend that has listeners, and its position among those of its Service.
pub(crate) type Served<'a> = (usize, &'a Frontend);

/// Plans the listeners of a Service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planner<'a> {
    pub context: &'a Context<'a>,
    pub service: &'a Service,
}

impl Planner<'_> {
    /// The listeners of a frontend that are the same on every node, or nearly: a node has its own
    /// one where it names the node's own addresses.
    pub(crate) fn everywhere(&self, frontend: &Frontend) -> Vec<(Layer, ListenerPlan)> {
        let options = self.context.options;
        if node_ports::is_per_node(frontend.kind, frontend.ip, options) {
            return Vec::new();
        }
        let routes = self.routes(frontend, frontend.ip, None);
        let layer = capture::layer(self.protocol(frontend), options);
        let listener = self.listener(frontend, frontend.ip, false, &routes);
        if layer == Layer::Captured && listener.client_ip.is_some() {
            // A mesh proxy may not take over addresses.
            let shared = ListenerPlan {
                client_ip: None,
                ..listener.clone()
            };
            vec![(Layer::Role(Role::Node), listener), (layer, shared)]
        } else {
            vec![(layer, listener)]
        }
    }

    /// What a node has of its own of the frontends that are served.
    pub(crate) fn on_node<'f>(
        &self,
        served: impl Iterator<Item = Served<'f>>,
        node: &Node,
    ) -> NodePlan {
        let mut plan = NodePlan::default();
        for served in served {
            let (_, frontend) = served;
            let before = plan.listeners.len();
            if node_ports::is_per_node(frontend.kind, frontend.ip, self.context.options) {
                self.node_port(served, node, &mut plan);
            } else {
                self.own(served, node, &mut plan);
            }
            plan.bound.push(match self.is_bound(frontend) {
                true => plan.listeners.len() - before,
                false => 0,
            });
        }
        plan
    }

    /// Whether a proxy has to bind the listeners of a frontend.
    pub(crate) fn is_bound(&self, frontend: &Frontend) -> bool {
        capture::is_bound(self.protocol(frontend), self.context.options)
    }

    /// A node's own listener of a frontend that is the same nearly everywhere, if it differs.
    fn own(&self, (at, frontend): Served<'_>, node: &Node, plan: &mut NodePlan) {
        let may_be_own = namespace::may_be_own(frontend, self.context.options);
        if !may_be_own && !source_routing::is_per_node(self.service, frontend) {
            return;
        }
        let routes = self.routes(frontend, frontend.ip, Some(node));
        let own = may_be_own
            && node.addresses.contains(&frontend.ip)
            && self.has_place((at, frontend), node, plan);
        if own || routes != self.routes(frontend, frontend.ip, None) {
            let listener = self.listener(frontend, frontend.ip, own, &routes);
            plan.listeners.push(listener);
        }
    }

    /// A node port on a node's own addresses. It gives way to any other claim on such an address.
    fn node_port(&self, (at, frontend): Served<'_>, node: &Node, plan: &mut NodePlan) {
        let family = Family::of(frontend.ip);
        for ip in node_ports::addresses(node, self.context.options, family) {
            let address = Address {
                ip,
                port: frontend.listen,
                protocol: self.protocol(frontend),
            };
            if let Some(winner) = self.context.index.claims().winner(&address) {
                let conflict = conflict(self.service, (at, frontend), address, winner);
                plan.conflicts.extend(conflict.map(NodeConflict::Address));
                continue;
            }
            let routes = self.routes(frontend, ip, Some(node));
            plan.listeners
                .push(self.listener(frontend, ip, false, &routes));
        }
    }

    /// Whether the place that a node's own address has in the namespace of its listeners is free.
    fn has_place(&self, served: Served<'_>, node: &Node, plan: &mut NodePlan) -> bool {
        let (address, _) = claim(self.service, served.1);
        let Some(rival) = self.context.index.claims().rival(&address, node) else {
            return true;
        };
        let conflict = conflict(self.service, served, address, rival);
        plan.conflicts.extend(conflict.map(NodeConflict::Namespace));
        false
    }

    fn protocol(&self, frontend: &Frontend) -> Protocol {
        self.service.ports[frontend.port].protocol
    }

    fn routes(&self, frontend: &Frontend, ip: IpAddr, node: Option<&Node>) -> Vec<SourceRoute> {
        source_routing::routes(self.service, frontend, ip, node, self.context.options)
    }

    /// The listener of a frontend on this address, which may be the node's `own`.
    fn listener(
        &self,
        frontend: &Frontend,
        ip: IpAddr,
        own: bool,
        routes: &[SourceRoute],
    ) -> ListenerPlan {
        let (service, options) = (self.service, self.context.options);
        let port = &service.ports[frontend.port];
        let address = SocketAddr::new(ip, frontend.listen.get());
        let family = Family::of(ip);
        let affinity = service.affinity;
        let affinity = affinity.map(|timeout| Affinity::new(&service.key, timeout));
        let route = |route: &SourceRoute| Route {
            source: route.source.clone(),
            cluster: cluster_name(service, port, route.policy, family),
            affinity: affinity.clone(),
        };
        let refused = if frontend.kind == FrontendKind::NodePort && ip.is_unspecified() {
            node_ports::refused(options, family)
        } else {
            Vec::new()
        };
        ListenerPlan {
            name: FrontendName {
                port: port_key(service, port),
                kind: frontend.kind,
                address,
            },
            listen_on: namespace::listen_on(address, own, options),
            refused,
            routes: routes.iter().map(route).collect(),
            client_ip: client_ip::kept(service, frontend, options),
            transport: match port.protocol {
                Protocol::Udp => Transport::Udp {
                    idle: udp_idle::idle(service, port),
                    cluster: cluster_name(service, port, frontend.policy(service), family),
                },
                Protocol::Tcp | Protocol::Sctp => Transport::Tcp {
                    bound: capture::is_bound(port.protocol, options),
                },
            },
        }
    }
}

/// The nodes that may have listeners of their own of a Service: those with a proxy of role `node`.
pub(crate) fn nodes<'a>(
    context: &'a Context<'_>,
    service: &Service,
) -> impl Iterator<Item = &'a Arc<str>> {
    let per_node = context.index.has_node_listeners(&service.key);
    let nodes = context.views.node_roles();
    nodes.filter(move |_| per_node)
}
