//! Many routes that attach to one Gateway at once: when its status counts them all, and how often
//! it was written until then.

use std::time::{Duration, Instant};

use anyhow::Result;
use seaway_testing::within;

use crate::stage::{Stage, route};

/// How many routes attach.
const ROUTES: usize = 1_000;
/// The status has to be right within this time.
const LIMIT: Duration = Duration::from_secs(60);

/// Attaches the routes and prints what it took.
pub(crate) fn run() -> Result<()> {
    Stage::run(|stage| {
        // The route that is there from the start.
        counted(stage, 1)?;
        let writes = || stage.server.seen("patch", "gateways").len();
        let (before, begin) = (writes(), Instant::now());
        for number in 0..ROUTES {
            stage
                .server
                .apply_yaml(&route(&format!("a{number}"), "s1"))?;
        }
        let applied = begin.elapsed();
        counted(stage, ROUTES + 1)?;
        let (took, written) = (begin.elapsed(), writes() - before);
        println!("\n## Routes attached to one Gateway at once\n");
        println!(
            "{ROUTES} routes, applied within {applied:.1?}; attachedRoutes right after {took:.1?} \
             ({:.1?} after the last), with {written} writes of the Gateway's status",
            took.saturating_sub(applied)
        );
        Ok(())
    })
}

/// Waits until the Gateway's status counts so many routes.
fn counted(stage: &Stage<'_>, routes: usize) -> Result<()> {
    within(LIMIT, format!("{routes} attached routes"), || {
        let gateway = stage.server.get("gateways", "default", "g")?;
        let gateway = gateway.unwrap_or_default();
        let counted = &gateway["status"]["listeners"][0]["attachedRoutes"];
        anyhow::ensure!(counted.as_u64() == u64::try_from(routes).ok(), "{counted}");
        Ok(())
    })
}
