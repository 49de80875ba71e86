//! Workloads of many streams, and of streams that stop reading.

use anyhow::Result;

use super::columns::{IDLE, STALL};
use super::{FLOOR, OURS, Plan};
use crate::load::raise_file_limit;
use crate::run::accept::Verdict;
use crate::run::table::Figures;
use crate::run::workload::{self, Setup};

/// Files that a process needs beside its connections.
const SPARE: u64 = 300;
const MANY: u64 = 30_000;

impl Plan {
    /// Once each, whatever the rounds: memory hardly varies.
    pub(super) fn idle(&self) -> Result<Vec<Verdict>> {
        let most = MANY.min(raise_file_limit()?.saturating_sub(SPARE));
        let few = most.min(10_000);
        let crowd = |setup, proxies| Setup {
            services: 100,
            proxies,
            ..setup
        };
        let entries = [
            ("floor", crowd(FLOOR, few)),
            ("ours", crowd(OURS, few)),
            ("ours, most", crowd(OURS, most)),
        ];
        let mut figures = Figures::default();
        for (name, setup) in entries {
            eprintln!("idle: {name}: {} streams", setup.proxies);
            figures.add(name, workload::idle(setup)?);
        }
        figures.print(
            "Idle streams, one connection each, 100 services x 10 endpoints; then three changes",
            IDLE,
            &["kb each"],
        );
        if most < MANY {
            println!(
                "\n{MANY} streams were not tried: a process may not open more than {} files here.",
                most + SPARE
            );
        }
        let each = "memory of an idle stream";
        Ok(vec![
            Verdict::figure(&figures, "ours", "kb each", 50.0, each, " KB"),
            Verdict::figure(&figures, "ours, most", "kb each", 50.0, each, " KB"),
            Verdict::figure(&figures, "ours, most", "synced", most as f64, "streams", "")
                .at_least(),
            Verdict::figure(
                &figures,
                "ours, most",
                "stale",
                0.0,
                "idle streams a change did not reach",
                "",
            ),
        ])
    }

    pub(super) fn stall(&self) -> Result<Vec<Verdict>> {
        // Some megabytes for each stream: the kernel takes four before a server notices.
        let stalling = |setup| Setup {
            services: 200,
            endpoints: 400,
            proxies: 100,
            receive: 65_536,
            ..setup
        };
        let entries = [("floor", stalling(FLOOR)), ("ours", stalling(OURS))];
        let stalled = 20;
        let seconds = self.seconds.unwrap_or(10.0).max(5.0);
        let mut figures = Figures::default();
        self.rounds("stall", &entries, |name, setup| {
            figures.add(name, workload::stall(setup, stalled, seconds)?);
            Ok(())
        })?;
        let title = format!(
            "{stalled} of 100 streams stop reading; 200 services x 400 endpoints, one change every 5 ms for {seconds} s"
        );
        figures.print(&title, STALL, &[]);
        Ok(vec![
            Verdict::figure(
                &figures,
                "ours",
                "times",
                1.5,
                "p99 of the others beside stalled readers",
                " x before",
            ),
            Verdict::figure(
                &figures,
                "ours",
                "each",
                1.0,
                "memory of a stalled stream",
                " MB",
            ),
            Verdict::figure(
                &figures,
                "ours",
                "stale",
                0.0,
                "stale beside stalled readers",
                "",
            ),
        ])
    }
}
