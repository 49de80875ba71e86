//! mTLS between mesh proxies: the transport socket of clusters, the listener that takes it for the
//! proxy's own workload, and where the certificate of a proxy is.
//!
//! Certificates are secrets (SDS) that name files, so that Envoy takes up replaced ones by itself
//! and nobody else has seen a key.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use seaway_proto::envoy::cluster::Cluster;
use seaway_proto::envoy::cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
use seaway_proto::envoy::core::{
    DataSource, TransportSocket, WatchedDirectory, data_source::Specifier,
};
use seaway_proto::envoy::endpoint::lb_endpoint::HostIdentifier;
use seaway_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use seaway_proto::envoy::listener::{FilterChain, FilterChainMatch, Listener};
use seaway_proto::envoy::tcp_proxy::TcpProxy;
use seaway_proto::envoy::tcp_proxy::tcp_proxy::ClusterSpecifier;
use seaway_proto::envoy::text_matcher::{StringMatcher, string_matcher::MatchPattern};
use seaway_proto::envoy::tls::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use seaway_proto::envoy::tls::subject_alt_name_matcher::SanType;
use seaway_proto::envoy::tls::tls_parameters::TlsProtocol;
use seaway_proto::envoy::tls::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, Secret,
    SubjectAltNameMatcher, TlsCertificate, TlsParameters, UpstreamTlsContext, secret,
};
use seaway_proto::google::protobuf::BoolValue;
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::cluster::transport_socket;
use super::http::tls::{handshake_timeout, inspector};
use super::listener::{IDLE_SECONDS, network_filter};
use super::{DRAINED, ads, milliseconds, seconds, tcp_socket};
use crate::plan::clusters::mtls::Identities;
use crate::{Options, names};

/// The name of the secret with a proxy's own certificate.
const CERTIFICATE: &str = "mesh-certificate";
/// The name of the secret with the authorities of all.
const AUTHORITIES: &str = "mesh-authorities";
/// The connect timeout of a workload beside its proxy, in milliseconds.
const CONNECT_TIMEOUT: std::num::NonZeroU32 = std::num::NonZeroU32::MIN.saturating_add(999);

/// The name that a client asks for (SNI) who means this port of a workload.
pub(super) fn server_name(port: u16) -> String {
    format!("p{port}")
}

/// The name of the listener at this address.
pub(crate) fn listener_name(address: SocketAddr) -> String {
    format!("inbound@{address}")
}

/// The secrets, which name files.
pub(crate) fn secrets(options: &Options) -> [Resource; 2] {
    let folder = options.mesh_certificates.trim_end_matches('/');
    let file = |name: &str| DataSource {
        specifier: Some(Specifier::Filename(format!("{folder}/{name}"))),
        ..Default::default()
    };
    // Files of a volume are replaced by a rename in its folder.
    let watched = Some(WatchedDirectory {
        path: folder.to_owned(),
        ..Default::default()
    });
    let certificate = secret::Type::TlsCertificate(TlsCertificate {
        certificate_chain: Some(file("tls.crt")),
        private_key: Some(file("tls.key")),
        watched_directory: watched.clone(),
        ..Default::default()
    });
    let authorities = secret::Type::ValidationContext(CertificateValidationContext {
        trusted_ca: Some(file("ca.crt")),
        watched_directory: watched,
        ..Default::default()
    });
    [(CERTIFICATE, certificate), (AUTHORITIES, authorities)].map(|(name, content)| {
        let message = Secret {
            name: name.to_owned(),
            r#type: Some(content),
        };
        Resource::new(TypeUrl::SECRET, name, &message, Vec::new())
    })
}

/// The transport socket of connections to endpoints that have to be one of these.
pub(super) fn upstream(identities: &Identities) -> TransportSocket {
    let context = UpstreamTlsContext {
        common_tls_context: Some(common(identities)),
        // The endpoint's own: which port of its pod is meant.
        auto_host_sni: true,
        ..Default::default()
    };
    transport_socket("envoy.transport_sockets.tls", any(&context))
}

/// The certificate, and whom a peer has to be.
fn common(identities: &Identities) -> CommonTlsContext {
    let newest = TlsProtocol::TlSv13 as i32;
    let combined = CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_typed_subject_alt_names: matchers(identities),
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(reference(AUTHORITIES)),
        ..Default::default()
    };
    CommonTlsContext {
        tls_params: Some(TlsParameters {
            tls_minimum_protocol_version: newest,
            tls_maximum_protocol_version: newest,
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: vec![reference(CERTIFICATE)],
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(combined)),
        ..Default::default()
    }
}

fn reference(name: &str) -> SdsSecretConfig {
    SdsSecretConfig {
        name: name.to_owned(),
        sds_config: Some(ads()),
    }
}

/// The matchers of identities. Envoy takes an empty list for everybody.
fn matchers(identities: &Identities) -> Vec<SubjectAltNameMatcher> {
    let patterns = match identities {
        Identities::Of(nobody) if nobody.is_empty() => {
            vec![MatchPattern::Exact("spiffe://nobody".to_owned())]
        }
        Identities::Of(all) => all.iter().cloned().map(MatchPattern::Exact).collect(),
        Identities::Below(prefix) => vec![MatchPattern::Prefix(prefix.clone())],
    };
    let matcher = |pattern| SubjectAltNameMatcher {
        san_type: SanType::Uri as i32,
        matcher: Some(StringMatcher {
            match_pattern: Some(pattern),
            ..Default::default()
        }),
        ..Default::default()
    };
    patterns.into_iter().map(matcher).collect()
}

/// The listener that takes mTLS for these ports of the workloads beside a proxy: a filter chain for
/// each. What is no TLS, asks for another port or shows no certificate of the mesh is closed.
pub(crate) fn listener(address: SocketAddr, ports: &[NonZeroU16], options: &Options) -> Resource {
    let context = DownstreamTlsContext {
        common_tls_context: Some(common(&Identities::of_mesh(options))),
        require_client_certificate: Some(BoolValue { value: true }),
        ..Default::default()
    };
    let socket = transport_socket("envoy.transport_sockets.tls", any(&context));
    let chain = |port: &NonZeroU16| {
        let cluster = names::inbound_cluster(*port);
        let proxy = TcpProxy {
            stat_prefix: stat_name(*port),
            cluster_specifier: Some(ClusterSpecifier::Cluster(cluster)),
            idle_timeout: Some(seconds(IDLE_SECONDS)),
            ..Default::default()
        };
        FilterChain {
            name: server_name(port.get()),
            filter_chain_match: Some(FilterChainMatch {
                server_names: vec![server_name(port.get())],
                transport_protocol: "tls".to_owned(),
                ..Default::default()
            }),
            filters: vec![network_filter(
                "envoy.filters.network.tcp_proxy",
                any(&proxy),
            )],
            transport_socket: Some(socket.clone()),
            transport_socket_connect_timeout: Some(handshake_timeout()),
            ..Default::default()
        }
    };
    let mut listening = tcp_socket(address);
    if address.ip().is_unspecified()
        && address.is_ipv6()
        && let Some(seaway_proto::envoy::core::address::Address::SocketAddress(socket)) =
            &mut listening.address
    {
        socket.ipv4_compat = true;
    }
    let message = Listener {
        name: listener_name(address),
        address: Some(listening),
        listener_filters: vec![inspector()],
        filter_chains: ports.iter().map(chain).collect(),
        traffic_direction: DRAINED,
        ..Default::default()
    };
    let secrets = [CERTIFICATE, AUTHORITIES].map(|name| (TypeUrl::SECRET, Arc::from(name)));
    let clusters = ports
        .iter()
        .map(|port| (TypeUrl::CLUSTER, Arc::from(names::inbound_cluster(*port))));
    let refs = secrets.into_iter().chain(clusters);
    let refs = refs.map(|(type_url, name)| ResourceRef { type_url, name });
    Resource::new(
        TypeUrl::LISTENER,
        message.name.clone(),
        &message,
        refs.collect(),
    )
}

/// The cluster of a port of the workloads beside a proxy.
pub(crate) fn workload(port: NonZeroU16) -> Resource {
    let name = names::inbound_cluster(port);
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.get());
    let endpoint = Endpoint {
        address: Some(tcp_socket(address)),
        ..Default::default()
    };
    let message = Cluster {
        name: name.clone(),
        alt_stat_name: stat_name(port),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32)),
        connect_timeout: Some(milliseconds(CONNECT_TIMEOUT)),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: name.clone(),
            endpoints: vec![LocalityLbEndpoints {
                lb_endpoints: vec![LbEndpoint {
                    host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    Resource::new(TypeUrl::CLUSTER, name, &message, Vec::new())
}

fn stat_name(port: NonZeroU16) -> String {
    format!("inbound_{port}")
}
