//! The task that sends spans to the collector. One that is away, hangs or refuses costs the spans
//! that it was to get, and a line in the log.

use std::time::{Duration, Instant};

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{CollectorUrl, Outcomes, TraceConfig};
use crate::process::outside::{quote, read_credential};

/// The most spans that are sent at once: about a quarter of a megabyte.
const BATCH: usize = 512;
/// How long the collector may take, from connecting to its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is said at most that it does not take spans.
const QUIET: Duration = Duration::from_secs(60);

/// Sends spans.
#[derive(Debug)]
pub(super) struct Export {
    endpoint: CollectorUrl,
    ca: std::path::PathBuf,
    /// Who sends.
    resource: Resource,
    /// A connection that has worked, or was not used yet.
    exporter: Option<SpanExporter>,
    outcomes: Outcomes,
    /// The collector did not take the last spans, and that was said.
    is_away: bool,
    /// When that was said last.
    said: Option<Instant>,
}

impl Export {
    pub(super) fn new(config: &TraceConfig, replica: String, outcomes: Outcomes) -> Export {
        let resource = Resource::builder_empty()
            .with_service_name("seaway")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", replica))
            .build();
        Export {
            endpoint: config.endpoint.clone(),
            ca: config.ca.clone(),
            resource,
            exporter: None,
            outcomes,
            is_away: false,
            said: None,
        }
    }

    /// Sends what is in the queue.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<SpanData>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let count = batch.len() as u64;
            let sent = self.send(std::mem::take(&mut batch)).await;
            self.follow(count, sent);
        }
    }

    async fn send(&mut self, spans: Vec<SpanData>) -> anyhow::Result<()> {
        let exporter = match self.exporter.take() {
            Some(exporter) => exporter,
            None => self.connect().await?,
        };
        // A task of its own, so that a panic in there ends nothing else.
        let sending = AbortOnDropHandle::new(tokio::spawn(async move {
            exporter.export(spans).await.map(|()| exporter)
        }));
        let sent = timeout(PATIENCE, sending).await;
        let sent = sent.context("it does not answer")?;
        // What failed may be the connection: the next one is a new one.
        self.exporter = Some(sent.context("sending failed")??);
        Ok(())
    }

    /// An exporter, which connects when it is used.
    async fn connect(&self) -> anyhow::Result<SpanExporter> {
        let mut builder = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&self.endpoint.text)
            .with_timeout(PATIENCE);
        if self.endpoint.is_https {
            let ca = self.ca.clone();
            // It waits for a disk.
            let ca =
                tokio::task::spawn_blocking(move || read_credential("--otlp-ca", &ca)).await??;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
            builder = builder.with_tls_config(tls);
        }
        let mut exporter = builder.build()?;
        exporter.set_resource(&self.resource);
        Ok(exporter)
    }

    /// Counts spans, and says when the collector stops to take them, or takes them again.
    fn follow(&mut self, count: u64, sent: anyhow::Result<()>) {
        let endpoint = &self.endpoint.text;
        match sent {
            Ok(()) => {
                self.outcomes.sent.inc_by(count);
                if std::mem::take(&mut self.is_away) {
                    tracing::info!(endpoint, "the collector takes traces again");
                }
            }
            Err(error) => {
                self.outcomes.dropped.inc_by(count);
                let said = self.said.is_some_and(|said| said.elapsed() < QUIET);
                if !self.is_away && !said {
                    self.is_away = true;
                    self.said = Some(Instant::now());
                    let error = quote(&format!("{error:#}"));
                    tracing::warn!(
                        endpoint,
                        error,
                        "the collector does not take traces; they are dropped"
                    );
                }
            }
        }
    }
}
