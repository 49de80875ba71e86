//! The flags by which a trace of each commit is sent to a collector.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

use crate::traces::{CollectorUrl, TraceConfig};

/// Where traces go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Traces")]
pub(crate) struct TraceArgs {
    /// Send a trace of each commit to the collector at this URL, by OTLP over gRPC
    /// (http://HOST:4317 or https://HOST:4317)
    #[arg(long, env = "SEAWAY_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<CollectorUrl>,
    /// The authorities of the collector's certificate (PEM), where its URL is https
    #[arg(
        long,
        env = "SEAWAY_OTLP_CA",
        value_name = "FILE",
        default_value = "/etc/ssl/certs/ca-certificates.crt"
    )]
    pub(crate) otlp_ca: PathBuf,
    /// Trace one of so many commits, beside all that took longer than 200 ms
    #[arg(
        long,
        env = "SEAWAY_OTLP_SAMPLE",
        value_name = "N",
        default_value = "100"
    )]
    pub(crate) otlp_sample: NonZeroU32,
}

impl TraceArgs {
    /// Where traces go and how many; `None` if there are none.
    pub(crate) fn config(&self) -> Option<TraceConfig> {
        Some(TraceConfig {
            endpoint: self.otlp_endpoint.clone()?,
            ca: self.otlp_ca.clone(),
            one_in: self.otlp_sample,
        })
    }
}
