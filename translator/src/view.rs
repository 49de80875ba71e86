//! The place of a proxy ([`View`]) and the sets of proxies that share resources ([`Layer`]).
//!
//! Two proxies may need different bytes under the same name: a Local policy differs per node,
//! topology hints per zone. Instead of a copy per proxy, every resource lies in the most general
//! layer for which it holds, and a proxy looks through the layers
//! [`Translator::place`](crate::Translator::place) lists for it, most specific first.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::names::is_label;
use crate::{Fleet, Import, ImportTable, Imports};

/// The role of a proxy, which decides the resources that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A proxy that does kube-proxy's job: a listener per Service address.
    Node,
    /// A sidecar or library proxy: one HTTP listener routing by host name.
    Mesh,
    /// A proxy at the edge: listeners built from Ingress objects.
    Ingress,
    /// A proxyless gRPC client.
    Grpc,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Node, Role::Mesh, Role::Ingress, Role::Grpc];

    /// The name of the role, as it is written on the command line and in a proxy's metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Node => "node",
            Role::Mesh => "mesh",
            Role::Ingress => "ingress",
            Role::Grpc => "grpc",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = crate::OptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| crate::OptionError::Unknown {
            value: text.to_owned(),
            expected: "node, mesh, ingress or grpc",
        })
    }
}

/// How a proxy of role `ingress` comes by the certificates of exact host names (Gateway rules 108
/// and 109).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificateDelivery {
    /// Each certificate has a filter chain with the names that it is for.
    #[default]
    Chains,
    /// One filter chain is for all, and Envoy asks for the certificate of a name by that name.
    OnDemand,
}

/// The role of a proxy and its place in the cluster, as the proxy claims it. An empty name is no
/// name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// The role of the proxy.
    pub role: Role,
    /// The name of the Node on which the proxy runs.
    pub node: Option<Arc<str>>,
    /// The zone that the proxy claims; the label of a known Node wins over it (Service rule 150).
    pub zone: Option<Arc<str>>,
    /// The region that the proxy claims.
    pub region: Option<Arc<str>>,
    /// The namespace in which the proxy runs.
    pub namespace: Option<Arc<str>>,
    /// The fleet of an ingress proxy.
    pub fleet: Fleet,
    /// Whether a mesh proxy takes the routes of all Services as one table, instead of some for
    /// each.
    pub whole_table: bool,
    /// What an ingress proxy can do with certificates.
    pub certificates: CertificateDelivery,
    /// The namespaces and Services that a mesh proxy says it needs. Without any it is what the
    /// Namespace of the proxy says, else all there are.
    pub imports: Option<Imports>,
    /// Whether a mesh proxy has a certificate of its workload, for mTLS.
    pub mesh_tls: bool,
}

impl View {
    /// A view of this role without a node, zone, region or namespace, of the default fleet.
    pub fn of(role: Role) -> View {
        View {
            role,
            node: None,
            zone: None,
            region: None,
            namespace: None,
            fleet: Fleet::default(),
            whole_table: false,
            certificates: CertificateDelivery::default(),
            imports: None,
            mesh_tls: false,
        }
    }

    /// The part of the view that decides a proxy's layers: its role, its node, its zone, of an
    /// ingress proxy the fleet and how it comes by certificates, and of a mesh proxy its namespace,
    /// what it imports, in which form it takes routes, and whether it has a certificate. Two views
    /// that have these in common see the same.
    #[must_use]
    pub fn deciding(&self) -> View {
        let named = |name: &Option<Arc<str>>| name.clone().filter(|name| !name.is_empty());
        let (fleet, certificates) = match self.role {
            Role::Ingress => (self.fleet.clone(), self.certificates),
            Role::Node | Role::Mesh | Role::Grpc => Default::default(),
        };
        View {
            node: named(&self.node),
            zone: named(&self.zone),
            namespace: self.mesh_namespace().cloned(),
            fleet,
            whole_table: self.whole_table,
            certificates,
            imports: self.own_imports().cloned(),
            mesh_tls: self.mesh_tls && self.role == Role::Mesh,
            ..View::of(self.role)
        }
    }

    /// The same of a proxy that looks through these layers: they say in which form it takes routes
    /// and certificates, and whether it has one for mTLS.
    #[must_use]
    pub fn seen_through(self, layers: &[Layer]) -> View {
        let is_table = |layer: &Layer| match layer {
            Layer::WholeTable | Layer::ImportTable(_) => true,
            Layer::Namespace { whole_table, .. } => *whole_table,
            _ => false,
        };
        let asks = |layer: &Layer| matches!(layer, Layer::OnDemand(_));
        View {
            whole_table: layers.iter().any(is_table),
            certificates: match layers.iter().any(asks) {
                true => CertificateDelivery::OnDemand,
                false => CertificateDelivery::Chains,
            },
            mesh_tls: layers.contains(&Layer::MeshTls),
            ..self
        }
    }

    /// The namespace whose Services the clients of a mesh proxy know by short names (Service rule
    /// 149); `None` if it says nothing that can be one.
    pub(crate) fn mesh_namespace(&self) -> Option<&Arc<str>> {
        let namespace = self.namespace.as_ref().filter(|name| is_label(name));
        namespace.filter(|_| self.role == Role::Mesh)
    }

    /// What a mesh proxy says it imports.
    pub(crate) fn own_imports(&self) -> Option<&Imports> {
        self.imports.as_ref().filter(|_| self.role == Role::Mesh)
    }
}

/// A set of proxies that share resources. A resource in a layer overrides those of its name in more
/// general ones: `all` < `inside` < `captured` < `role` < `mesh-certificates` < `mesh-tls` <
/// `mesh-inbound` < `whole-table` < `consumers` < `namespace` < `fleet` < `chains`, `on-demand` <
/// `zone` < `node` < `node-role`. Mesh proxies that import something have `importers` < `import` <
/// `import-table` in the place of `all` to `role` and of `whole-table`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Every proxy: clusters that several roles use, and assignments as a client without a node and
    /// a zone sees them.
    All,
    /// Every proxy but those of role `ingress`: clusters that both `node` and `mesh` use. An
    /// ingress proxy has only clusters that a rule sends requests to (Gateway rule 113).
    Inside,
    /// The proxies of roles `node` and `mesh` where a capture is asked for: the TCP listeners that
    /// both have.
    Captured,
    /// Every proxy of a role: listeners, routes, clusters that only this role uses.
    Role(Role),
    /// The ingress proxies of a fleet: listeners, routes and certificates. Those of another fleet
    /// never see them.
    Fleet(Fleet),
    /// The mesh proxies that take the routes of all Services as one table: that table, and the
    /// listener that asks for it.
    WholeTable,
    /// The mesh proxies that import something: what all mesh proxies share, whatever they import.
    Importers,
    /// The mesh proxies that import a namespace or a Service: all that they have of Services there.
    Import(Import),
    /// The mesh proxies that import the same and take the routes of all Services as one table: that
    /// table, and the listener that asks for it.
    ImportTable(ImportTable),
    /// The mesh proxies with a certificate for mTLS: the clusters whose endpoints they speak it to.
    MeshTls,
    /// The same proxies: where the certificate is.
    MeshCertificates,
    /// The mesh proxies of a namespace with a certificate for mTLS: the listener that takes
    /// connections to their own workloads.
    MeshInbound(Arc<str>),
    /// The mesh proxies of a namespace that take routes in one form: their listener, which knows
    /// the Services of that namespace by short names, too, and what routes of that namespace make
    /// of requests for Services of others.
    Namespace {
        /// The namespace.
        name: Arc<str>,
        /// Whether they take the routes of all Services as one table.
        whole_table: bool,
    },
    /// The mesh proxies of a namespace that import nothing and so have all: listeners at addresses
    /// where nobody else has one, which the routes of that namespace bring.
    Consumers(Arc<str>),
    /// The ingress proxies of a fleet that are given each certificate with a filter chain: their
    /// listener with TLS.
    Chains(Fleet),
    /// The ingress proxies of a fleet that ask for certificates by host names: their listener with
    /// TLS, and the certificates under those names.
    OnDemand(Fleet),
    /// Every proxy in a zone: assignments that zone hints or a fallback change there.
    Zone(Arc<str>),
    /// Every proxy on a node: assignments that a Local policy, node hints or a fallback change
    /// there. The zone is part of the key because those assignments depend on it: when the Node's
    /// label changes, its proxies move to another layer and only what differs is sent to them.
    Node {
        /// The Node's name.
        node: Arc<str>,
        /// The zone in which the proxies are.
        zone: Option<Arc<str>>,
    },
    /// The proxies of role `node` on a node: listeners that name the node's own addresses. A mesh
    /// proxy there has no use for them.
    NodeRole(Arc<str>),
}

impl Layer {
    /// The zone of the proxies that look through the layer, where it is theirs alone.
    pub fn zone(&self) -> Option<&Arc<str>> {
        match self {
            Layer::Zone(zone) => Some(zone),
            Layer::Node { zone, .. } => zone.as_ref(),
            _ => None,
        }
    }

    /// Whether every replica that has the same objects has the layer: it is there whichever proxies
    /// are connected.
    pub fn is_shared(&self) -> bool {
        match self {
            // What gRPC clients have follows from what those of one replica ask for.
            Layer::WholeTable | Layer::Chains(_) | Layer::OnDemand(_) | Layer::Role(Role::Grpc) => {
                false
            }
            Layer::All | Layer::Inside | Layer::Captured | Layer::Role(_) | Layer::Fleet(_) => true,
            Layer::Importers => true,
            Layer::MeshTls | Layer::MeshCertificates => true,
            Layer::MeshInbound(_) => false,
            Layer::Import(_) | Layer::ImportTable(_) => false,
            Layer::Zone(_) | Layer::Node { .. } | Layer::NodeRole(_) => false,
            Layer::Namespace { .. } | Layer::Consumers(_) => false,
        }
    }

    /// Whether the layer changes what is in others, and brings no name of its own: the resources
    /// that differ at a place are those of whoever imports them.
    pub fn is_overriding(&self) -> bool {
        matches!(
            self,
            Layer::Zone(_) | Layer::Node { .. } | Layer::Namespace { .. } | Layer::MeshTls
        )
    }

    /// Whether the layer is that of the proxies of one zone, node or namespace, or of those with an
    /// import, and exists while one of those is connected.
    pub fn is_of_a_place(&self) -> bool {
        match self {
            Layer::Zone(_) | Layer::Namespace { .. } => true,
            Layer::Consumers(_) | Layer::MeshInbound(_) => true,
            Layer::Import(_) | Layer::ImportTable(_) => true,
            _ => self.is_of_a_node(),
        }
    }

    /// Whether the layer is that of the proxies of one node.
    pub(crate) fn is_of_a_node(&self) -> bool {
        match self {
            Layer::Node { .. } | Layer::NodeRole(_) => true,
            Layer::All | Layer::Inside | Layer::Captured | Layer::Importers => false,
            Layer::Import(_) | Layer::ImportTable(_) => false,
            Layer::Role(_) | Layer::WholeTable | Layer::Zone(_) => false,
            Layer::Namespace { .. } | Layer::Consumers(_) => false,
            Layer::MeshTls | Layer::MeshCertificates | Layer::MeshInbound(_) => false,
            Layer::Fleet(_) | Layer::Chains(_) | Layer::OnDemand(_) => false,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::All => f.write_str("all"),
            Layer::Inside => f.write_str("inside"),
            Layer::Captured => f.write_str("captured"),
            Layer::Role(role) => write!(f, "role:{role}"),
            Layer::Fleet(fleet) => write!(f, "fleet:{fleet}"),
            Layer::WholeTable => f.write_str("whole-table"),
            Layer::Importers => f.write_str("importers"),
            Layer::Import(import) => write!(f, "import:{import}"),
            Layer::ImportTable(table) => write!(f, "import-table:{table}"),
            Layer::MeshTls => f.write_str("mesh-tls"),
            Layer::MeshCertificates => f.write_str("mesh-certificates"),
            Layer::MeshInbound(namespace) => write!(f, "mesh-inbound:{namespace}"),
            Layer::Namespace {
                name,
                whole_table: false,
            } => write!(f, "namespace:{name}"),
            Layer::Namespace {
                name,
                whole_table: true,
            } => write!(f, "namespace-table:{name}"),
            Layer::Consumers(namespace) => write!(f, "consumers:{namespace}"),
            Layer::Chains(fleet) => write!(f, "chains:{fleet}"),
            Layer::OnDemand(fleet) => write!(f, "on-demand:{fleet}"),
            Layer::Zone(zone) => write!(f, "zone:{zone}"),
            Layer::Node { node, zone: None } => write!(f, "node:{node}"),
            Layer::Node {
                node,
                zone: Some(zone),
            } => write!(f, "node:{node}@{zone}"),
            Layer::NodeRole(node) => write!(f, "node-role:{node}"),
        }
    }
}

/// Reads what `Display` writes.
impl FromStr for Layer {
    type Err = crate::OptionError;

    fn from_str(text: &str) -> Result<Layer, Self::Err> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        Ok(match (kind, name) {
            ("all", "") => Layer::All,
            ("inside", "") => Layer::Inside,
            ("captured", "") => Layer::Captured,
            ("whole-table", "") => Layer::WholeTable,
            ("importers", "") => Layer::Importers,
            ("import", import) => Layer::Import(import.parse()?),
            ("import-table", table) => Layer::ImportTable(table.parse()?),
            ("mesh-tls", "") => Layer::MeshTls,
            ("mesh-certificates", "") => Layer::MeshCertificates,
            ("mesh-inbound", name) if !name.is_empty() => Layer::MeshInbound(name.into()),
            ("role", role) => Layer::Role(role.parse()?),
            ("fleet", fleet) => Layer::Fleet(fleet.parse()?),
            ("consumers", name) if !name.is_empty() => Layer::Consumers(name.into()),
            ("chains", fleet) => Layer::Chains(fleet.parse()?),
            ("on-demand", fleet) => Layer::OnDemand(fleet.parse()?),
            ("namespace" | "namespace-table", name) if !name.is_empty() => Layer::Namespace {
                name: name.into(),
                whole_table: kind == "namespace-table",
            },
            ("zone", zone) if !zone.is_empty() => Layer::Zone(zone.into()),
            ("node-role", node) if !node.is_empty() => Layer::NodeRole(node.into()),
            ("node", node) if !node.is_empty() => {
                let (node, zone) = match node.split_once('@') {
                    Some((node, zone)) => (node, Some(zone.into())),
                    None => (node, None),
                };
                Layer::Node {
                    node: node.into(),
                    zone,
                }
            }
            _ => {
                return Err(crate::OptionError::Unknown {
                    value: text.to_owned(),
                    expected: "a layer",
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_of_a_proxy_say_what_it_takes() {
        let of = |layer: Layer| {
            let view = View::of(Role::Mesh).seen_through(&[layer, Layer::All]);
            (view.whole_table, view.certificates)
        };
        let namespace = |whole_table| Layer::Namespace {
            name: "shop".into(),
            whole_table,
        };
        let on_demand = Layer::OnDemand(Fleet::default());
        let (chains, asks) = (CertificateDelivery::Chains, CertificateDelivery::OnDemand);
        assert_eq!(of(Layer::WholeTable), (true, chains));
        let table = Layer::ImportTable("infra/dns,shop".parse().unwrap());
        assert_eq!(of(table), (true, chains));
        assert_eq!(of(namespace(true)), (true, chains));
        assert_eq!(of(namespace(false)), (false, chains));
        assert_eq!(of(on_demand), (false, asks));
        assert_eq!(of(Layer::Fleet(Fleet::default())), (false, chains));
        let mesh_tls = |layers: &[Layer]| View::of(Role::Mesh).seen_through(layers).mesh_tls;
        assert!(mesh_tls(&[Layer::MeshTls, Layer::All]) && !mesh_tls(&[Layer::All]));
    }

    #[test]
    fn a_layer_is_read_as_it_is_written() {
        let fleet: Fleet = "edge".parse().unwrap();
        let node = |zone: Option<&str>| Layer::Node {
            node: "n1".into(),
            zone: zone.map(Into::into),
        };
        for layer in [
            Layer::All,
            Layer::Inside,
            Layer::Captured,
            Layer::Role(Role::Grpc),
            Layer::Fleet(Fleet::default()),
            Layer::Chains(fleet.clone()),
            Layer::OnDemand(fleet),
            Layer::WholeTable,
            Layer::Importers,
            Layer::Import("shop".parse().unwrap()),
            Layer::Import("infra/dns".parse().unwrap()),
            Layer::ImportTable("infra/dns,shop".parse().unwrap()),
            Layer::ImportTable("infra/dns,shop@web".parse().unwrap()),
            Layer::MeshTls,
            Layer::MeshCertificates,
            Layer::MeshInbound("shop".into()),
            Layer::Consumers("shop".into()),
            Layer::Zone("a".into()),
            Layer::Namespace {
                name: "shop".into(),
                whole_table: false,
            },
            Layer::Namespace {
                name: "shop".into(),
                whole_table: true,
            },
            node(None),
            node(Some("a")),
            Layer::NodeRole("n1".into()),
        ] {
            assert_eq!(layer.to_string().parse(), Ok(layer));
        }
        for text in ["", "all:", "node:", "everything", "role:x", "(gone)"] {
            let layer = text.parse::<Layer>();
            assert!(layer.is_err() || text == "all:", "{layer:?}");
        }
    }
}
