//! Certificates of tests: an authority, and what it signs for control planes and proxies.
//!
//! ```
//! use seaway_testing::certs::{Ca, San};
//!
//! # fn main() -> anyhow::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! let ca = Ca::new("tests")?;
//! let server = ca.server(&["localhost", "127.0.0.1"])?.write(folder.path())?;
//! let proxy = ca.client(&[San::dns("n1.node.seaway")])?;
//! assert!(server.cert.ends_with("tls.crt") && server.key.ends_with("tls.key"));
//! assert!(proxy.pem().contains("CERTIFICATE"));
//! # Ok(())
//! # }
//! ```
//!
//! Everything is valid from an hour ago for a day, unless [`Leaf::valid`] says otherwise. Keys are
//! ECDSA P-256.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::Folder;

const HOUR: Duration = Duration::from_secs(3600);

/// An authority of its own: its certificate is self-signed. A clone is the same authority.
#[derive(Clone)]
pub struct Ca(Arc<CertifiedIssuer<'static, KeyPair>>);

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ca").field(&self.pem()).finish()
    }
}

impl Ca {
    /// An authority with this common name and a fresh key: two of the same name do not trust each
    /// other's certificates.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self(Arc::new(issuer)))
    }

    /// Its certificate. A bundle of several authorities is their PEM texts, one after the other.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes its certificate to `ca.crt` in `folder`, at once for whoever reads it, and returns
    /// the path.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        save(folder, "ca.crt", &self.pem())
    }

    /// A certificate of a server that clients reach by these names and addresses (`localhost`,
    /// `127.0.0.1`, `::1`).
    pub fn server(&self, names: &[&str]) -> Result<Leaf> {
        let sans: Vec<San> = names.iter().map(|name| San::host(name)).collect();
        self.sign("server", &sans, &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// A certificate of a client with these subject alternative names.
    pub fn client(&self, sans: &[San]) -> Result<Leaf> {
        self.sign("client", sans, &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A certificate of a workload of this ServiceAccount, for both ends of a connection:
    /// `spiffe://cluster.local/ns/<namespace>/sa/<account>`.
    pub fn workload(&self, namespace: &str, account: &str) -> Result<Leaf> {
        let name = format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
        let both = [
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(account, &[San::uri(&name)], &both)
    }

    fn sign(&self, name: &str, sans: &[San], usages: &[ExtendedKeyUsagePurpose]) -> Result<Leaf> {
        let mut params = named(name);
        let names = sans.iter().map(San::general);
        params.subject_alt_names = names.collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Leaf {
            certificate: params.signed_by(&key, &self.0)?,
            ca: self.clone(),
            params,
            key,
        })
    }
}

/// One subject alternative name of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// A DNS name: `n1.node.seaway`.
    Dns(String),
    /// A URI: `spiffe://cluster.local/seaway/node/n1`.
    Uri(String),
    /// An address.
    Ip(IpAddr),
}

impl San {
    /// A DNS name.
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_owned())
    }

    /// A URI.
    pub fn uri(uri: &str) -> Self {
        Self::Uri(uri.to_owned())
    }

    /// An address if it can be read as one, else a DNS name.
    fn host(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::dns(text), Self::Ip)
    }

    fn general(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Uri(uri) => SanType::URI(uri.as_str().try_into()?),
            Self::Ip(address) => SanType::IpAddress(*address),
        })
    }
}

/// A certificate with its key, signed by a [`Ca`].
pub struct Leaf {
    ca: Ca,
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Leaf").field(&self.pem()).finish()
    }
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Leaf {
    /// The same, signed anew: valid from then until then, to the second.
    pub fn valid(mut self, from: SystemTime, until: SystemTime) -> Result<Self> {
        ensure!(from < until, "a certificate ends after it begins");
        set_validity(&mut self.params, from, until);
        self.certificate = self.params.signed_by(&self.key, &self.ca.0)?;
        Ok(self)
    }

    /// The certificate.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The private key (PKCS #8).
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The certificate as it goes over the wire: what tells one from another.
    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// Writes `tls.crt` and `tls.key` into `folder`, each at once for whoever reads it.
    pub fn write(&self, folder: &Path) -> Result<Files> {
        Ok(Files {
            cert: save(folder, "tls.crt", &self.pem())?,
            key: save(folder, "tls.key", &self.key_pem())?,
        })
    }
}

fn save(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    Folder::new(folder)?.save(name, text)?;
    Ok(fs::canonicalize(folder)?.join(name))
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::now();
    set_validity(&mut params, now - HOUR, now + 24 * HOUR);
    params
}

fn set_validity(params: &mut CertificateParams, from: SystemTime, until: SystemTime) {
    let moment = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        date_time_ymd(1970, 1, 1) + since.unwrap_or_default()
    };
    (params.not_before, params.not_after) = (moment(from), moment(until));
}
