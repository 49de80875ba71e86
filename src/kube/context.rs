//! What a source is given by whoever starts it.

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, watch};

use crate::admin::watch_status::Watches;
use crate::process::supervise::Supervisor;
use crate::source::Update;
use crate::source::checkpoint::Memory;
use crate::writer::News;

/// The channels of a source, and what it knows of the last run.
#[derive(Debug)]
pub(crate) struct SourceContext {
    /// The writer.
    pub(crate) updates: mpsc::Sender<Update>,
    /// What the writer finds wrong.
    pub(crate) problems: watch::Receiver<News>,
    /// Where the state of watches is shown.
    pub(crate) watches: Watches,
    /// Counts what fails.
    pub(crate) errors: Counter,
    /// What this replica is called.
    pub(crate) instance: String,
    /// What is known of the last run.
    pub(crate) memory: Option<Memory>,
    /// Starts what it does at the same time.
    pub(crate) supervisor: Supervisor,
}
