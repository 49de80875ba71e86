//! Logging: JSON lines for machines, readable ones on a terminal; always on standard error, and
//! never waited for ([`mod@queue`]).

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::env::VarError;
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

use queue::Queue;

/// The environment variable with the filter, in the syntax of `RUST_LOG`.
const FILTER: &str = "SEAWAY_LOG";

/// The default filter. The Kubernetes client is off: the watches log each failure themselves, once.
const DEFAULT: &str = "info,kube_client=off";

/// How long the end of the process waits for log lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The queue of everything that this process writes to standard error.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// The counter of panics.
static PANICS: LazyLock<Counter> = LazyLock::new(Counter::default);

fn queue() -> &'static Queue {
    QUEUE.get_or_init(|| Queue::start(io::stderr()))
}

/// Starts logging for this process.
///
/// # Errors
///
/// The filter in `SEAWAY_LOG` cannot be read.
pub(crate) fn init() -> anyhow::Result<()> {
    let unreadable = |error: &dyn std::fmt::Display| anyhow::anyhow!("{FILTER}: {error}");
    let filter = match std::env::var(FILTER) {
        Ok(text) if !text.trim().is_empty() => {
            EnvFilter::try_new(&text).map_err(|error| unreadable(&format!("{text}: {error}")))?
        }
        Err(error @ VarError::NotUnicode(_)) => return Err(unreadable(&error)),
        Ok(_) | Err(VarError::NotPresent) => EnvFilter::new(DEFAULT),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue().clone())
        // They would be printed where the lines go, by a macro that panics.
        .log_internal_errors(false);
    if io::stderr().is_terminal() {
        lines.init();
    } else {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init();
    }
    std::panic::set_hook(Box::new(panicked));
    Ok(())
}

/// Logs and counts a panic. Rust's own hook would block on standard error.
fn panicked(info: &PanicHookInfo<'_>) {
    PANICS.inc();
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let location = info.location().map(tracing::field::display);
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = captured.then(|| tracing::field::display(backtrace));
    tracing::error!(
        panic = message,
        location,
        thread = thread.name(),
        backtrace,
        "a bug: a part of Seaway panicked"
    );
}

/// Registers `log_lines_dropped_total` and `panics_total`.
pub(crate) fn register(registry: &mut Registry) {
    let help = "Log lines that could not be written, or that nobody read for too long";
    registry.register("log_lines_dropped", help, queue().dropped());
    let help = "Panics: bugs of Seaway, each of which is in the log";
    registry.register("panics", help, PANICS.clone());
}

/// Writes a line to standard error that is no log line.
pub(crate) fn say(line: &str) {
    queue().put(format!("{line}\n").into_bytes());
}

/// Waits, when it is dropped at the end of the process, for the lines that are not written yet, but
/// for at most [`LAST_LINES`].
#[derive(Debug)]
pub(crate) struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        if let Some(queue) = QUEUE.get() {
            queue.flush(LAST_LINES);
        }
    }
}
