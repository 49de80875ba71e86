//! Seaway is killed at any moment while everything changes: traffic goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use seaway_testing::{ApiServer, Backend, Record, ServiceManifest, SliceManifest, World};
use seaway_testing::{eventually, join, say};

use crate::impatient;

const WEB: &str = "10.96.0.10:80";
const BACKENDS: [&str; 3] = ["10.244.1.10", "10.244.1.11", "10.244.1.12"];

/// How often it is killed: `SEAWAY_KILLS`.
fn kills() -> Result<u64> {
    let kills = std::env::var("SEAWAY_KILLS").unwrap_or_else(|_| "20".to_owned());
    kills.parse().context("SEAWAY_KILLS")
}

fn slice(name: &str, endpoints: &[&str]) -> String {
    let slice = SliceManifest::new(name).port("", 8080);
    let endpoints = endpoints.iter();
    let slice = endpoints.fold(slice, |slice, address| slice.endpoint(address));
    slice.document()
}

/// Changes until told to stop: endpoints of the Service with traffic, and other Services that come
/// and go.
fn churn(server: &ApiServer, stop: &AtomicBool) -> Result<()> {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let one = BACKENDS[round % BACKENDS.len()];
        let two = BACKENDS[(round + 1) % BACKENDS.len()];
        server.apply_yaml(&slice("web", &[one, two]))?;
        let name = format!("other-{}", round % 7);
        if round % 14 < 7 {
            let other = ServiceManifest::new(&name).port("", 80);
            let other = other.cluster_ip(&format!("10.96.1.{}", round % 7 + 1));
            server.apply_yaml(&join([other.document(), slice(&name, &[one])]))?;
        } else {
            // The first time round there is nothing yet.
            let _ = server.delete("services", "default", &name);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Waits until Envoy is connected.
fn await_stream(world: &World) -> Result<()> {
    eventually("Envoy to be connected", || {
        let streams = world.metric("seaway_xds_streams", "")?;
        ensure!(streams == 1.0, "{streams} streams");
        Ok(())
    })
}

/// Kills Seaway again and again, with a checkpoint or without.
fn survives(checkpoint: bool) -> Result<()> {
    World::run(|world| {
        let file = world.folder().join("checkpoint");
        let file = file.to_string_lossy();
        let arguments = ["--checkpoint", &*file];
        let arguments = if checkpoint { &arguments[..] } else { &[] };
        let server = world.api_server()?;
        let backends = BACKENDS
            .iter()
            .map(|address| world.backend(address, address));
        let _backends = backends.collect::<Result<Vec<Backend>>>()?;
        let web = ServiceManifest::new("web")
            .cluster_ip("10.96.0.10")
            .port("", 80);
        server.apply_yaml(&join([web.document(), slice("web", &BACKENDS)]))?;
        world.start_seaway_on(&server, arguments)?;
        let n1 = world.start_envoy("n1", &impatient(World::node_options("n1", "a"))?)?;
        n1.await_backend(WEB, BACKENDS[0])?;
        let load = n1.load(WEB, 100)?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let churning = scope.spawn(|| churn(&server, &stop));
            let killed = (0..kills()?).try_for_each(|round| {
                // Between the moment in which it is ready and some time after Envoy is there.
                if round % 2 == 1 {
                    await_stream(world)?;
                }
                thread::sleep(Duration::from_millis(round * 7919 % 100));
                world.seaway()?.kill()?;
                world.restart_seaway()?;
                let refused = world.metric("seaway_checkpoint_errors_total", "")?;
                ensure!(refused == 0.0, "a checkpoint was refused");
                Ok(())
            });
            stop.store(true, Ordering::Relaxed);
            churning
                .join()
                .map_err(|_| anyhow!("the churn panicked"))??;
            killed
        })?;
        // The last word counts, also for Envoy.
        server.apply_yaml(&slice("web", &BACKENDS[..1]))?;
        n1.await_backend(WEB, BACKENDS[0])?;
        let records = load.stop()?;
        let failures = Record::failures(&records);
        say(&format!("{} requests, failed: {failures:?}", records.len()));
        ensure!(
            failures.is_none(),
            "of {} requests: {failures:?}",
            records.len()
        );
        Ok(())
    })
}

#[test]
fn killed_again_and_again_while_everything_changes_it_fails_no_request() -> Result<()> {
    survives(false)
}

#[test]
fn killed_again_and_again_it_begins_with_its_checkpoint_and_fails_no_request() -> Result<()> {
    survives(true)
}
