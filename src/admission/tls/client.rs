//! The client's side of TLS: the authorities by which it knows a replica, and how it proves to that
//! replica who it is. Replicas use it for each other, and commands for the admin port.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use axum::http::HeaderValue;
use rustls::{ClientConfig, RootCertStore};

use crate::process::outside::read_credential;
use crate::process::pem;

/// Where the authorities and the proofs are.
#[derive(Clone, Debug)]
pub(crate) struct ClientFiles {
    /// How the flags that name the files begin: `--peers`, of which `--peers-ca` is one.
    pub(crate) flags: &'static str,
    /// The authorities of the replicas' certificates.
    pub(crate) ca: PathBuf,
    /// The own certificate, with those that lead to its authority, and its key.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    /// The token of a service account.
    pub(crate) token: Option<PathBuf>,
}

/// What the files have.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// Verifies the replica, and shows the certificate if there is one.
    pub(crate) config: Arc<ClientConfig>,
    /// The header that shows the token, if there is one. Its value is never logged.
    pub(crate) authorization: Option<HeaderValue>,
}

impl ClientFiles {
    /// Reads the files, for connections that speak `protocol`. It waits for the disk.
    ///
    /// # Errors
    /// A file cannot be used. The error names the flag and the file.
    pub(crate) fn read(&self, protocol: &[u8]) -> anyhow::Result<Proof> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (flag, bytes) = self.file("ca", &self.ca)?;
        let mut roots = RootCertStore::empty();
        for authority in pem::certificates(&flag, &bytes)? {
            roots.add(authority).context(flag.clone())?;
        }
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .context("TLS 1.3")?
            .with_root_certificates(roots);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (flag, bytes) = self.file("cert", certificate)?;
                let chain = pem::certificates(&flag, &bytes)?;
                let (key_flag, bytes) = self.file("key", key)?;
                let key = pem::private_key(&key_flag, &bytes)?;
                let own = builder.with_client_auth_cert(chain, key);
                own.with_context(|| format!("{flag} and {key_flag} do not match"))?
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        let token = self.token.as_deref().map(|path| self.token(path));
        Ok(Proof {
            config: Arc::new(config),
            authorization: token.transpose()?,
        })
    }

    /// A flag with its file, and what that has.
    fn file(&self, flag: &str, path: &Path) -> anyhow::Result<(String, Vec<u8>)> {
        let flag = format!("{}-{flag}", self.flags);
        let bytes = read_credential(&flag, path)?;
        let flag = format!("{flag} {}", path.display());
        Ok((flag, bytes))
    }

    fn token(&self, path: &Path) -> anyhow::Result<HeaderValue> {
        let (flag, bytes) = self.file("token-file", path)?;
        let text = [b"Bearer ".as_slice(), bytes.trim_ascii()].concat();
        let value = HeaderValue::from_bytes(&text).ok();
        let is_token = !bytes.trim_ascii().is_empty();
        let mut value = value
            .filter(|_| is_token)
            .with_context(|| format!("{flag}: it contains no token"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}
