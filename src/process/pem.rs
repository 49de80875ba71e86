//! Certificates and keys as PEM, as files have them. An error names what they are of, and never has
//! what a key is.

use anyhow::{anyhow, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a PEM text, in its order.
///
/// # Errors
/// It is broken, or has none.
pub(crate) fn certificates(what: &str, pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| anyhow!("{what}: {error}"))?;
    if all.is_empty() {
        bail!("{what}: it contains no PEM certificate");
    }
    Ok(all)
}

/// The first private key of a PEM text.
///
/// # Errors
/// It is broken, or has none.
pub(crate) fn private_key(what: &str, pem: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| anyhow!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_certificate_or_no_key_is_named() {
        let error = certificates("--peers-ca", b"no PEM").unwrap_err();
        let expected = "--peers-ca: it contains no PEM certificate";
        assert_eq!(error.to_string(), expected);
        let error = private_key("--tls-key", b"no PEM").unwrap_err();
        assert!(error.to_string().starts_with("--tls-key: "), "{error}");
    }
}
