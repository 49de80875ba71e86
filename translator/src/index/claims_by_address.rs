//! Claims by address: the winner of each address that several Services claim (Service rules 17 to
//! 19).
//!
//! kube-proxy leaves it to chance; here the answer is the same on every node and in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use crate::model::{Family, Node, Protocol, ServiceKey};
use crate::names::FrontendKind;
use crate::policy::claims::{Address, Claim};
use crate::policy::node_ports;
use crate::{IpNet, Options};

/// The claims of all Services, by address.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// The claims to each address, the winner first; hardly ever more than one.
    by_address: BTreeMap<Address, Vec<Claim>>,
    /// The claimed addresses, by port and protocol.
    by_port: BTreeSet<(NonZeroU16, Protocol, IpAddr)>,
}

impl Claims {
    /// The claim that wins this address, if there is any.
    pub(crate) fn winner(&self, address: &Address) -> Option<&Claim> {
        self.by_address.get(address)?.first()
    }

    /// The claim that wins the wildcard address of the same family, port and protocol.
    pub(crate) fn wildcard_winner(&self, address: &Address) -> Option<&Claim> {
        let ip = Family::of(address.ip).wildcard();
        self.winner(&Address { ip, ..*address })
    }

    /// The Service whose node port gives way, on some node, to a claim to this very address; a node
    /// port gives way to everything (Service rule 18).
    pub(crate) fn node_port_owner(
        &self,
        address: &Address,
        options: &Options,
    ) -> Option<&ServiceKey> {
        let per_node = node_ports::per_node(options, Family::of(address.ip));
        if address.ip.is_unspecified() || !per_node {
            return None;
        }
        self.wildcard_winner(address).map(|claim| &claim.service)
    }

    /// The claim that keeps a node's own address from being served in the namespace of its
    /// listeners: the node port of the same number, which the packet rules serve first, or another
    /// own address, of which the first in the Node's status counts.
    pub(crate) fn rival(&self, address: &Address, node: &Node) -> Option<&Claim> {
        let family = Family::of(address.ip);
        let earlier = node.addresses.iter().copied();
        let earlier = earlier.take_while(|ip| *ip != address.ip);
        let mut earlier = earlier.filter(|ip| Family::of(*ip) == family);
        self.wildcard_winner(address)
            .or_else(|| earlier.find_map(|ip| self.winner(&Address { ip, ..*address })))
    }

    /// The winners of the same port and protocol on all addresses, each with its IP address.
    pub(crate) fn elsewhere(
        &self,
        address: &Address,
    ) -> impl Iterator<Item = (IpAddr, &ServiceKey)> {
        let Address { port, protocol, .. } = *address;
        let first = (port, protocol, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let all = self.by_port.range(first..);
        let same = all.take_while(move |(p, other, _)| (*p, *other) == (port, protocol));
        same.filter_map(move |(_, _, ip)| {
            let winner = self.winner(&Address {
                ip: *ip,
                port,
                protocol,
            })?;
            Some((*ip, &winner.service))
        })
    }

    /// The winners at this IP address, one per port and protocol.
    pub(crate) fn at(&self, ip: IpAddr) -> impl Iterator<Item = &Claim> {
        let all = self.from(ip);
        let same = all.take_while(move |(address, _)| address.ip == ip);
        same.filter_map(|(_, claims)| claims.first())
    }

    /// The Service that has a cluster IP as a whole, where requests name it (Service rule 149): the
    /// first of those with a port there.
    pub(crate) fn cluster_ip_owner(&self, ip: IpAddr) -> Option<&ServiceKey> {
        let claims = self.of_cluster_ip(ip);
        claims.min().map(|claim| &claim.service)
    }

    /// The claims that win ports of a cluster IP.
    pub(crate) fn of_cluster_ip(&self, ip: IpAddr) -> impl Iterator<Item = &Claim> {
        let is = |claim: &&Claim| claim.kind == FrontendKind::ClusterIp;
        self.at(ip).filter(is)
    }

    /// The claimed IP addresses in this range, once per port and protocol.
    pub(crate) fn within(&self, range: IpNet) -> impl Iterator<Item = IpAddr> {
        let all = self.from(range.network()).map(|(address, _)| address.ip);
        all.take_while(move |ip| range.contains(ip))
    }

    fn from(&self, ip: IpAddr) -> impl Iterator<Item = (&Address, &Vec<Claim>)> {
        let first = Address {
            ip,
            port: NonZeroU16::MIN,
            protocol: Protocol::Tcp,
        };
        self.by_address.range(first..)
    }

    /// Replaces the claims of one Service. Returns the addresses with another winner than before,
    /// each with all Services that claim it or did.
    pub(crate) fn replace(
        &mut self,
        old: Vec<(Address, Claim)>,
        new: Vec<(Address, Claim)>,
    ) -> Vec<(Address, Vec<ServiceKey>)> {
        let mut before: BTreeMap<Address, Vec<Claim>> = BTreeMap::new();
        for (address, _) in old.iter().chain(&new) {
            let claims = || self.by_address.get(address).cloned().unwrap_or_default();
            before.entry(*address).or_insert_with(claims);
        }
        for (address, claim) in &old {
            self.remove(address, claim);
        }
        for (address, claim) in new {
            self.insert(address, claim);
        }
        let moved = before.into_iter().filter_map(|(address, before)| {
            let now = self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
            if before.first() == now.first() {
                return None;
            }
            let claimants = before.iter().chain(now).map(|claim| claim.service.clone());
            Some((address, claimants.collect()))
        });
        moved.collect()
    }

    fn insert(&mut self, address: Address, claim: Claim) {
        let Address { ip, port, protocol } = address;
        self.by_port.insert((port, protocol, ip));
        let claims = self.by_address.entry(address).or_default();
        if let Err(at) = claims.binary_search(&claim) {
            claims.insert(at, claim);
        }
    }

    fn remove(&mut self, address: &Address, claim: &Claim) {
        let Some(claims) = self.by_address.get_mut(address) else {
            return;
        };
        if let Ok(at) = claims.binary_search(claim) {
            claims.remove(at);
        }
        if claims.is_empty() {
            self.by_address.remove(address);
            let Address { ip, port, protocol } = *address;
            self.by_port.remove(&(port, protocol, ip));
        }
    }
}
