//! Reads a certificate with its key as Envoy will: what it would refuse, and with it the whole
//! listener, is found here (Gateway rule 35).

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::super::api::Content;
use super::rsa;
use crate::model::{Certificate, KeyAlgorithm, Sensitive};

/// How many certificates a chain may have.
const CHAIN: usize = 16;
/// How many bytes a chain and a key may have, each as PEM.
const BYTES: usize = 128 * 1024;
/// The fewest bits of an RSA key.
const RSA_BITS: usize = 2048;
/// How many DNS names of a certificate are kept.
pub(crate) const CERTIFICATE_NAMES: usize = 256;
/// The extension by which a certificate asks for features of TLS (RFC 7633).
const OID_TLS_FEATURE: Oid<'static> = oid!(1.3.6.1.5.5.7.1.24);
/// The length of a line of PEM.
const LINE: usize = 64;

/// Reads the chain and the key of a Secret, and holds them against each other. Both are written
/// anew: Envoy takes neither ends of lines from Windows nor a last line that has no end.
///
/// # Errors
/// When Envoy could not serve it. The text repeats nothing of either.
pub(super) fn read(chain: &Content<'_>, key: &Content<'_>) -> Result<Certificate, String> {
    let chain = bytes(chain, "tls.crt")?;
    let key = bytes(key, "tls.key")?;
    let chain = self::chain(&chain)?;
    let key = private_key(&key)?;
    let Some(leaf) = chain.first() else {
        return Err("tls.crt has no certificate".to_owned());
    };
    let unreadable = || "the first certificate of tls.crt cannot be read".to_owned();
    // Two readers see more than one.
    ParsedCertificate::try_from(leaf).map_err(|_| unreadable())?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| unreadable())?;
    let algorithm = algorithm(&leaf)?;
    may_serve(&leaf, algorithm)?;
    if !fits(&leaf, &key)? {
        return Err("tls.key is not the key of the first certificate of tls.crt".to_owned());
    }
    if algorithm == KeyAlgorithm::Rsa && !rsa::is_consistent(&key) {
        return Err("the numbers of the RSA key in tls.key do not belong together".to_owned());
    }
    Ok(Certificate {
        algorithm,
        names: names(&leaf),
        expires: leaf.validity().not_after.timestamp(),
        chain: chain_text(&chain).into(),
        key: Sensitive::new(key_text(&key).into()),
    })
}

/// The decoded content of a key of the Secret.
fn bytes(content: &Content<'_>, name: &str) -> Result<Vec<u8>, String> {
    let bytes = match content {
        Content::Missing => return Err(format!("it has no {name}")),
        Content::Plain(text) => text.as_bytes().to_vec(),
        Content::Base64(text) => {
            let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let decoded = BASE64_STANDARD.decode(text);
            decoded.map_err(|_| format!("{name} is not in base64"))?
        }
    };
    if bytes.len() > BYTES {
        return Err(format!("{name} has more than {BYTES} bytes"));
    }
    Ok(bytes)
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(pem).take(CHAIN + 1);
    let all: Result<Vec<_>, pem::Error> = all.collect();
    let all = all.map_err(|_| "tls.crt is not in PEM".to_owned())?;
    if all.len() > CHAIN {
        return Err(format!("tls.crt has more than {CHAIN} certificates"));
    }
    let is_readable = |der: &CertificateDer<'_>| {
        X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
    };
    match all.iter().position(|der| !is_readable(der)) {
        Some(at) => Err(format!("certificate {} of tls.crt cannot be read", at + 1)),
        None => Ok(all),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound if pem.windows(9).any(|part| part == b"ENCRYPTED") => {
            "tls.key is encrypted, and nothing has its password".to_owned()
        }
        _ => "tls.key has no private key in PEM".to_owned(),
    })
}

/// The kind of key that a certificate is for, if Envoy serves with it.
fn algorithm(leaf: &X509Certificate<'_>) -> Result<KeyAlgorithm, String> {
    match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS => Err(format!(
            "its RSA key has {} bits, fewer than {RSA_BITS}",
            key.key_size()
        )),
        Ok(PublicKey::RSA(_)) => Ok(KeyAlgorithm::Rsa),
        Ok(PublicKey::EC(_)) => Ok(KeyAlgorithm::Ecdsa),
        _ => Err("its key is neither RSA nor ECDSA, and Envoy serves with no other".to_owned()),
    }
}

/// Whether Envoy serves with a certificate, whatever its key.
fn may_serve(leaf: &X509Certificate<'_>, algorithm: KeyAlgorithm) -> Result<(), String> {
    let extensions = leaf.extensions();
    if extensions.iter().any(|one| one.oid == OID_TLS_FEATURE) {
        return Err(
            "it asks for an answer of OCSP beside it (must-staple), and there is none".into(),
        );
    }
    let usage = leaf
        .key_usage()
        .map_err(|_| "its key usage cannot be read".to_owned())?;
    let signs = usage.is_none_or(|usage| usage.value.digital_signature());
    match algorithm == KeyAlgorithm::Ecdsa && !signs {
        true => Err("its key usage does not allow signatures, which ECDSA needs".to_owned()),
        false => Ok(()),
    }
}

/// Whether the key is that of the certificate.
fn fits(leaf: &X509Certificate<'_>, key: &PrivateKeyDer<'_>) -> Result<bool, String> {
    let unusable = || {
        "tls.key cannot be used: it has to be RSA of 2048 to 4096 bits, or ECDSA with P-256 or P-384"
            .to_owned()
    };
    let key = any_supported_type(key).map_err(|_| unusable())?;
    let public = key.public_key().ok_or_else(unusable)?;
    Ok(*public == *leaf.public_key().raw)
}

/// The DNS names of a certificate.
fn names(leaf: &X509Certificate<'_>) -> Box<[Arc<str>]> {
    let extension = leaf.subject_alternative_name().ok().flatten();
    let names = extension
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
        _ => None,
    });
    names.take(CERTIFICATE_NAMES).collect()
}

fn chain_text(chain: &[CertificateDer<'_>]) -> String {
    chain
        .iter()
        .map(|der| pem_text("CERTIFICATE", der))
        .collect()
}

fn key_text(key: &PrivateKeyDer<'_>) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    pem_text(label, key.secret_der())
}

/// A section of PEM.
fn pem_text(label: &str, der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
