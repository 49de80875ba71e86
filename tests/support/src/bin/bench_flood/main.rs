//! What one pod that begins all it can costs another pod's requests: UDP and TCP of the very
//! Service that is flooded, and the same endpoint without Envoy, before the flood, during it, and
//! on a machine that is equally busy with something else.
//!
//! `make bench-flood` runs it; `docs/scale.md` says what came out and what to make of it.

#![expect(clippy::print_stdout, reason = "the measurements are its output")]

mod burner;
mod offender;
mod phase;
mod probe;
mod report;
mod stage;

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::usage::{file_limit, open_files};

use offender::Load;
use phase::{Course, run};
use stage::{NOBODY, SERVICE, Stage};

const USAGE: &str = "usage: seaway-bench-flood FLOWS CONNECTIONS SECONDS [FILES]";
/// Files that Envoy may have more than before when a flood is over.
const MARGIN: usize = 20;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (load, length, files) = parse(&arguments).context(USAGE)?;
    let own = file_limit(std::process::id())?;
    ensure!(
        files.is_none() || u64::from(load.flows) * 2 < own,
        "{} flows a second take more than the {own} files of Envoy",
        load.flows
    );
    Stage::run(files, |stage| {
        let before = open_files(stage.envoy_id())?;
        let quiet = run(stage, length / 3, &Course::Quiet)?;
        let (counted, dropped) = (stage.counters()?, stage.queues()?);
        let flood = run(stage, length, &Course::Flood(load, SERVICE));
        // An Envoy that has ended says more than what there is no looking at any more.
        stage.check()?;
        let flood = flood?;
        let limited = report::differences(&counted, &stage.counters()?);
        let full = report::differences(&dropped, &stage.queues()?);
        report::envoy(stage, &flood, &limited, &full)?;
        stage.settle(before + MARGIN)?;
        let busy = flood.envoy + flood.pods;
        let control = run(stage, length, &Course::Busy(load, NOBODY, busy))?;
        report::table(&[
            ("no flood", &quiet),
            ("flood", &flood),
            ("as busy, no flood of Envoy", &control),
        ]);
        stage.check()
    })
}

fn parse(arguments: &[String]) -> Option<(Load, Duration, Option<&str>)> {
    let [flows, connections, seconds, files @ ..] = arguments else {
        return None;
    };
    let load = Load {
        flows: flows.parse().ok()?,
        connections: connections.parse().ok()?,
    };
    let seconds = seconds.parse().ok().filter(|seconds| *seconds > 0)?;
    let files = match files {
        [] => None,
        [files] => Some(files.as_str()),
        _ => return None,
    };
    Some((load, Duration::from_secs(seconds), files))
}
