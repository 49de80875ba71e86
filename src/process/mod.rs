//! What every command's process needs: log, signals, exit codes, reading files, supervision of
//! tasks, metrics.

pub(crate) mod clock;
pub(crate) mod exit;
pub(crate) mod form;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod outside;
pub(crate) mod pem;
pub(crate) mod signals;
pub(crate) mod supervise;
pub(crate) mod usage;
