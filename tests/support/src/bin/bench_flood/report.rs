//! What is printed.

use anyhow::Result;
use seaway_testing::usage::file_limit;

use crate::phase::Phase;
use crate::stage::{COUNTERS, QUEUES, Stage};

/// How much more each is.
pub(crate) fn differences(before: &[u64], after: &[u64]) -> Vec<u64> {
    let both = before.iter().zip(after);
    both.map(|(before, after)| after.saturating_sub(*before))
        .collect()
}

/// What the flood was, and what it did to Envoy.
pub(crate) fn envoy(
    stage: &Stage<'_, '_>,
    flood: &Phase,
    limited: &[u64],
    full: &[u64],
) -> Result<()> {
    let (sent, seconds) = (&flood.sent, flood.length.as_secs_f64());
    println!(
        "flood: {} datagrams, each from another port ({:.0} a second), and {} connections ({:.0} a second): {} refused, {} without an answer, {} held at the end",
        sent.datagrams,
        sent.datagrams as f64 / seconds,
        sent.connections.tried,
        sent.connections.tried as f64 / seconds,
        sent.connections.refused,
        sent.connections.unanswered,
        sent.connections.held,
    );
    println!(
        "Envoy: lives; at most {} files open of {}, {:.0} MB of memory at most",
        flood.files,
        file_limit(stage.envoy_id())?,
        flood.memory.peak,
    );
    for (name, count) in COUNTERS.iter().zip(limited) {
        println!("counter {name}: {count}");
    }
    for ((_, _, name), count) in QUEUES.iter().zip(full) {
        println!("{name} in Envoy's namespace: {count}");
    }
    for line in stage.refused()? {
        println!("{line}");
    }
    Ok(())
}

/// The tables of answers and of processors.
pub(crate) fn table(phases: &[(&str, &Phase)]) {
    println!("\n| | asked | failed | p50 | p99 | max |\n|---|---|---|---|---|---|");
    for (name, phase) in phases {
        for answers in &phase.answers {
            println!(
                "| {name}: {} | {} | {} | {:.1} ms | {:.1} ms | {:.1} ms |",
                answers.lane.name,
                answers.asked(),
                answers.failed(),
                answers.percentile(50),
                answers.percentile(99),
                answers.percentile(100),
            );
        }
    }
    for (name, phase) in phases {
        for answers in &phase.answers {
            for (why, count) in &answers.failures {
                println!("failed: {count} x {name}: {}: {why}", answers.lane.name);
            }
        }
    }
    println!("\n| processors busy with | all | Envoy | all pods | the offender |");
    println!("|---|---|---|---|---|");
    for (name, phase) in phases {
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} |",
            phase.machine, phase.envoy, phase.pods, phase.offender,
        );
    }
}
