//! What all servers serve: clusters and their assignments, the same bytes everywhere.
//!
//! The last 16 bytes of an assignment are the time of its change in hexadecimal (the category of a
//! drop overload), so a client knows how old an update is without asking anybody. Zero is "as at
//! the start".

use std::net::Ipv4Addr;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::pb;

/// The type of a cluster.
pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// The type of an assignment.
pub const ASSIGNMENT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
/// Digits of a stamp.
pub const STAMP: usize = 16;

/// How large the world is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Services: each is a cluster and an assignment.
    pub services: u32,
    /// Endpoints of each.
    pub endpoints: u32,
}

/// The name of a service, its cluster and its assignment.
pub fn name(service: u32) -> String {
    format!("service-{service:05}")
}

/// The service that a tick changes: all in turn, neighbours far apart.
pub fn pick(tick: u64, size: Size) -> u32 {
    u32::try_from(tick * 617 % u64::from(size.services)).unwrap_or_default()
}

/// An encoded `envoy.config.cluster.v3.Cluster` that takes its endpoints from ADS.
pub fn cluster(service: u32) -> Bytes {
    let mut out = Vec::new();
    pb::bytes(&mut out, 1, name(service).as_bytes());
    pb::number(&mut out, 2, 3); // EDS
    pb::message(&mut out, 3, |eds| {
        pb::message(eds, 1, |source| {
            pb::bytes(source, 3, &[]); // ads
            pb::number(source, 6, 2); // V3
        });
    });
    pb::message(&mut out, 4, |timeout| pb::number(timeout, 1, 5));
    out.into()
}

/// An encoded `ClusterLoadAssignment`; `place` moves its first endpoint, for worlds in which places
/// see different ones.
pub fn assignment(service: u32, size: Size, place: u32, stamp: u64) -> Bytes {
    let mut out = Vec::new();
    pb::bytes(&mut out, 1, name(service).as_bytes());
    pb::message(&mut out, 2, |locality| {
        for index in 0..size.endpoints {
            let second = if index == 0 { place % 200 } else { 0 };
            let number = service * size.endpoints + index;
            let address = format!("10.{second}.{}.{}", number >> 8 & 255, number & 255);
            pb::message(locality, 2, |lb| {
                pb::message(lb, 1, |endpoint| {
                    pb::message(endpoint, 1, |wrapper| {
                        pb::message(wrapper, 1, |socket| {
                            pb::bytes(socket, 2, address.as_bytes());
                            pb::number(socket, 3, 8080);
                        });
                    });
                });
            });
        }
    });
    pb::message(&mut out, 4, |policy| {
        pb::message(policy, 2, |drop| {
            pb::bytes(drop, 1, format!("{stamp:016x}").as_bytes());
        });
    });
    out.into()
}

/// The stamp of an encoded assignment.
pub fn stamp(assignment: &[u8]) -> u64 {
    let digits = assignment
        .len()
        .checked_sub(STAMP)
        .map(|at| &assignment[at..]);
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or_default()
}

/// The lower 24 bits of an endpoint's address 11.x.y.z, 12.x.y.z or 13.x.y.z.
pub fn stamped_address(assignment: &[u8]) -> Option<u32> {
    let begins = |part: &[u8]| matches!(part, [b'1', b'1'..=b'3', b'.']);
    let starts = assignment.windows(3).enumerate().skip(1);
    starts
        .filter(|(_, part)| begins(part))
        .filter_map(|(at, _)| {
            // Before a text stands its length; the same digits elsewhere are no address.
            let length = usize::from(assignment[at - 1]);
            let text = std::str::from_utf8(assignment.get(at..at + length)?).ok()?;
            let address: Ipv4Addr = text.parse().ok()?;
            Some(u32::from(address) & 0xff_ffff)
        })
        .next()
}

/// A resource as a field of `DeltaDiscoveryResponse`, versioned by its bytes.
pub fn delta_field(type_url: &str, name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    pb::message(&mut out, 2, |resource| {
        pb::bytes(resource, 1, format!("{:016x}", xxh3_64(value)).as_bytes());
        resource.extend(sotw_field(type_url, value));
        pb::bytes(resource, 3, name.as_bytes());
    });
    out
}

/// A resource as a field of `DiscoveryResponse`.
pub fn sotw_field(type_url: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    pb::message(&mut out, 2, |any| {
        pb::bytes(any, 1, type_url.as_bytes());
        pb::bytes(any, 2, value);
    });
    out
}

/// The end of a response of either kind: type and nonce.
pub fn tail(type_url: &str, nonce: u64) -> Vec<u8> {
    let mut out = Vec::new();
    pb::bytes(&mut out, 4, type_url.as_bytes());
    pb::bytes(&mut out, 5, nonce.to_string().as_bytes());
    out
}
