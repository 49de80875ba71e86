//! The classes of addresses that an endpoint may not have, such as loopback and link-local ones.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::namespace::NAMESPACE_V6;
use crate::Options;

/// The metadata addresses of clouds, where a machine finds its credentials, beside the link-local
/// 169.254.169.254.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The class of an address that an endpoint may not have. Displays as problems say it: "{ip} is …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RefusedAddress {
    /// The address of a cloud's metadata service, where a machine finds its credentials.
    Metadata,
    /// The address of the network namespace of a node's listeners.
    Namespace,
    /// The unspecified address.
    Unspecified,
    /// A multicast or broadcast address.
    Multicast,
    /// A link-local address.
    LinkLocal,
    /// A loopback address.
    Loopback,
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusedAddress::Metadata => "the metadata service of a cloud",
            RefusedAddress::Namespace => "the address of the namespace of a node's listeners",
            RefusedAddress::Unspecified => "the unspecified address",
            RefusedAddress::Multicast => "a multicast or broadcast address",
            RefusedAddress::LinkLocal => "a link-local address",
            RefusedAddress::Loopback => "a loopback address",
        })
    }
}

/// The class for which an endpoint address is refused, if it is and `--allow-endpoint-cidr` does
/// not cover it: traffic there would reach the proxy's own host or network instead of a pod.
pub(crate) fn refused(ip: IpAddr, options: &Options) -> Option<RefusedAddress> {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    let reason = if METADATA.contains(&ip) {
        RefusedAddress::Metadata
    } else if ip == IpAddr::V6(NAMESPACE_V6) {
        // Its IPv4 address is link-local.
        RefusedAddress::Namespace
    } else if ip.is_unspecified() {
        RefusedAddress::Unspecified
    } else if ip.is_multicast() || broadcast {
        RefusedAddress::Multicast
    } else if link_local {
        RefusedAddress::LinkLocal
    } else if ip.is_loopback() && !options.allow_loopback_endpoints {
        RefusedAddress::Loopback
    } else {
        return None;
    };
    let mut allowed = options.allow_endpoint_cidrs.iter();
    (!allowed.any(|cidr| cidr.contains(&ip))).then_some(reason)
}
