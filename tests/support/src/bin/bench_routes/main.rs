//! How soon a route serves, and what a server is like after many: a stand-in for an API server,
//! Seaway and an Envoy of role `ingress`, each a process of its own.
//!
//! `make bench-routes` runs it; `docs/scale.md` says what came out.

#![expect(clippy::print_stdout, reason = "the measurements are its output")]

mod attach;
mod probe;
mod soak;
mod stage;

use std::env;
use std::time::Duration;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (routes, seconds) = parse(&arguments).context("usage: seaway-bench-routes ROUTES SOAK")?;
    if routes > 0 {
        probe::run(routes)?;
        attach::run()?;
    }
    if !seconds.is_zero() {
        soak::run(seconds)?;
    }
    Ok(())
}

/// How many routes are added, and for how long one is changed after that.
fn parse(arguments: &[String]) -> Option<(usize, Duration)> {
    let [routes, seconds] = arguments else {
        return None;
    };
    let seconds = Duration::from_secs(seconds.parse().ok()?);
    Some((routes.parse().ok()?, seconds))
}
