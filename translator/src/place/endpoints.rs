//! The endpoints of a Service port, joined from the EndpointSlices of its Service (Service rules 36
//! to 57).

use std::cmp::Reverse;
use std::net::SocketAddr;

use crate::Options;
use crate::index::Index;
use crate::model::{Endpoint, EndpointSlice, Family, Kind, Service, ServicePort, SlicePort};
use crate::policy::claims::Address;
use crate::policy::endpoint_addresses::{RefusedAddress, refused};

/// An endpoint of a Service port, among which the assignments of clusters choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// The address and port on which the endpoint listens; the port number is the slice's (Service
    /// rule 42).
    pub address: SocketAddr,
    /// The endpoint in its slice.
    pub endpoint: &'a Endpoint,
    /// The region of the endpoint's Node; slices name zones only (Service rule 56).
    pub region: Option<&'a str>,
}

/// The endpoints of one IP family of a Service port: usable addresses, and those left out.
#[derive(Debug, Default)]
pub(crate) struct PortEndpoints<'a> {
    /// The endpoints that can be chosen, sorted by address, each address once.
    pub candidates: Vec<Candidate<'a>>,
    /// The endpoints that are never chosen, whatever their condition; hardly ever any.
    pub left_out: Vec<(Candidate<'a>, EndpointExclusion)>,
}

/// The reason why an endpoint is in no assignment, whatever its conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EndpointExclusion {
    /// The endpoint's address is of a class that endpoints may not have.
    Refused(RefusedAddress),
    /// The endpoint's address is one of a Service or of the mesh listener, and a connection to it
    /// would or could come back to a proxy.
    IsService,
    /// Another entry for the same address and port takes precedence (Service rule 45).
    Shadowed,
}

/// Whether the endpoints of a slice belong to a Service: a slice of a headless Service does not
/// count for one with a cluster IP (Service rule 37).
pub(crate) fn is_used(slice: &EndpointSlice, service: &Service) -> bool {
    !(slice.headless && service.kind == Kind::ClusterIp)
}

/// The endpoints of one IP family of a Service port.
pub(crate) fn of_port<'a>(
    service: &Service,
    port: &ServicePort,
    family: Family,
    index: &'a Index,
    options: &Options,
) -> PortEndpoints<'a> {
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    for slice in index.slices(&service.key) {
        if !is_used(slice, service) {
            continue;
        }
        // Name and protocol (Service rule 40); one name may have several numbers.
        let ports = slice.ports.iter();
        for slice_port in ports.filter(|p| p.name == port.name && p.protocol == port.protocol) {
            for endpoint in &slice.endpoints {
                if Family::of(endpoint.ip) != family {
                    continue;
                }
                let candidate = Candidate {
                    address: SocketAddr::new(endpoint.ip, slice_port.number.get()),
                    endpoint,
                    region: region(endpoint, index),
                };
                match why_not(slice, slice_port, endpoint, index, options) {
                    Some(why) => left_out.push((candidate, why)),
                    None => found.push((candidate, slice)),
                }
            }
        }
    }
    // Of two entries for one address the live pod beats the ghost that had it before, then the
    // newer slice is believed; never the order of a list (Service rule 45).
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
    found.dedup_by(|(later, _), (first, _)| {
        let same = later.address == first.address;
        if same {
            left_out.push((*later, EndpointExclusion::Shadowed));
        }
        same
    });
    let candidates = found.into_iter().map(|(candidate, _)| candidate).collect();
    PortEndpoints {
        candidates,
        left_out,
    }
}

/// The reason why an endpoint may not be connected to at this port, if there is one.
fn why_not(
    slice: &EndpointSlice,
    port: &SlicePort,
    endpoint: &Endpoint,
    index: &Index,
    options: &Options,
) -> Option<EndpointExclusion> {
    if let Some(why) = refused(endpoint.ip, options) {
        return Some(EndpointExclusion::Refused(why));
    }
    let address = Address {
        ip: endpoint.ip,
        port: port.number,
        protocol: port.protocol,
    };
    let is_service = index.is_refused(slice, &address);
    is_service.then_some(EndpointExclusion::IsService)
}

/// The region of an endpoint's Node; the slice has the zone only (Service rule 56).
fn region<'a>(endpoint: &Endpoint, index: &'a Index) -> Option<&'a str> {
    let node = endpoint.node.as_ref().and_then(|name| index.node(name));
    node.and_then(|node| node.region.as_deref())
}
