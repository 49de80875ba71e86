//! The certificates and tokens of a proxy as Envoy secrets (SDS).
//!
//! Found by experiment with Envoy 1.36.4 and 1.40.0:
//!
//! - Secrets of the bootstrap itself are read once. Those of files of their own (SDS) are read
//!   again when a certificate, key or token in them is replaced by a rename, of itself or of the
//!   symbolic link above it with which Kubernetes turns a whole volume. The next connection shows
//!   the new certificate, the next stream (on an old connection too) the new token.
//! - The folder is watched by the subscription (`path_config_source`), not by the secret: a secret
//!   whose file is not there yet is then tried again (by 1.40.0), while `watched_directory` in the
//!   secret makes 1.36.4 abort when the file comes.
//! - 1.36.4 knows neither `header_value_prefix` nor the formatter `FILE_CONTENT`. So one filter
//!   puts the bare token into the header and the next one writes `Bearer ` in front of it, which
//!   both versions do.
//! - A file system subscription takes exactly one secret: each has a file.

use std::fmt::Write;

use super::proof::{Certificate, Proof, folder};
use super::{Document, quoted};
use crate::args::ServerName;

const CA: &str = "seaway_ca";
const CERTIFICATE: &str = "seaway_certificate";
const TOKEN: &str = "seaway_token";

/// An Envoy `Secret`: a certificate, a bundle of authorities or a token, by the names of its files.
struct Secret<'a> {
    name: &'static str,
    body: String,
    /// The folder of its files.
    folder: &'a str,
}

impl Secret<'_> {
    /// The `SdsSecretConfig` for it: a file of its own below `out`, or a secret of the bootstrap
    /// itself.
    fn reference(&self, out: Option<&str>) -> String {
        let name = self.name;
        let Some(out) = out else {
            return format!("name: {name}\n");
        };
        let path = quoted(&format!("{}/{name}.yaml", out.trim_end_matches('/')));
        let folder = quoted(self.folder);
        format!(
            "\
name: {name}
sds_config:
  resource_api_version: V3
  path_config_source:
    path: {path}
    watched_directory:
      path: {folder}
"
        )
    }
}

fn ca<'a>(proof: &Proof<'a>) -> Secret<'a> {
    let file = quoted(proof.ca);
    Secret {
        name: CA,
        body: format!("validation_context:\n  trusted_ca:\n    filename: {file}\n"),
        folder: folder(proof.ca),
    }
}

fn certificate<'a>(files: Certificate<'a>) -> Secret<'a> {
    let (cert, key) = (quoted(files.cert), quoted(files.key));
    Secret {
        name: CERTIFICATE,
        body: format!(
            "\
tls_certificate:
  certificate_chain:
    filename: {cert}
  private_key:
    filename: {key}
"
        ),
        folder: folder(files.cert),
    }
}

fn token(file: &str) -> Secret<'_> {
    let path = quoted(file);
    Secret {
        name: TOKEN,
        body: format!("generic_secret:\n  secret:\n    filename: {path}\n"),
        folder: folder(file),
    }
}

fn all<'a>(proof: &Proof<'a>) -> impl Iterator<Item = Secret<'a>> {
    let rest = [proof.certificate.map(certificate), proof.token.map(token)];
    [Some(ca(proof))].into_iter().chain(rest).flatten()
}

/// The SDS file of each secret.
pub(super) fn documents(proof: &Proof<'_>) -> Vec<Document> {
    let document = |secret: Secret<'_>| {
        Document {
        name: format!("{}.yaml", secret.name),
        text: format!(
            "\
# Written by `seaway bootstrap --out`. Envoy reads the files that this names again when they are replaced by a rename.
resources:
- \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: {}
{}",
            secret.name,
            indented(2, &secret.body)
        ),
    }
    };
    all(proof).map(document).collect()
}

/// The secrets as a part of the bootstrap's `static_resources`.
pub(super) fn inline(proof: &Proof<'_>) -> String {
    let mut text = "secrets:\n".to_owned();
    for secret in all(proof) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "- name: {}\n{}",
            secret.name,
            indented(2, &secret.body)
        );
    }
    text
}

/// The cluster's transport socket: TLS 1.3, the server's name, the proxy's certificate.
pub(super) fn transport_socket(proof: &Proof<'_>, out: Option<&str>) -> String {
    let (sni, san_type, name) = match &proof.server {
        ServerName::Dns(name) => (format!("    sni: {}\n", quoted(name)), "DNS", quoted(name)),
        // An address is no server name (RFC 6066, section 3).
        ServerName::Ip(address) => (String::new(), "IP_ADDRESS", quoted(&address.to_string())),
    };
    let own = proof.certificate.map_or_else(String::new, |files| {
        let reference = certificate(files).reference(out);
        let entry = format!("tls_certificate_sds_secret_configs:\n{}", entry(&reference));
        indented(6, &entry)
    });
    let ca = indented(10, &ca(proof).reference(out));
    format!(
        "\
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
{sni}    common_tls_context:
      tls_params:
        tls_minimum_protocol_version: TLSv1_3
        tls_maximum_protocol_version: TLSv1_3
      alpn_protocols: [h2]
{own}      combined_validation_context:
        default_validation_context:
          match_typed_subject_alt_names:
          - san_type: {san_type}
            matcher:
              exact: {name}
        validation_context_sds_secret_config:
{ca}"
    )
}

/// The cluster's HTTP filters, which add the token to each stream. Empty without a token.
pub(super) fn filters(proof: &Proof<'_>, out: Option<&str>) -> String {
    let Some(file) = proof.token else {
        return String::new();
    };
    let reference = indented(10, &token(file).reference(out));
    format!(
        "\
http_filters:
- name: envoy.filters.http.credential_injector
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
    credential:
      name: envoy.http.injected_credentials.generic
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
        credential:
{reference}- name: envoy.filters.http.header_mutation
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
    mutations:
      request_mutations:
      - append:
          header:
            key: authorization
            value: Bearer %REQ(authorization)%
          append_action: OVERWRITE_IF_EXISTS
- name: envoy.filters.http.upstream_codec
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec
"
    )
}

/// A text as an entry of a YAML list.
fn entry(text: &str) -> String {
    indented(2, text).replacen("  ", "- ", 1)
}

/// A text with every line indented.
pub(super) fn indented(by: usize, text: &str) -> String {
    let lines = text.lines();
    lines.map(|line| format!("{:by$}{line}\n", "")).collect()
}
