//! How soon a change takes effect: from the moment it is saved until a client sees it.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::load::ask_once;
use crate::side::{Side, service};

/// Endpoints that are replaced, and Services that are added.
const REPLACED: u8 = 50;
const ADDED: u8 = 20;
/// Between two changes, so that each meets a node that has nothing else to do.
const PAUSE: Duration = Duration::from_millis(40);
/// Between two looks, so that looking does not take the processor from what is looked at.
const STEP: Duration = Duration::from_micros(500);
/// How long a look may take to be connected: a Service that is not there yet need not refuse.
const CONNECT: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client saw of changes.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    pub(crate) times: Vec<Duration>,
    /// Requests that failed meanwhile.
    pub(crate) failed: usize,
}

/// Has the first Service change between its two endpoints.
pub(crate) fn replaced(side: &Side<'_>) -> Result<Effect> {
    let mut effect = Effect::default();
    for number in 0..REPLACED {
        let name = if number % 2 == 0 { "b" } else { "a" };
        let (time, failed) = change(side, 0, name)?;
        effect.times.push(time);
        effect.failed += failed;
    }
    Ok(effect)
}

/// Adds Services, one after the other. Requests to one that is not there yet do not count as
/// failed.
pub(crate) fn added(side: &Side<'_>) -> Result<Effect> {
    let mut effect = Effect::default();
    for number in 1..=ADDED {
        effect.times.push(change(side, number, "a")?.0);
    }
    Ok(effect)
}

fn change(side: &Side<'_>, number: u8, endpoint: &str) -> Result<(Duration, usize)> {
    thread::sleep(PAUSE);
    let saved = side.save(number, endpoint)?;
    let (to, name) = (service(number), endpoint.as_bytes()[0]);
    let seen = side.client()?.run(move || watch(to, name))?;
    let (answered, failed) =
        seen.with_context(|| format!("{}: {to} is not {endpoint}", side.name))?;
    Ok((answered - saved, failed))
}

/// Asks until this endpoint answers: when that was, and how many requests failed before. `None` if
/// it never does.
fn watch(to: SocketAddr, name: u8) -> Option<(Instant, usize)> {
    let (end, mut failed) = (Instant::now() + PATIENCE, 0);
    while Instant::now() < end {
        match ask_once(to, CONNECT) {
            Ok(by) if by == name => return Some((Instant::now(), failed)),
            Ok(_) => {}
            Err(_) => failed += 1,
        }
        thread::sleep(STEP);
    }
    None
}
