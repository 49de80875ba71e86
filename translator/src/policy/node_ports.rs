//! The addresses of a node on which node ports are served: Service rules 23 and 24.
//!
//! A node port on all addresses has one listener on the wildcard address, the same for every node.
//! Otherwise every node has listeners of its own, which name its addresses. Listeners in a network
//! namespace of their own are different: there one listener takes all connections that the node's
//! packet rules send it, and it is these rules that know the addresses (`namespace.rs`).

use std::net::IpAddr;

use crate::model::{Family, Node};
use crate::names::FrontendKind;
use crate::{IpNet, NodePortAddresses, Options};

/// Whether node ports of this family have listeners per node that name its addresses. A family
/// without a range is open on all addresses, as is one with a range of length 0.
pub(crate) fn per_node(options: &Options, family: Family) -> bool {
    if options.in_namespace() {
        return false;
    }
    match &options.nodeport_addresses {
        NodePortAddresses::All => false,
        NodePortAddresses::Primary => true,
        NodePortAddresses::Cidrs(cidrs) => {
            let mut own = cidrs
                .iter()
                .filter(|c| Family::of(c.addr()) == family)
                .peekable();
            own.peek().is_some() && own.all(|cidr| cidr.prefix_len() > 0)
        }
    }
}

/// Whether node ports of any family have listeners per node.
pub(crate) fn any_per_node(options: &Options) -> bool {
    let mut families = [Family::V4, Family::V6].into_iter();
    families.any(|family| per_node(options, family))
}

/// Whether `--nodeport-addresses` has ranges but none of this family, which is then open on all
/// addresses (Service rule 23).
pub(crate) fn is_forgotten(options: &Options, family: Family) -> bool {
    match &options.nodeport_addresses {
        NodePortAddresses::All | NodePortAddresses::Primary => false,
        NodePortAddresses::Cidrs(cidrs) => {
            cidrs.iter().all(|cidr| Family::of(cidr.addr()) != family)
        }
    }
}

/// The addresses of a node on which its node ports are served, never a loopback one.
pub(crate) fn addresses(node: &Node, options: &Options, family: Family) -> Vec<IpAddr> {
    let own = node.addresses.iter().copied();
    let own = own.filter(|ip| Family::of(*ip) == family && !ip.is_loopback());
    match &options.nodeport_addresses {
        NodePortAddresses::All => Vec::new(),
        NodePortAddresses::Primary => own.take(1).collect(),
        NodePortAddresses::Cidrs(cidrs) => own
            .filter(|ip| cidrs.iter().any(|cidr| cidr.contains(ip)))
            .collect(),
    }
}

/// Whether node ports may be served on this address, if it is a Node's. That `primary` takes only
/// the first address of a Node is left out of account.
pub(crate) fn may_serve(ip: IpAddr, options: &Options) -> bool {
    let family = Family::of(ip);
    match &options.nodeport_addresses {
        NodePortAddresses::Cidrs(cidrs) if per_node(options, family) => {
            cidrs.iter().any(|cidr| cidr.contains(&ip))
        }
        NodePortAddresses::All | NodePortAddresses::Primary | NodePortAddresses::Cidrs(_) => true,
    }
}

/// The destination ranges that the listener of a node port on the wildcard address refuses:
/// loopback, and the Service ranges that the node routes to itself. There are none where Service
/// addresses are routed to a namespace.
pub(crate) fn refused(options: &Options, family: Family) -> Vec<IpNet> {
    if options.in_namespace() {
        return Vec::new();
    }
    let cidrs = options.service_cidrs.iter().chain(&options.vip_cidrs);
    let own = cidrs.filter(|cidr| Family::of(cidr.addr()) == family && cidr.prefix_len() > 0);
    let mut refused: Vec<IpNet> = own.map(IpNet::trunc).chain([family.loopback()]).collect();
    refused.sort();
    refused.dedup();
    refused
}

/// Whether a frontend of this kind and family has listeners per node.
pub(crate) fn is_per_node(kind: FrontendKind, ip: IpAddr, options: &Options) -> bool {
    kind == FrontendKind::NodePort && per_node(options, Family::of(ip))
}
