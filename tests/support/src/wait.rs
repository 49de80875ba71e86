//! Waiting for something that has no event of its own, with a deadline and a reason when it does
//! not come.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause between two looks.
const STEP: Duration = Duration::from_millis(10);

/// Looks until `look` returns a value, for at most `limit`. An `Err` of `look` is a "not yet" whose
/// text explains the failure should the time run out.
pub fn within<T>(
    limit: Duration,
    what: impl Display,
    mut look: impl FnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(reason) if Instant::now() >= end => {
                bail!("waited {limit:?} for {what}: {reason:#}")
            }
            Err(_) => thread::sleep(STEP),
        }
    }
}

/// [`within`] for what a process does, which is not waited for when `alive` says that it has ended.
pub(crate) fn while_alive(
    limit: Duration,
    what: impl Display,
    mut alive: impl FnMut() -> Result<()>,
    mut look: impl FnMut() -> Result<()>,
) -> Result<()> {
    within(limit, what, || match alive() {
        Ok(()) => look().map(Ok),
        Err(ended) => Ok(Err(ended)),
    })?
}

/// [`within`] ten seconds, the deadline of nearly every wait of the tests.
pub fn eventually<T>(what: impl Display, look: impl FnMut() -> Result<T>) -> Result<T> {
    within(Duration::from_secs(10), what, look)
}
