//! Workloads of the first answer: a large world, and clients that come back.

use anyhow::Result;

use super::columns::{RECONNECT, SYNC};
use super::{FLOOR, LAYERS, NEB, OURS, Plan, RIME};
use crate::run::accept::Verdict;
use crate::run::table::Figures;
use crate::run::workload::{self, Setup};

impl Plan {
    pub(super) fn w2(&self) -> Result<Vec<Verdict>> {
        let large = |setup| Setup {
            services: 10_000,
            proxies: 20,
            ..setup
        };
        let entries = [
            ("floor", large(FLOOR)),
            ("ours", large(OURS)),
            ("rime", large(RIME)),
            ("neb", large(NEB)),
        ];
        let mut figures = Figures::default();
        self.rounds("w2", &entries, |name, setup| {
            figures.add(name, workload::sync(setup)?);
            Ok(())
        })?;
        let title = "W2: 20 streams, 10000 services x 10 endpoints";
        figures.print(title, SYNC, &["sync ms", "sync cpu", "peak"]);
        Ok(vec![
            Verdict::ratio(&figures, "ours", "sync cpu", 0.9, "W2 first sync CPU"),
            Verdict::figure(&figures, "ours", "peak", 40.0, "W2 peak memory", " MB"),
        ])
    }

    pub(super) fn w4(&self) -> Result<Vec<Verdict>> {
        let entries = [
            ("floor", FLOOR),
            ("ours", OURS),
            ("ours, layers", LAYERS),
            ("rime", RIME),
            ("neb", NEB),
        ];
        let mut figures = Figures::default();
        self.rounds("w4", &entries, |name, setup| {
            figures.add(name, workload::reconnect(setup)?);
            Ok(())
        })?;
        let title = "W4: 500 streams cut, and back 200 ms later with what they hold";
        figures.print(title, RECONNECT, &["last_ms", "busy ms", "cpu"]);
        // Who sends nothing has no last message, but is at work for a while.
        let (last, what) = match figures.median("ours", "messages") {
            Some(0.0) => ("busy ms", "W4, no message at all: server busy until"),
            _ => ("last_ms", "W4 last message"),
        };
        let resent = "W4 resources re-sent";
        Ok(vec![
            Verdict::figure(&figures, "ours", "resources", 0.0, resent, ""),
            Verdict::figure(&figures, "ours, layers", "resources", 0.0, resent, ""),
            Verdict::ratio(&figures, "ours", "cpu", 1.1, "W4 CPU"),
            Verdict::ratio(&figures, "ours", last, 0.5, what),
        ])
    }
}
