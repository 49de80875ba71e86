//! The listeners of the frontends that a Service gets: their addresses, their layers, and the
//! clusters to which they route.

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

/// The plan of one listener of a frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerPlan {
    pub name: FrontendName,
    pub listen_on: ListenOn,
    /// Destination ranges for which the listener closes connections.
    pub refused: Vec<IpNet>,
    /// The routes by source address; without any, nobody may connect.
    pub routes: Vec<Route>,
    /// The clients whose source addresses are kept towards endpoints; `None`: nobody's, Envoy
    /// connects from the node's address.
    pub client_ip: Option<ClientIp>,
    pub transport: Transport,
}

/// One route of a listener: connections from these sources go to this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub source: Source,
    pub cluster: ClusterName,
    /// The session affinity of the route, if the Service asks for one.
    pub affinity: Option<Affinity>,
}

/// The transport protocol of a listener, with the settings that only this protocol has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A listener for TCP connections.
    Tcp {
        /// Whether Envoy binds the listener; otherwise it gets connections from the redirect
        /// listener.
        bound: bool,
    },
    /// A listener for UDP datagrams.
    Udp {
        /// The idle timeout of a flow in milliseconds.
        idle: NonZeroU32,
        /// The cluster of the frontend's traffic policy, which names the listener's statistics.
        cluster: ClusterName,
    },
}

/// The reason why one node does not serve a frontend that other nodes may serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeConflict {
    /// The address of the node at which a node port would be served has another winner.
    Address(Conflict),
    /// The frontend's address is the node's own, and another claim has this port in the network
    /// namespace of the listeners, where all own addresses of the node are one.
    Namespace(Conflict),
}

/// The listeners and the conflicts that one node has for itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodePlan {
    pub listeners: Vec<ListenerPlan>,
    pub conflicts: Vec<NodeConflict>,
    /// How many listeners the node's proxy has to bind, for each served frontend.
    pub bound: Vec<usize>,
}

/// A frontend that has listeners, with its position among those of its Service.
pub(crate) type Served<'a> = (usize, &'a Frontend);

/// Plans the listeners of one Service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planner<'a> {
    pub context: &'a Context<'a>,
    pub service: &'a Service,
}

impl Planner<'_> {
    /// The listeners of a frontend that all nodes share, each with its layer. A node whose own
    /// addresses the listener has to name gets its own one in place of them.
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

    /// Plans the listeners that a node has for itself, over all served frontends.
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

    /// Adds a node's own listener of a frontend to the plan, if it differs from that of other
    /// nodes.
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

    /// Adds listeners for a node port on a node's own addresses. A node port gives way to any other
    /// claim on such an address.
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

    /// Whether the port of a frontend at a node's own address is free in the namespace of the
    /// node's listeners; if not, the conflict is added to the plan.
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

    /// The plan of a frontend's listener on this address; `own` says that it is the node's own
    /// address.
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

/// The nodes on which a Service may have its own listeners: all with a proxy of role `node`, or
/// none.
pub(crate) fn nodes<'a>(
    context: &'a Context<'_>,
    service: &Service,
) -> impl Iterator<Item = &'a Arc<str>> {
    let per_node = context.index.has_node_listeners(&service.key);
    let nodes = context.views.node_roles();
    nodes.filter(move |_| per_node)
}
