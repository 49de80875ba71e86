//! Envoy messages, one file per type: plans become encoded resources here.

mod affinity;
pub(crate) mod assignment;
mod client_ip;
pub(crate) mod cluster;
mod filter_state;
pub(crate) mod grpc;
pub(crate) mod health;
pub(crate) mod http;
mod limits;
pub(crate) mod listener;
pub(crate) mod mtls;
pub(crate) mod route;
mod udp;
mod upstream_tls;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use seaway_proto::envoy::core::{
    Address, AggregatedConfigSource, ApiVersion, CidrRange, ConfigSource, DataSource,
    SocketAddress, SubstitutionFormatString, TrafficDirection, address,
    config_source::ConfigSourceSpecifier,
    data_source::Specifier,
    socket_address::{PortSpecifier, Protocol},
    substitution_format_string::Format,
};
use seaway_proto::envoy::tls::TlsParameters;
use seaway_proto::envoy::tls::tls_parameters::TlsProtocol;
use seaway_proto::google::protobuf::{Duration, UInt32Value};
use seaway_proto::{ResourceRef, TypeUrl};

use crate::IpNet;
use crate::plan::ListenOn;

/// The direction of listeners with TCP sockets of their own, and of nothing else: an Envoy that
/// another one takes the place of closes those (`seaway drain`, `/drain_listeners?inboundonly`).
/// Its UDP sockets it would not close but leave unread, and what takes over connections from other
/// listeners is needed until they end.
const DRAINED: i32 = TrafficDirection::Inbound as i32;

/// The config source of nested resources: the ADS stream that Envoy already has (xDS rule 159).
/// Never add a timeout: a change of these bytes alone would make it subscribe anew (xDS rule 161).
fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3 as i32,
        config_source_specifier: Some(
            ConfigSourceSpecifier::Ads(AggregatedConfigSource::default()),
        ),
        ..Default::default()
    }
}

/// A TCP socket address; a host name may stand for the IP address.
fn tcp_address(host: String, port: u16) -> Address {
    let socket = SocketAddress {
        address: host,
        port_specifier: Some(PortSpecifier::PortValue(port.into())),
        ..Default::default()
    };
    Address {
        address: Some(address::Address::SocketAddress(socket)),
    }
}

fn tcp_socket(address: SocketAddr) -> Address {
    tcp_address(address.ip().to_string(), address.port())
}

/// The address of a listener, in its network namespace.
fn listening(listen_on: &ListenOn, protocol: Protocol) -> Address {
    let socket = SocketAddress {
        protocol: protocol as i32,
        address: listen_on.address.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(listen_on.address.port().into())),
        network_namespace_filepath: listen_on.namespace.unwrap_or_default().to_owned(),
        ..Default::default()
    };
    Address {
        address: Some(address::Address::SocketAddress(socket)),
    }
}

/// The range as Envoy's `CidrRange`.
fn cidr(range: &IpNet) -> CidrRange {
    CidrRange {
        address_prefix: range.network().to_string(),
        prefix_len: Some(number(range.prefix_len().into())),
    }
}

/// A format string, in which Envoy replaces each `%…%` by a value of the connection or request.
fn substituted(text: String) -> SubstitutionFormatString {
    SubstitutionFormatString {
        format: Some(Format::TextFormatSource(DataSource {
            specifier: Some(Specifier::InlineString(text)),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// References to clusters, each once.
fn cluster_references<'a>(clusters: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<ResourceRef> {
    let clusters: BTreeSet<&Arc<str>> = clusters.into_iter().collect();
    let refer = |cluster: &Arc<str>| ResourceRef {
        type_url: TypeUrl::CLUSTER,
        name: cluster.clone(),
    };
    clusters.into_iter().map(refer).collect()
}

/// The versions of TLS that are spoken with clients and endpoints (Gateway rule 60): of itself
/// Envoy offers endpoints none newer than 1.2.
fn tls_versions() -> TlsParameters {
    TlsParameters {
        tls_minimum_protocol_version: TlsProtocol::TlSv12 as i32,
        tls_maximum_protocol_version: TlsProtocol::TlSv13 as i32,
        ..Default::default()
    }
}

fn number(value: u32) -> UInt32Value {
    UInt32Value { value }
}

fn milliseconds(time: NonZeroU32) -> Duration {
    let time = time.get();
    Duration {
        seconds: (time / 1000).into(),
        // Below a thousand million.
        nanos: i32::try_from(time % 1000 * 1_000_000).unwrap_or_default(),
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}
