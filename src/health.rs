//! Whether this process should get traffic: false until the first sync (invariant 1) and from the first signal on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by those who know (the writer, the signal handler) and those who answer (admin, admission of streams).
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    synced: AtomicBool,
    draining: AtomicBool,
}

impl Health {
    /// The whole world has been published once.
    pub(crate) fn set_synced(&self) {
        self.0.synced.store(true, Ordering::Release);
    }

    /// Whether the whole world has been published once.
    pub(crate) fn is_synced(&self) -> bool {
        self.0.synced.load(Ordering::Acquire)
    }

    /// The process is about to end.
    pub(crate) fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Ready, or why not.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        if self.0.draining.load(Ordering::Acquire) {
            return Err("draining: this process is about to end");
        }
        if !self.is_synced() {
            return Err("not synced: the source has not been read completely yet");
        }
        Ok(())
    }
}
