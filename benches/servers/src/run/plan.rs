//! Which servers run which workload, what is printed of it, and what is demanded.

use anyhow::{Result, bail};

use super::accept::Verdict;
use super::table::Figures;
use super::workload::{self, Setup};

/// All workloads.
pub(super) const ALL: [&str; 2] = ["w1", "w4"];

/// How long everything is to take.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    /// Of each steady state; each workload's own if not given.
    pub(super) seconds: Option<f64>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            rounds: 3,
            seconds: None,
        }
    }
}

/// A server under the name it has in the tables.
type Entry = (&'static str, Setup);

const FLOOR: Setup = Setup {
    program: "floor",
    services: 1000,
    proxies: 500,
    nodes: 0,
    sotw: false,
    objects: false,
};
const OURS: Setup = Setup {
    program: "ours",
    ..FLOOR
};
const LAYERS: Setup = Setup { nodes: 50, ..OURS };

const SYNC: &[(&str, &str)] = &[
    ("synced", "synced"),
    ("sync ms", "sync ms"),
    ("sync cpu", "server CPU s"),
    ("mb", "MB sent"),
    ("messages", "messages"),
    ("idle rss", "idle RSS MB"),
    ("peak", "peak RSS MB"),
    ("cpu", "client CPU s"),
];
const STEADY: &[(&str, &str)] = &[
    ("ticks", "ticks"),
    ("delivered", "delivered"),
    ("messages", "messages"),
    ("updates", "updates"),
    ("others", "others re-sent"),
    ("p50", "p50 us"),
    ("p90", "p90 us"),
    ("p99", "p99 us"),
    ("max", "max us"),
    ("cpu", "server CPU s"),
    ("per cpu", "updates / CPU s"),
    ("stale", "stale"),
    ("peak", "peak RSS MB"),
    ("client cpu", "client CPU s"),
];
const RECONNECT: &[(&str, &str)] = &[
    ("mb", "MB re-sent"),
    ("resources", "resources re-sent"),
    ("messages", "messages"),
    ("last_ms", "last message ms"),
    ("cpu", "server CPU s"),
    ("peak", "peak RSS MB"),
    ("client cpu", "client CPU s"),
];

impl Plan {
    /// Runs a workload, prints its tables, and returns what is to be said of it at the end.
    pub(super) fn run(&self, name: &str) -> Result<Vec<Verdict>> {
        match name {
            "w1" => self.w1(),
            "w4" => self.w4(),
            _ => bail!("no such workload: {name}"),
        }
    }

    /// Servers take turns inside each round, so that a noisy minute meets all of them.
    fn rounds(
        &self,
        workload: &str,
        entries: &[Entry],
        mut run: impl FnMut(&'static str, Setup) -> Result<()>,
    ) -> Result<()> {
        for round in 1..=self.rounds {
            for (name, setup) in entries {
                eprintln!("{workload}: round {round} of {}: {name}", self.rounds);
                run(name, *setup)?;
            }
        }
        Ok(())
    }

    fn w1(&self) -> Result<Vec<Verdict>> {
        let entries = [("floor", FLOOR), ("ours", OURS), ("ours, layers", LAYERS)];
        let (mut syncs, mut steadies) = (Figures::default(), Figures::default());
        let seconds = self.seconds.unwrap_or(20.0);
        self.rounds("w1", &entries, |name, setup| {
            let (sync, steady) = workload::steady(setup, 100_000, seconds)?;
            syncs.add(name, sync);
            steadies.add(name, steady);
            Ok(())
        })?;
        let ratios = ["sync ms", "sync cpu", "peak"];
        syncs.print(
            "W1 first sync: 500 streams, 1000 services x 10 endpoints",
            SYNC,
            &ratios,
        );
        let title =
            format!("W1 steady: one assignment every 100 ms for {seconds} s, to 500 streams");
        steadies.print(&title, STEADY, &["p50", "p99", "cpu"]);
        Ok(vec![
            Verdict::ratio(&steadies, "ours", "cpu", 1.1, "W1 CPU"),
            Verdict::ratio(&steadies, "ours", "p50", 1.15, "W1 p50"),
            Verdict::ratio(&steadies, "ours", "p99", 1.15, "W1 p99"),
            Verdict::ratio(&syncs, "ours", "sync cpu", 0.9, "W1 first sync CPU"),
            Verdict::ratio(&syncs, "ours", "sync ms", 1.0, "W1 first sync time"),
            Verdict::figure(&steadies, "ours", "peak", 45.0, "W1 peak memory", " MB"),
            Verdict::figure(&steadies, "ours", "stale", 0.0, "W1 stale", ""),
        ])
    }

    fn w4(&self) -> Result<Vec<Verdict>> {
        let entries = [("floor", FLOOR), ("ours", OURS), ("ours, layers", LAYERS)];
        let mut figures = Figures::default();
        self.rounds("w4", &entries, |name, setup| {
            figures.add(name, workload::reconnect(setup)?);
            Ok(())
        })?;
        let title = "W4: 500 streams cut and back 200 ms later with what they hold";
        figures.print(title, RECONNECT, &["last_ms", "cpu"]);
        Ok(vec![
            Verdict::figure(
                &figures,
                "ours",
                "resources",
                0.0,
                "W4 resources re-sent",
                "",
            ),
            Verdict::ratio(&figures, "ours", "cpu", 1.1, "W4 CPU"),
            Verdict::ratio(&figures, "ours", "last_ms", 0.5, "W4 last message"),
        ])
    }
}
