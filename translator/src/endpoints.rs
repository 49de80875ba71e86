//! Joins the slices of a Service into the endpoints of one of its ports (Service rules 36 to 57).

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::Options;
use crate::index::{Address, Index};
use crate::model::{Endpoint, Family, Kind, Service, ServicePort};
use crate::namespace::NAMESPACE_V6;

/// An endpoint of a Service port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// Where it listens: the slice's number for the port (Service rule 42).
    pub address: SocketAddr,
    /// Everything else about it.
    pub endpoint: &'a Endpoint,
}

/// The endpoints of one family of a Service port, in the order of their addresses, each address once.
pub(crate) fn of_port<'a>(
    service: &Service,
    port: &ServicePort,
    family: Family,
    index: &'a Index,
    options: &Options,
) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    let slices = index.slices(&service.key);
    for slice in slices.filter(|slice| !(slice.headless && service.kind == Kind::ClusterIp)) {
        // Name and protocol (Service rule 40); one name may have several numbers.
        let ports = slice.ports.iter();
        for slice_port in ports.filter(|p| p.name == port.name && p.protocol == port.protocol) {
            let is_refused = |ip| {
                let address = Address {
                    ip,
                    port: slice_port.number,
                    protocol: slice_port.protocol,
                };
                refused(ip, options).is_some() || index.is_refused(slice, &address)
            };
            for endpoint in &slice.endpoints {
                if Family::of(endpoint.ip) == family && !is_refused(endpoint.ip) {
                    let address = SocketAddr::new(endpoint.ip, slice_port.number.get());
                    found.push((Candidate { address, endpoint }, slice));
                }
            }
        }
    }
    // Of two entries for one address the live pod beats the ghost that had it before, then the newer slice is believed; never
    // the order of a list (Service rule 45).
    found.sort_by_key(|(candidate, slice)| {
        let Endpoint {
            terminating,
            condition,
            index,
            ..
        } = candidate.endpoint;
        let newest = Reverse(slice.changed);
        (
            candidate.address,
            *terminating,
            newest,
            *condition,
            &slice.name,
            *index,
        )
    });
    found.dedup_by_key(|(candidate, _)| candidate.address);
    found.into_iter().map(|(candidate, _)| candidate).collect()
}

/// Where clouds tell a machine its secrets, beside the link-local 169.254.169.254.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Why an endpoint address is not served, unless `--allow-endpoint-cidr` covers it: traffic to it would reach the proxy's own host
/// or network instead of a pod.
pub(crate) fn refused(ip: IpAddr, options: &Options) -> Option<&'static str> {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    let reason = if METADATA.contains(&ip) {
        "the metadata service of a cloud"
    } else if ip == IpAddr::V6(NAMESPACE_V6) {
        // Its IPv4 address is link-local.
        "the address of the namespace of a node's listeners"
    } else if ip.is_unspecified() {
        "the unspecified address"
    } else if ip.is_multicast() || broadcast {
        "a multicast or broadcast address"
    } else if link_local {
        "a link-local address"
    } else if ip.is_loopback() && !options.allow_loopback_endpoints {
        "a loopback address"
    } else {
        return None;
    };
    let allowed = options
        .allow_endpoint_cidrs
        .iter()
        .any(|cidr| cidr.contains(&ip));
    (!allowed).then_some(reason)
}
