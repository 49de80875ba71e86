//! `seaway status`: the first line is the sentence its reader came for.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use seaway_testing::{World, eventually};

use crate::{has, put, says, seaway};

#[test]
fn a_world_in_order_is_well_and_what_is_not_is_the_first_line() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let _n1 = world.start_node("n1", "a")?;
        eventually("the proxy to have everything", || {
            let said = says(world, 0, &["status"])?;
            has(
                &said,
                &["All is well.", "1: 1 synced", "1: 1 served", "none"],
            )
        })?;
        put(world, "cart", 40, false)?;
        eventually("the Service without a ready endpoint", || {
            let said = says(world, 1, &["status"])?;
            has(
                &said,
                &[
                    "NOT WELL: 1 Service is not served",
                    "1 served, 1 not          see: seaway get services --not yes",
                ],
            )
        })?;
        put(world, "cart", 40, true)?;
        eventually("it is served", || says(world, 0, &["status"]))?;
        put(world, "cart", 40, false)?;
        eventually("it is lost, which is news", || {
            let said = says(world, 1, &["status"])?;
            has(&said, &["lost within the hour: shop/cart"])
        })
    })
}

/// operate.md O4: what hangs is named, and the others' answers are there in time.
#[test]
fn a_stopped_replica_is_named_within_three_seconds() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        for _ in 0..3 {
            world.start_seaway_on(&server, &[])?;
        }
        let ports = ["18001", "18011", "18021"].map(|port| format!("127.0.0.1:{port}"));
        let all = ports.join(",");
        says(world, 0, &["status", "--admin", &all])?;
        world.replica(1)?.signal(Signal::STOP)?;
        let begin = Instant::now();
        let said = says(world, 1, &["status", "--admin", &all])?;
        let took = begin.elapsed();
        world.replica(1)?.signal(Signal::CONT)?;
        ensure!(took < Duration::from_secs(3), "{took:?}");
        let first = said.lines().next().unwrap_or_default();
        has(first, &["127.0.0.1:18011", "does not answer"])?;
        has(&said, &["NO ANSWER"])?;
        ensure!(said.matches(" live ").count() == 2, "{said}");
        Ok(())
    })
}

#[test]
fn without_an_answer_there_is_no_status() -> Result<()> {
    World::run(|world| {
        let output = seaway(world, &["status", "--admin", "127.0.0.1:1"])?;
        let told = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(2), "{told}");
        has(&told, &["no replica answered", "127.0.0.1:1"])
    })
}
