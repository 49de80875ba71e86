//! Routes that are added one after the other, each timed from its write to the API server to its
//! first answer.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use seaway_testing::Ask;

use crate::stage::{Stage, host, route};

/// A route has to serve within this time.
const LIMIT: Duration = Duration::from_secs(30);

/// Adds so many routes, and prints how soon they served.
pub(crate) fn run(routes: usize) -> Result<()> {
    Stage::run(|stage| {
        let (mut times, mut wrong) = (Vec::with_capacity(routes), 0);
        for number in 0..routes {
            let (time, errors) = add(stage, &format!("r{number}"))?;
            times.push(time);
            wrong += errors;
        }
        println!("\n## Routes added one after the other\n");
        println!("| routes | p50 | p99 | most |\n|---|---|---|---|");
        let tenth = (routes / 10).max(1);
        for (at, part) in times.chunks(tenth).enumerate() {
            let (first, last) = (at * tenth + 1, at * tenth + part.len());
            println!("| {first} to {last} | {} |", percentiles(part));
        }
        println!("| all | {} |", percentiles(&times));
        println!("\nanswers that were neither 404 nor 200: {wrong}");
        Ok(())
    })
}

/// Adds a route. Returns how long it took until it served, and how many answers before that were
/// no 404.
fn add(stage: &Stage<'_>, name: &str) -> Result<(Duration, usize)> {
    let ask = Ask::get(&host(name), "/");
    let mut connection = stage.connect()?;
    let mut wrong = 0;
    let begin = Instant::now();
    stage.server.apply_yaml(&route(name, "s1"))?;
    loop {
        match connection.ask(&ask) {
            Ok(reply) if reply.status == 200 => return Ok((begin.elapsed(), wrong)),
            Ok(reply) if reply.status == 404 => {}
            Ok(_) => wrong += 1,
            Err(_) => {
                wrong += 1;
                connection = stage.connect()?;
            }
        }
        if begin.elapsed() > LIMIT {
            bail!("{name} does not serve");
        }
    }
}

/// The median, the 99th percentile and the most of some times, as columns.
fn percentiles(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = |share: usize| {
        let index = (sorted.len() * share / 100).min(sorted.len().saturating_sub(1));
        let time = sorted.get(index).copied().unwrap_or_default();
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    };
    format!("{} | {} | {}", at(50), at(99), at(100))
}
