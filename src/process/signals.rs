//! Handles the signals that ask the process to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives SIGTERM and SIGINT, and keeps SIGXFSZ from ending the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The handler of SIGXFSZ: with it a write beyond the limit of file sizes returns an error
    /// instead.
    _file_size: Signal,
}

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits for the next signal; returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
