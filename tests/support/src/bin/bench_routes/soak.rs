//! A route that is changed again and again: what that does to the memory of Seaway and of Envoy.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seaway_testing::Ask;
use seaway_testing::usage::Usage;

use crate::stage::{Stage, host, route};

/// The time from one change to the next.
const PAUSE: Duration = Duration::from_millis(50);
/// The time from one look at the memory to the next.
const LOOK: Duration = Duration::from_secs(20);
/// What comes before this is not counted: caches fill.
const WARM: Duration = Duration::from_secs(60);

/// Changes a route for so long, and prints memory and CPU.
pub(crate) fn run(length: Duration) -> Result<()> {
    Stage::run(|stage| {
        let (seaway, envoy) = (stage.world.seaway()?.id(), stage.envoy.id());
        let begin = Instant::now();
        let (mut changes, mut next) = (0_u32, begin + LOOK);
        let (mut of_seaway, mut of_envoy) = (Vec::new(), Vec::new());
        while begin.elapsed() < length {
            let service = ["s1", "s2"][changes as usize % 2];
            stage.server.apply_yaml(&route("first", service))?;
            changes += 1;
            thread::sleep((begin + PAUSE * changes).saturating_duration_since(Instant::now()));
            if Instant::now() >= next {
                next += LOOK;
                if begin.elapsed() >= WARM.min(length / 2) {
                    of_seaway.push(Usage::of(seaway)?);
                    of_envoy.push(Usage::of(envoy)?);
                }
            }
        }
        let reply = stage.connect()?.ask(&Ask::get(&host("first"), "/"))?;
        ensure!(reply.status == 200, "{reply:?}");
        let (minutes, per_second) = (length.as_secs() / 60, 1.0 / PAUSE.as_secs_f64());
        println!("\n## A route changed {per_second} times a second for {minutes} minutes\n");
        println!("{changes} changes; memory after the first minute, every {LOOK:?}\n");
        println!("| | least | most | first | last | CPU |\n|---|---|---|---|---|---|");
        println!("| Seaway | {} |", columns(&of_seaway, length));
        println!("| Envoy | {} |", columns(&of_envoy, length));
        Ok(())
    })
}

fn columns(seen: &[Usage], length: Duration) -> String {
    let memory = || seen.iter().map(|usage| usage.resident);
    let (least, most) = (
        memory().fold(f64::MAX, f64::min),
        memory().fold(0.0, f64::max),
    );
    let (first, last) = (memory().next(), memory().next_back());
    let cpu = seen.last().map_or(0.0, |usage| usage.cpu) / length.as_secs_f64();
    format!(
        "{least:.1} MB | {most:.1} MB | {:.1} MB | {:.1} MB | {:.1} %",
        first.unwrap_or_default(),
        last.unwrap_or_default(),
        cpu * 100.0
    )
}
