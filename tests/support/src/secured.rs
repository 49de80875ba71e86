//! TLS of the tests' own clients.

use std::sync::Arc;

use anyhow::Result;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::certs::Ca;

/// What a client wants of TLS: whose certificates it believes, and for which name.
#[derive(Clone, Debug)]
pub struct Tls {
    name: String,
    config: ClientConfig,
}

impl Tls {
    /// Believes certificates for this name that `ca` has signed, and offers HTTP/1.1. No session is
    /// resumed: each connection is shown a certificate.
    pub fn new(ca: &Ca, name: &str) -> Result<Self> {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes())?)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            name: name.to_owned(),
            config,
        })
    }

    /// Offers HTTP/2 too, as browsers do.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.config.alpn_protocols.insert(0, b"h2".to_vec());
        self
    }

    /// Does not tell the server for which name the certificate has to be.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.config.enable_sni = false;
        self
    }

    /// Finishes the handshake over a connection.
    pub(crate) async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.name.clone())?;
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        Ok(connector.connect(name, stream).await?)
    }
}
