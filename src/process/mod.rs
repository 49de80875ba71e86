//! What any process needs, whatever it is for: its log, its signals, how it ends, its files, its metrics.

pub(crate) mod clock;
pub(crate) mod exit;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod outside;
pub(crate) mod signals;
pub(crate) mod supervise;
