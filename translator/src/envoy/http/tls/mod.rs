//! TLS of ingress proxies: the filter chains of a listener, and a certificate as a secret, which
//! comes and is replaced without the listener (Gateway rules 37, 60, 61).

pub(crate) mod on_demand;
pub(super) mod server_names;

use std::sync::Arc;

use seaway_proto::envoy::core::{DataSource, TransportSocket, data_source};
use seaway_proto::envoy::listener::{
    Filter, FilterChain, FilterChainMatch, ListenerFilter, listener_filter,
};
use seaway_proto::envoy::tls::{
    CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, Secret, TlsCertificate, secret,
};
use seaway_proto::envoy::tls_inspector::TlsInspector;
use seaway_proto::google::protobuf::Duration;
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use crate::envoy::{ads, cluster, seconds, tls_versions};
use crate::model::{Certificate, Hostname};
use crate::plan::certificates::ChainPlan;

/// In so many seconds a client has to have finished its handshake.
const HANDSHAKE_SECONDS: i64 = 10;

/// The resource of a certificate under this name.
pub(crate) fn certificate(name: &str, certificate: &Certificate) -> Resource {
    let inline = |text: &str| DataSource {
        specifier: Some(data_source::Specifier::InlineString(text.to_owned())),
        ..Default::default()
    };
    let message = Secret {
        name: name.to_owned(),
        r#type: Some(secret::Type::TlsCertificate(TlsCertificate {
            certificate_chain: Some(inline(&certificate.chain)),
            private_key: Some(inline(certificate.key.expose())),
            ..Default::default()
        })),
    };
    Resource::new(TypeUrl::SECRET, name, &message, Vec::new())
}

/// The name of a certificate's resource: `shop/web-tls`.
pub(crate) fn secret_name(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// The filter that reads the name which a client asks for.
pub(in super::super) fn inspector() -> ListenerFilter {
    ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".to_owned(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(any(
            &TlsInspector::default(),
        ))),
        ..Default::default()
    }
}

/// References to the certificates of these chains.
pub(super) fn references(chains: &[ChainPlan<'_>]) -> Vec<ResourceRef> {
    let mut names: Vec<Arc<str>> = chains
        .iter()
        .flat_map(|chain| &chain.secrets)
        .map(|(namespace, name)| secret_name(namespace, name).into())
        .collect();
    names.sort();
    names.dedup();
    let refer = |name| ResourceRef {
        type_url: TypeUrl::SECRET,
        name,
    };
    names.into_iter().map(refer).collect()
}

/// A filter chain that ends in this filter. Without a certificate Envoy closes the connection: that
/// is what it does with a chain that has no filters.
pub(super) fn chain(plan: &ChainPlan<'_>, manager: impl FnOnce() -> Filter) -> FilterChain {
    let server_names = plan.names.iter().filter_map(|name| match name {
        Hostname::Any => None,
        named => Some(named.to_string()),
    });
    let is_served = !plan.secrets.is_empty();
    FilterChain {
        name: chain_name(plan),
        filter_chain_match: Some(FilterChainMatch {
            server_names: server_names.collect(),
            ..Default::default()
        }),
        filters: is_served.then(manager).into_iter().collect(),
        transport_socket: is_served.then(|| transport_socket(plan)),
        transport_socket_connect_timeout: is_served.then(handshake_timeout),
        ..Default::default()
    }
}

/// The name of a chain, which no other has.
pub(super) fn chain_name(plan: &ChainPlan<'_>) -> String {
    let mut name = plan.listener.to_string();
    for (namespace, secret) in &plan.secrets {
        name = format!("{name} {}", secret_name(namespace, secret));
    }
    match plan.names.contains(&Hostname::Any) {
        true => format!("{name} *"),
        false => name,
    }
}

/// How long a client may take for its handshake.
pub(in super::super) fn handshake_timeout() -> Duration {
    seconds(HANDSHAKE_SECONDS)
}

fn transport_socket(plan: &ChainPlan<'_>) -> TransportSocket {
    let certificates = plan
        .secrets
        .iter()
        .map(|(namespace, name)| SdsSecretConfig {
            name: secret_name(namespace, name),
            sds_config: Some(ads()),
        });
    socket(&DownstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_certificate_sds_secret_configs: certificates.collect(),
            ..common()
        }),
        ..Default::default()
    })
}

/// What all chains have in common: the versions of TLS, and the protocols over it (Gateway rule
/// 60).
pub(super) fn common() -> CommonTlsContext {
    CommonTlsContext {
        tls_params: Some(tls_versions()),
        alpn_protocols: ["h2", "http/1.1"].map(str::to_owned).into(),
        ..Default::default()
    }
}

pub(super) fn socket(context: &DownstreamTlsContext) -> TransportSocket {
    cluster::transport_socket("envoy.transport_sockets.tls", any(context))
}
