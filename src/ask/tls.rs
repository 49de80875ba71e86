//! Replicas that are asked over TLS: whether they are who they should be, who asks, and what went
//! wrong with either, by the flags and the files that it is up to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use axum::http::HeaderValue;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http::has_ended;
use crate::admission::tls::{ClientFiles, Proof};
use crate::args::{AdminAddress, AskTlsArgs, HostPort};
use crate::process::exit::Failure;
use crate::process::outside;

/// What replicas are known by, and what is shown to them.
#[derive(Debug)]
pub(super) struct Shown {
    files: ClientFiles,
    proof: Proof,
}

/// A replica that is asked over TLS.
#[derive(Clone, Debug)]
pub(super) struct Secured {
    at: HostPort,
    name: ServerName<'static>,
    shown: Arc<Shown>,
}

impl Shown {
    /// Reads the files that the flags name, to ask a replica at `at` and others.
    ///
    /// # Errors
    /// They do not say enough, or a file cannot be used.
    pub(super) fn read(args: &AskTlsArgs, at: &AdminAddress) -> Result<Shown, Failure> {
        let files = args.files().ok_or_else(|| {
            Failure::unusable(format!(
                "--admin {at} needs --admin-ca FILE: the authorities by which its certificate is known"
            ))
        })?;
        let of = files.clone();
        let read = outside::in_time(&files.ca, move || of.read(b"http/1.1"));
        let read = read.map_err(anyhow::Error::from).and_then(|read| read);
        let proof = read.map_err(Failure::Unusable)?;
        Ok(Shown { files, proof })
    }

    /// The flags that prove who asks.
    fn proofs(&self) -> String {
        let certificate = self.files.certificate.as_ref();
        let certificate = certificate.map(|(path, _)| format!("--admin-cert {}", path.display()));
        let token = self.files.token.as_ref();
        let token = token.map(|path| format!("--admin-token-file {}", path.display()));
        let both: Vec<String> = certificate.into_iter().chain(token).collect();
        match both.is_empty() {
            true => "nothing was shown: --admin-cert with --admin-key, or --admin-token-file, proves who you are".to_owned(),
            false => format!("shown: {}", both.join(", ")),
        }
    }
}

impl Secured {
    /// A replica whose certificate has to be for this name.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn new(at: HostPort, name: &str, shown: Arc<Shown>) -> anyhow::Result<Secured> {
        let name = ServerName::try_from(name.to_owned());
        let name = name.with_context(|| format!("--admin https://{at}"))?;
        Ok(Secured { at, name, shown })
    }

    /// Connects; returns where to, as well.
    pub(super) async fn connect(&self) -> anyhow::Result<(TlsStream<TcpStream>, SocketAddr)> {
        let stream = TcpStream::connect((self.at.host.as_str(), self.at.port)).await?;
        let address = stream.peer_addr()?;
        let connector = TlsConnector::from(self.shown.proof.config.clone());
        let stream = connector.connect(self.name.clone(), stream).await;
        let stream = stream.map_err(|error| match tls_error(&error) {
            Some(why) => anyhow!("{}", self.why(why)),
            None => anyhow::Error::new(error).context("TLS"),
        })?;
        Ok((stream, address))
    }

    /// The header that shows a token.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.shown.proof.authorization.as_ref()
    }

    /// What an error after the handshake means: only then does the replica verify the certificate.
    pub(super) fn after_handshake(&self, error: anyhow::Error) -> anyhow::Error {
        let found = error.chain().find_map(|cause| {
            let cause = cause.downcast_ref::<io::Error>()?;
            tls_error(cause)
        });
        match found {
            Some(why) => anyhow!("{}", self.why(why)),
            None if has_ended(&error) => {
                let proofs = self.shown.proofs();
                anyhow!("{error:#}: the connection ended without an answer ({proofs})")
            }
            None => error,
        }
    }

    /// What to add to the words by which the replica refuses to answer.
    pub(super) fn after_refusal(&self, status: u16) -> String {
        match status {
            401 | 403 => format!(" ({})", self.shown.proofs()),
            _ => String::new(),
        }
    }

    fn why(&self, error: &rustls::Error) -> String {
        let ClientFiles {
            ca, certificate, ..
        } = &self.shown.files;
        let own = match certificate {
            Some((path, _)) => format!("--admin-cert {}", path.display()),
            None => "the client, which shows no --admin-cert".to_owned(),
        };
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::UnknownIssuer => {
                    let ca = ca.display();
                    format!("its certificate is of no authority in --admin-ca {ca}")
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    format!("{error}: --admin-server-name names another one")
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    format!("its certificate has expired ({error})")
                }
                error => format!("its certificate does not hold: {error}"),
            },
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired => {
                    "it asks for a client certificate: show one by --admin-cert and --admin-key"
                        .to_owned()
                }
                AlertDescription::CertificateExpired => format!("it says that {own} has expired"),
                AlertDescription::UnknownCA => {
                    format!("it does not know the authority that signed {own}")
                }
                alert => format!("it refuses {own} with the TLS alert {alert:?}"),
            },
            rustls::Error::InvalidMessage(_) => {
                "it speaks no TLS there: --admin-allow of its serve is what turns that on"
                    .to_owned()
            }
            error => format!("TLS: {error}"),
        }
    }
}

/// The error of TLS that an error of a connection is, if it is one.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
