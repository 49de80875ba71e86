//! Logging: JSON lines for machines, readable ones on a terminal; always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The environment variable with the filter, in the syntax of `RUST_LOG`.
const FILTER: &str = "SEAWAY_LOG";

/// What is logged when nobody says otherwise.
/// What the Kubernetes client says of each failed request is said by the watches, once.
const DEFAULT: &str = "info,kube_client=off";

/// Starts logging for this process.
///
/// # Errors
///
/// The filter in `SEAWAY_LOG` cannot be read.
pub(crate) fn init() -> anyhow::Result<()> {
    let filter = match std::env::var(FILTER) {
        Ok(text) if !text.trim().is_empty() => EnvFilter::try_new(&text)
            .map_err(|error| anyhow::anyhow!("{FILTER}={text}: {error}"))?,
        _ => EnvFilter::new(DEFAULT),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.init();
    } else {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init();
    }
    Ok(())
}
