//! Seaway dies and comes back: traffic goes on, and Envoy finds nothing to change.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{Place, Scene, steps};

#[test]
fn killed_and_restarted_fails_no_request_and_changes_nothing() -> Result<()> {
    Scene::play(&[Place::N1], steps::restart)
}

#[test]
fn terminated_ends_by_itself_with_exit_code_zero() -> Result<()> {
    Scene::play(&[Place::N1], |scene| {
        let status = scene.world.seaway()?.terminate(Duration::from_secs(12))?;
        ensure!(status.code() == Some(0), "it ended with {status}");
        steps::spread_on(scene, Place::N1)
    })
}
