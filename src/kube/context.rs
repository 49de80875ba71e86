//! What the Kubernetes source is given when it starts.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use seaway_translator::KindInfo;
use tokio::sync::{mpsc, watch};

use super::cluster_state::Scope;
use super::leader::StatusContext;
use crate::admin::watch_status::{self, Watches};
use crate::process::supervise::Supervisor;
use crate::source::Update;
use crate::source::checkpoint::Memory;
use crate::writer::News;

/// The channels, metrics and state with which the Kubernetes source starts.
#[derive(Debug)]
pub(crate) struct SourceContext {
    /// Sends updates to the writer.
    pub(crate) updates: mpsc::Sender<Update>,
    /// Receives the problems that the writer finds, which become Events.
    pub(crate) problems: watch::Receiver<News>,
    /// Where each watch shows its state, for `/readyz` and metrics.
    pub(crate) watches: Watches,
    /// Counts failures of watches.
    pub(crate) errors: Counter,
    /// The name of this replica, as Events have it.
    pub(crate) instance: String,
    /// What is needed to write status, if this source is to write it.
    pub(crate) status: Option<StatusContext>,
    /// The checkpoint, if there is one.
    pub(crate) memory: Option<Memory>,
    /// Spawns the source's tasks.
    pub(crate) supervisor: Supervisor,
}

impl SourceContext {
    /// Adds the status of a watch that begins. Secrets are not asked for before they are needed.
    pub(super) fn health(&self, info: &KindInfo, scope: &Scope) -> Arc<watch_status::Watch> {
        let errors = self.errors.clone();
        let health = self.watches.add(scope.name(), info.optional, errors);
        if info.secret {
            health.unneeded();
        }
        health
    }
}
