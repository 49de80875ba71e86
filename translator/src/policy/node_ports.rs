//! On which addresses a node port is served: Service rules 23 and 24.
//!
//! On all addresses means one listener on the wildcard address, the same for every node. Otherwise
//! every node has listeners of its own, which name its addresses. Not so in a namespace of their
//! own: there one listener takes what the node's packet rules send it, and it is they who know the
//! addresses (`namespace.rs`).

use std::net::IpAddr;

use crate::model::{Family, Node};
use crate::names::FrontendKind;
use crate::{IpNet, NodePortAddresses, Options};

/// Whether nodes have listeners of their own in this family. A family for which no range is given
/// is open on all addresses, as is one whose range is all of it.
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

/// Whether nodes have listeners of their own in any family.
pub(crate) fn any_per_node(options: &Options) -> bool {
    let mut families = [Family::V4, Family::V6].into_iter();
    families.any(|family| per_node(options, family))
}

/// Whether ranges are given, but none of this family, which is then open on all addresses (Service
/// rule 23).
pub(crate) fn is_forgotten(options: &Options, family: Family) -> bool {
    match &options.nodeport_addresses {
        NodePortAddresses::All | NodePortAddresses::Primary => false,
        NodePortAddresses::Cidrs(cidrs) => {
            cidrs.iter().all(|cidr| Family::of(cidr.addr()) != family)
        }
    }
}

/// The addresses of a node on which its node ports are served. Never loopback.
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

/// Whether a node port may be served on this address of some Node. Which address is a Node's
/// primary one is not looked at.
pub(crate) fn may_serve(ip: IpAddr, options: &Options) -> bool {
    let family = Family::of(ip);
    match &options.nodeport_addresses {
        NodePortAddresses::Cidrs(cidrs) if per_node(options, family) => {
            cidrs.iter().any(|cidr| cidr.contains(&ip))
        }
        NodePortAddresses::All | NodePortAddresses::Primary | NodePortAddresses::Cidrs(_) => true,
    }
}

/// What a wildcard node port must refuse: it would answer on loopback and on every Service address
/// that the node routes to itself. Where Service addresses are routed to a namespace there is
/// nothing to refuse.
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

/// Whether a frontend of this kind and family is served by listeners per node.
pub(crate) fn is_per_node(kind: FrontendKind, ip: IpAddr, options: &Options) -> bool {
    kind == FrontendKind::NodePort && per_node(options, Family::of(ip))
}
