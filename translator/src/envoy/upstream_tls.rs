//! TLS towards endpoints.

use seaway_proto::any;
use seaway_proto::envoy::core::{DataSource, TransportSocket, data_source};
use seaway_proto::envoy::text_matcher::{StringMatcher, string_matcher::MatchPattern};
use seaway_proto::envoy::tls::common_tls_context::ValidationContextType;
use seaway_proto::envoy::tls::subject_alt_name_matcher::SanType;
use seaway_proto::envoy::tls::{
    CertificateValidationContext, CommonTlsContext, SubjectAltNameMatcher, UpstreamTlsContext,
};

use super::cluster::transport_socket;
use super::tls_versions;
use crate::Options;
use crate::model::AppProtocol;

/// TLS to pods, whose certificates nothing says how to check (Service rule 109): it keeps others
/// from listening, not from answering.
pub(super) fn unverified(protocol: AppProtocol) -> TransportSocket {
    let mut common = common();
    if protocol == AppProtocol::Https {
        common.alpn_protocols.insert(0, "h2".to_owned());
    }
    socket(UpstreamTlsContext {
        common_tls_context: Some(common),
        ..Default::default()
    })
}

/// TLS to the addresses of a DNS name: their certificate has to be for that name, from an authority
/// that the proxies trust (Service rule 123).
pub(super) fn verified(host: &str, options: &Options) -> TransportSocket {
    let name = StringMatcher {
        match_pattern: Some(MatchPattern::Exact(host.to_owned())),
        ..Default::default()
    };
    let validation = CertificateValidationContext {
        trusted_ca: Some(DataSource {
            specifier: Some(data_source::Specifier::Filename(options.trusted_ca.clone())),
            ..Default::default()
        }),
        match_typed_subject_alt_names: vec![SubjectAltNameMatcher {
            san_type: SanType::Dns as i32,
            matcher: Some(name),
            ..Default::default()
        }],
        ..Default::default()
    };
    socket(UpstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
            ..common()
        }),
        sni: host.to_owned(),
        ..Default::default()
    })
}

/// HTTP/1.1, and the newest TLS.
fn common() -> CommonTlsContext {
    CommonTlsContext {
        tls_params: Some(tls_versions()),
        alpn_protocols: vec!["http/1.1".to_owned()],
        ..Default::default()
    }
}

fn socket(context: UpstreamTlsContext) -> TransportSocket {
    transport_socket("envoy.transport_sockets.tls", any(&context))
}
