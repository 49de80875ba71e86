//! The TLS configuration of the xDS port: read from files, and read again when those change (xDS
//! rule 217).
//!
//! The files are read every few seconds rather than watched: what changes is often a link somewhere
//! on their path. They are used together or not at all, so that a certificate whose key has not
//! come yet changes nothing.

mod client;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::watch;

use crate::admin::health::moment;
use crate::admission::identity::Certificate;
use crate::process::outside::{self, read_credential};
use crate::process::pem;
pub(crate) use client::{ClientFiles, Proof};

/// How often the files are read. The kubelet updates them a minute late anyhow.
const LOOK: Duration = Duration::from_secs(2);

/// The paths of the xDS port's certificates, and how client certificates are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The server's certificate chain.
    pub(crate) cert: PathBuf,
    /// The server's private key.
    pub(crate) key: PathBuf,
    /// The authorities of client certificates; `None` if none are asked for.
    pub(crate) client_ca: Option<PathBuf>,
    /// Whether a client may connect without a certificate, since it may authenticate by a token.
    pub(crate) client_optional: bool,
}

/// The contents of the certificate files.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// A server configuration that was made from the certificate files.
struct Loaded {
    config: Arc<ServerConfig>,
    /// When the first certificate of each file expires.
    expires: [(&'static str, Option<SystemTime>); 2],
}

/// Follows the certificate files, and sends a new server configuration when they change.
pub(crate) struct Follower {
    files: Files,
    /// The contents that were read last, or why they could not be read.
    last: Result<Contents, String>,
    configs: watch::Sender<Arc<ServerConfig>>,
    metrics: Metrics,
}

impl Follower {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be used.
    pub(crate) fn start(
        files: Files,
        registry: &mut Registry,
    ) -> anyhow::Result<(Follower, watch::Receiver<Arc<ServerConfig>>)> {
        let of = files.clone();
        let contents = outside::in_time(&files.cert, move || of.read())??;
        let loaded = files.load(&contents)?;
        let metrics = Metrics::register(registry);
        metrics.loaded(&loaded.expires);
        let (configs, receiver) = watch::channel(loaded.config);
        let follower = Follower {
            files,
            last: Ok(contents),
            configs,
            metrics,
        };
        Ok((follower, receiver))
    }

    /// Reads the files again and again, for ever.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            // A disk may take its time.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(follower) => self = follower,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The process is about to end.
                    Err(_) => return,
                },
            }
        }
    }

    fn look(&mut self) {
        let found = self.files.read().map_err(|error| format!("{error:#}"));
        if found == self.last {
            return;
        }
        let loaded = found.clone().and_then(|contents| {
            let loaded = self.files.load(&contents);
            loaded.map_err(|error| format!("{error:#}"))
        });
        match loaded {
            Ok(loaded) => {
                let [(_, server), _] = loaded.expires;
                let expires = server.map(moment);
                tracing::info!(expires, "new certificates of the xDS port are in use");
                self.metrics.loaded(&loaded.expires);
                self.metrics.count("ok");
                self.configs.send_replace(loaded.config);
            }
            Err(error) => {
                tracing::error!(
                    error,
                    "new certificates of the xDS port cannot be used; the previous ones stay in use"
                );
                self.metrics.count("error");
            }
        }
        self.last = found;
    }
}

impl Files {
    fn read(&self) -> anyhow::Result<Contents> {
        let client_ca = self.client_ca.as_deref();
        let client_ca = client_ca.map(|path| read_credential("--client-ca", path));
        Ok(Contents {
            cert: read_credential("--tls-cert", &self.cert)?,
            key: read_credential("--tls-key", &self.key)?,
            client_ca: client_ca.transpose()?,
        })
    }

    fn load(&self, contents: &Contents) -> anyhow::Result<Loaded> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = pem::certificates("--tls-cert", &contents.cert)?;
        let key = pem::private_key("--tls-key", &contents.key)?;
        // What a proxy sees is only as good as its shortest-lived part.
        let server_expires = first_end("--tls-cert", &chain)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .context("TLS 1.3")?;
        let (builder, clients_expire) = match &contents.client_ca {
            None => (builder.with_no_client_auth(), None),
            Some(bundle) => {
                let authorities = pem::certificates("--client-ca", bundle)?;
                let expires = first_end("--client-ca", &authorities)?;
                let verifier = self.verifier(authorities, provider)?;
                (builder.with_client_cert_verifier(verifier), Some(expires))
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .context("--tls-cert and --tls-key do not match")?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A session that is resumed would rest on a certificate that nobody has verified since.
        config.send_tls13_tickets = 0;
        Ok(Loaded {
            config: Arc::new(config),
            expires: [
                ("server", Some(server_expires)),
                ("client_ca", clients_expire),
            ],
        })
    }

    fn verifier(
        &self,
        authorities: Vec<CertificateDer<'static>>,
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> anyhow::Result<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).context("--client-ca")?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match self.client_optional {
            true => builder.allow_unauthenticated(),
            false => builder,
        };
        builder.build().context("--client-ca")
    }
}

/// When the first of these certificates expires.
fn first_end(flag: &str, certificates: &[CertificateDer<'_>]) -> anyhow::Result<SystemTime> {
    let mut first = None;
    for certificate in certificates {
        let read = Certificate::read(certificate).with_context(|| flag.to_owned())?;
        first = first.into_iter().chain([read.expires]).min();
    }
    let first = first.with_context(|| format!("{flag}: no certificate"))?;
    if first <= SystemTime::now() {
        let ended = moment(first);
        tracing::warn!(flag, ended, "a certificate has expired");
    }
    Ok(first)
}

/// The label `certificate` of `tls_certificate_expiry_timestamp_seconds`: which certificate it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabel {
    certificate: &'static str,
}

/// The label of `tls_reloads_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// The metrics of the xDS port's certificates.
struct Metrics {
    expiry: Family<CertificateLabel, Gauge>,
    reloads: Family<ResultLabel, Counter>,
}

impl Metrics {
    /// Registers `tls_certificate_expiry_timestamp_seconds{certificate}` and
    /// `tls_reloads_total{result}`.
    fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics {
            expiry: Family::default(),
            reloads: Family::default(),
        };
        let help = "When the first certificate of the xDS port ends, in Unix time";
        let family = metrics.expiry.clone();
        registry.register("tls_certificate_expiry_timestamp_seconds", help, family);
        let help =
            "Times the certificates of the xDS port were read anew because their files changed";
        registry.register("tls_reloads", help, metrics.reloads.clone());
        for result in ["ok", "error"] {
            drop(metrics.reloads.get_or_create(&ResultLabel { result }));
        }
        metrics
    }

    fn loaded(&self, expires: &[(&'static str, Option<SystemTime>)]) {
        for (certificate, moment) in expires {
            let since =
                moment.and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok());
            if let Some(since) = since {
                let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
                let label = CertificateLabel { certificate };
                self.expiry.get_or_create(&label).set(seconds);
            }
        }
    }

    fn count(&self, result: &'static str) {
        self.reloads.get_or_create(&ResultLabel { result }).inc();
    }
}

#[cfg(test)]
mod tests;
