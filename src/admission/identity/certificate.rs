//! Reads the names and the expiry of a client certificate that TLS has verified.

use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The subject alternative names of a client certificate, and its expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) dns: Vec<String>,
    pub(crate) uris: Vec<String>,
    pub(crate) expires: SystemTime,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// It is not a certificate.
    pub(crate) fn read(der: &[u8]) -> anyhow::Result<Certificate> {
        let (_, certificate) =
            X509Certificate::from_der(der).context("it is not an X.509 certificate")?;
        let names = certificate
            .subject_alternative_name()
            .context("its subject alternative names cannot be read")?;
        let (mut dns, mut uris) = (Vec::new(), Vec::new());
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => dns.push((*name).to_owned()),
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                _ => {}
            }
        }
        let seconds = certificate.validity().not_after.timestamp();
        let since = u64::try_from(seconds).map_err(|_| anyhow!("it ended before 1970"))?;
        Ok(Certificate {
            dns,
            uris,
            expires: SystemTime::UNIX_EPOCH + Duration::from_secs(since),
        })
    }
}
