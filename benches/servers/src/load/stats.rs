//! What arrived.

use std::fmt::Write;

/// Counts of one stream, or of many together.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) resources: u64,
    pub(super) removed: u64,
    /// Microseconds from the change of an assignment to its arrival.
    pub(super) latencies: Vec<u32>,
    /// When the last message arrived, on the clock of all processes.
    pub(super) last: u64,
    /// Streams that ended by themselves.
    pub(super) ended: u64,
}

impl Stats {
    pub(super) fn add(&mut self, other: &Stats) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.resources += other.resources;
        self.removed += other.removed;
        self.latencies.extend(&other.latencies);
        self.last = self.last.max(other.last);
        self.ended += other.ended;
    }

    /// As `name=value` pairs; times in milliseconds since `start`, latencies in microseconds.
    pub(super) fn line(&mut self, start: u64) -> String {
        self.latencies.sort_unstable();
        let mut line = String::new();
        let last = self.last.saturating_sub(start) as f64 / 1e6;
        let megabytes = self.bytes as f64 / 1e6;
        let counts = [
            ("messages", self.messages as f64),
            ("mb", megabytes),
            ("resources", self.resources as f64),
            ("removed", self.removed as f64),
            ("updates", self.latencies.len() as f64),
            ("last_ms", last),
            ("ended", self.ended as f64),
            ("p50", self.quantile(0.5)),
            ("p90", self.quantile(0.9)),
            ("p99", self.quantile(0.99)),
            ("max", self.quantile(1.0)),
        ];
        for (name, value) in counts {
            // Writing to a string does not fail.
            let _ = write!(line, "{name}={value} ");
        }
        line
    }

    fn quantile(&self, part: f64) -> f64 {
        let Some(end) = self.latencies.len().checked_sub(1) else {
            return f64::NAN;
        };
        f64::from(self.latencies[(end as f64 * part).round() as usize])
    }
}
