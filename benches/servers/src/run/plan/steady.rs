//! Workloads in which assignments keep changing: W1, W3, the state of the world, and the whole
//! pipeline.

use anyhow::Result;

use super::columns::{SATURATION, STEADY, SYNC};
use super::{Entry, FLOOR, LAYERS, NEB, OURS, PIPELINE, Plan, RIME};
use crate::run::accept::Verdict;
use crate::run::table::Figures;
use crate::run::workload::{self, Setup};

/// First sync and steady state of the same runs.
struct Both {
    syncs: Figures,
    steadies: Figures,
}

impl Plan {
    fn both(&self, workload: &str, entries: &[Entry], every: u64, seconds: f64) -> Result<Both> {
        let (mut syncs, mut steadies) = (Figures::default(), Figures::default());
        self.rounds(workload, entries, |name, setup| {
            if setup.program == "neb" {
                syncs.add(name, workload::sync(setup)?);
                return Ok(());
            }
            let (sync, steady) = workload::steady(setup, every, seconds)?;
            syncs.add(name, sync);
            steadies.add(name, steady);
            Ok(())
        })?;
        Ok(Both { syncs, steadies })
    }

    pub(super) fn w1(&self) -> Result<Vec<Verdict>> {
        let entries = [
            ("floor", FLOOR),
            ("ours", OURS),
            ("ours, layers", LAYERS),
            ("rime", RIME),
            ("neb", NEB),
        ];
        let seconds = self.seconds.unwrap_or(20.0);
        let Both { syncs, steadies } = self.both("w1", &entries, 100_000, seconds)?;
        let title = "W1 first sync: 500 streams, 1000 services x 10 endpoints";
        syncs.print(title, SYNC, &["sync ms", "sync cpu", "peak"]);
        let title = format!("W1 steady: one change every 100 ms for {seconds} s, to 500 streams");
        steadies.print(&title, STEADY, &["p50", "p99", "cpu"]);
        println!("\nneb has no row: it sends no updates.");
        Ok(vec![
            Verdict::ratio(&steadies, "ours", "cpu", 1.1, "W1 CPU"),
            Verdict::ratio(&steadies, "ours", "p50", 1.15, "W1 p50"),
            Verdict::ratio(&steadies, "ours", "p99", 1.15, "W1 p99"),
            Verdict::ratio(&syncs, "ours", "sync cpu", 0.9, "W1 first sync CPU"),
            Verdict::ratio(&syncs, "ours", "sync ms", 1.0, "W1 first sync time"),
            Verdict::figure(&steadies, "ours", "peak", 45.0, "W1 peak memory", " MB"),
            Verdict::figure(&steadies, "ours", "stale", 0.0, "W1 stale", ""),
            Verdict::figure(&steadies, "ours, layers", "stale", 0.0, "W1 stale", ""),
        ])
    }

    pub(super) fn w3(&self) -> Result<Vec<Verdict>> {
        let longer = Setup {
            coalesce: 20,
            ..OURS
        };
        let entries = [
            ("floor", FLOOR),
            ("ours", OURS),
            ("ours, --coalesce 20ms", longer),
            ("rime", RIME),
        ];
        let seconds = self.seconds.unwrap_or(10.0);
        let mut verdicts = Vec::new();
        for (every, least) in [(5, 1.0), (2, 2.0)] {
            let name = format!("w3, {every} ms");
            let figures = self.both(&name, &entries, every * 1000, seconds)?.steadies;
            let title = format!("W3: one change every {every} ms for {seconds} s, to 500 streams");
            figures.print(&title, SATURATION, &["per cpu", "p99"]);
            let what = |of: &str| format!("W3 {every} ms {of}");
            let per_cpu = what("deliveries per CPU second");
            verdicts.extend([
                Verdict::ratio(&figures, "ours", "per cpu", least, &per_cpu).at_least(),
                Verdict::ratio(
                    &figures,
                    "ours, --coalesce 20ms",
                    "per cpu",
                    least,
                    &per_cpu,
                )
                .at_least(),
                Verdict::ratio(&figures, "ours, --coalesce 20ms", "p99", 1.5, &what("p99")),
                Verdict::ratio(&figures, "ours", "p99", 1.5, &what("p99")),
                Verdict::figure(&figures, "ours", "stale", 0.0, &what("stale"), ""),
            ]);
        }
        println!("\nneb has no row: it sends no updates.");
        Ok(verdicts)
    }

    pub(super) fn sotw(&self) -> Result<Vec<Verdict>> {
        let sotw = |setup| Setup {
            sotw: true,
            ..setup
        };
        let entries = [("floor", sotw(FLOOR)), ("ours", sotw(OURS))];
        let seconds = self.seconds.unwrap_or(10.0);
        let Both { syncs, steadies } = self.both("sotw", &entries, 100_000, seconds)?;
        let title = "State of the world, W1 first sync";
        syncs.print(title, SYNC, &["sync ms", "sync cpu", "peak"]);
        let title = format!("State of the world, W1 steady for {seconds} s");
        steadies.print(&title, STEADY, &["p50", "p99", "cpu"]);
        let what = "state of the world: resources sent that had not changed";
        Ok(vec![
            Verdict::ratio(&steadies, "ours", "cpu", 1.5, "state of the world W1 CPU"),
            Verdict::figure(&steadies, "ours", "others", 0.0, what, ""),
            Verdict::figure(
                &steadies,
                "ours",
                "stale",
                0.0,
                "state of the world stale",
                "",
            ),
        ])
    }

    pub(super) fn pipeline(&self) -> Result<Vec<Verdict>> {
        let entries = [("floor", FLOOR), ("pipeline", PIPELINE)];
        let seconds = self.seconds.unwrap_or(20.0);
        let Both { syncs, steadies } = self.both("pipeline", &entries, 100_000, seconds)?;
        let title = "Whole pipeline, first sync: 1000 Services, half of them different over 50 nodes in 3 zones";
        syncs.print(title, SYNC, &["sync ms", "sync cpu", "peak"]);
        let title = format!(
            "Whole pipeline: one slice changed every 100 ms for {seconds} s, to 500 streams"
        );
        steadies.print(&title, STEADY, &["p50", "p99", "cpu"]);
        let floor = steadies.median("floor", "p99").unwrap_or_default();
        // Five milliseconds and the coalescing window.
        let allowed = floor + 15_000.0;
        let what = "whole pipeline p99";
        Ok(vec![
            Verdict::ratio(&steadies, "pipeline", "cpu", 1.5, "whole pipeline W1 CPU"),
            Verdict::figure(&steadies, "pipeline", "p99", allowed, what, " us"),
            Verdict::figure(
                &steadies,
                "pipeline",
                "stale",
                0.0,
                "whole pipeline stale",
                "",
            ),
        ])
    }
}
