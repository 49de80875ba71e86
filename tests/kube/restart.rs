//! Seaway is restarted while the API server is away. Without a checkpoint that is a start like any
//! other (`start.rs`).

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{World, eventually};

use crate::discovery::Proxy;
use crate::{SERVICES, only_this_change, populate};

/// xDS rule 148.
#[test]
fn a_restart_with_a_checkpoint_serves_everybody_what_there_was() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        let folder = world.folder().join("checkpoint");
        let folder = folder.to_string_lossy();
        let arguments = ["--checkpoint", &*folder, "--checkpoint-grace", "500ms"];
        world.start_seaway_on(&server, &arguments)?;
        let before = Proxy::complete(world, 0, "node", SERVICES)?.held();
        eventually("the checkpoint to be written", || {
            let written = world.metric("seaway_checkpoint_timestamp_seconds", "")?;
            ensure!(written > 0.0, "it was written at {written}");
            Ok(())
        })?;
        server.refuse()?;
        server.kill()?;
        world.restart_seaway()?;
        let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
        ensure!(proxy.held() == before, "other resources than before");
        let ready = world.readyz()?;
        ensure!(
            ready.body.contains("stale: serving the checkpoint of"),
            "{ready:?}"
        );
        ensure!(world.metric("seaway_world_stale", "")? == 1.0);

        let mark = proxy.mark();
        server.listen()?;
        eventually("the cluster to confirm the checkpoint", || {
            let stale = world.metric("seaway_world_stale", "")?;
            ensure!(stale == 0.0, "stale is {stale}");
            Ok(())
        })?;
        only_this_change(&server, &proxy, mark, Duration::from_secs(5))
    })
}
