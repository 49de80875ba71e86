//! `seaway wait`: it returns when every proxy has what was applied, and says what is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use seaway_testing::{Envoy, World, eventually};

use crate::{has, put, says, seaway, service, signal};

/// The manifest that is waited for.
fn manifest(world: &World) -> String {
    let path = world.manifests().path().join("web.yaml");
    path.to_string_lossy().into_owned()
}

/// Saves the Service that is waited for, with another address.
fn save(world: &World, number: u8) -> Result<()> {
    let text = service("web", number, true);
    world.manifests().save("web.yaml", &text)?;
    Ok(())
}

/// Two proxies that have everything: the second, and the manifest.
fn two(world: &mut World) -> Result<(Arc<Envoy>, String)> {
    save(world, 11)?;
    world.start_seaway(&[])?;
    world.start_node("n1", "a")?;
    let n2 = world.start_node("n2", "b")?;
    eventually("both proxies to have everything", || {
        let said = says(world, 0, &["get", "proxies"])?;
        has(&said, &["2 proxies: 2 synced"])
    })?;
    Ok((n2, manifest(world)))
}

/// operate.md O6: a proxy that is stopped delays it, and is named.
#[test]
fn it_returns_only_after_the_last_proxy_has_acknowledged() -> Result<()> {
    World::run(|world| {
        let (n2, file) = two(world)?;
        let said = says(world, 0, &["wait", "-f", &file, "--for", "served"])?;
        let words = [
            "1 Service and 1 EndpointSlice: served after",
            "1 replica, all proxies",
        ];
        has(&said, &words)?;
        signal(&n2, Signal::STOP)?;
        save(world, 12)?;
        let begin = Instant::now();
        let said = says(world, 1, &["wait", "-f", &file, "--timeout", "2s"])?;
        ensure!(begin.elapsed() >= Duration::from_secs(2), "{said}");
        let words = [
            "NOT APPLIED after 2.",
            "proxy n2: ",
            "1 of 2 proxies have it",
            "shop/web",
        ];
        has(&said, &words)?;
        ensure!(!said.contains("proxy n1"), "{said}");
        std::thread::scope(|scope| -> Result<()> {
            let waits = scope.spawn(|| {
                let said = says(world, 0, &["wait", "-f", &file, "--timeout", "60s"]);
                said.map(|said| (said, Instant::now()))
            });
            // Long enough for a wrong answer.
            std::thread::sleep(Duration::from_secs(1));
            ensure!(!waits.is_finished(), "it returned while n2 was stopped");
            let goes_on = Instant::now();
            signal(&n2, Signal::CONT)?;
            let (said, ended) = waits.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
            ensure!(ended > goes_on, "{said}");
            let config = n2.config_dump()?.to_string();
            ensure!(config.contains("10.96.0.12"), "n2 does not have it: {said}");
            Ok(())
        })
    })
}

/// More changes than are followed for one stream: none of them is taken for acknowledged.
#[test]
fn a_proxy_that_is_far_behind_is_waited_for() -> Result<()> {
    World::run(|world| {
        let (n2, file) = two(world)?;
        signal(&n2, Signal::STOP)?;
        save(world, 12)?;
        for number in 100..150 {
            let text = service("more", number, true);
            world.manifests().save("more.yaml", &text)?;
            let wanted = format!("10.96.0.{number}");
            eventually("the change to be published", || {
                let said = says(world, 0, &["get", "services", "-o", "json"])?;
                has(&said, &[&wanted])
            })?;
        }
        for more in [&["-f", &file][..], &["shop/web"], &[]] {
            let mut all = vec!["wait", "--timeout", "1s"];
            all.extend(more);
            has(&says(world, 1, &all)?, &["NOT APPLIED", "n2"])?;
        }
        signal(&n2, Signal::CONT)?;
        says(world, 0, &["wait", "-f", &file])?;
        says(world, 0, &["wait"])?;
        Ok(())
    })
}

#[test]
fn what_is_not_read_or_not_served_is_said() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, false)?;
        world.start_seaway(&[])?;
        eventually("it answers", || says(world, 0, &["get", "services"]))?;
        let file = manifest(world);
        says(world, 0, &["wait", "-f", &file])?;
        let served = ["wait", "shop/web", "--for", "served", "--timeout", "0s"];
        let said = says(world, 1, &served)?;
        has(
            &said,
            &[
                "NOT SERVED",
                "Service shop/web is not served: NoReadyEndpoint",
            ],
        )?;
        let said = says(world, 1, &["wait", "--for", "served", "--timeout", "0s"])?;
        has(&said, &["NOT SERVED", "everything", "Service shop/web"])?;
        let said = says(world, 1, &["wait", "shop/none", "--timeout", "0s"])?;
        has(&said, &["Service shop/none is not there"])?;

        let other = world.folder().join("other.yaml");
        std::fs::write(&other, service("web", 12, true))?;
        let other = other.to_string_lossy().into_owned();
        let said = says(world, 1, &["wait", "-f", &other, "--timeout", "1s"])?;
        has(&said, &["Service shop/web is there with other content"])?;
        put(world, "web", 12, true)?;
        let said = says(world, 0, &["wait", "-f", &other, "--for", "served"])?;
        has(&said, &["served after"])?;
        let output = seaway(world, &["wait", "--admin", "127.0.0.1:1"])?;
        ensure!(output.status.code() == Some(2), "{output:?}");
        Ok(())
    })
}

/// It says every five seconds what it waits for.
#[test]
fn it_names_what_it_waits_for_while_it_waits() -> Result<()> {
    World::run(|world| {
        world.start_seaway(&[])?;
        eventually("it answers", || says(world, 0, &["status"]))?;
        let output = seaway(world, &["wait", "shop/none", "--timeout", "6s"])?;
        let told = String::from_utf8(output.stderr)?;
        has(
            &told,
            &[
                "waiting for 5.",
                "127.0.0.1:18001: Service shop/none is not there",
            ],
        )?;
        ensure!(told.matches("waiting for").count() == 1, "{told}");
        Ok(())
    })
}
