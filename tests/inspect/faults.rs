//! Prepared faults: the first screen of `seaway status` names the cause and the object. The list of
//! all twenty, with those that other tests hold, is in `tests/README.md`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{Fault, Grants, World, eventually, within};

use crate::{has, says, seaway, service};

/// How many lines a first screen has.
const SCREEN: usize = 80;

/// Waits until `seaway status` ends with 1, and its first screen has all of these words.
fn status_names(world: &World, words: &[&str]) -> Result<()> {
    within(Duration::from_secs(30), format!("{words:?}"), || {
        let output = seaway(world, &["status"])?;
        let said = String::from_utf8(output.stdout)?;
        let screen: Vec<&str> = said.lines().take(SCREEN).collect();
        has(&screen.join("\n"), words)?;
        ensure!(output.status.code() == Some(1), "it is well: {said}");
        Ok(())
    })
}

#[test]
fn a_broken_file_is_named_and_what_it_said_before_is_served() -> Result<()> {
    World::run(|world| {
        let manifests = world.manifests();
        manifests.save("web.yaml", &service("web", 11, true))?;
        world.start_seaway(&[])?;
        let manifests = world.manifests();
        eventually("all to be well", || says(world, 0, &["status"]))?;
        manifests.save("web.yaml", "kind: Service\nmetadata: {name: web\n")?;
        let words = ["NOT WELL: replica ", ": File web.yaml: ", "1: 1 served"];
        status_names(world, &words)?;
        manifests.save("web.yaml", &service("web", 11, true))?;
        eventually("all to be well again", || says(world, 0, &["status"]))?;
        Ok(())
    })
}

#[test]
fn a_node_port_that_two_services_want_is_among_the_newest_problems() -> Result<()> {
    World::run(|world| {
        let with_port = |name: &str, number| {
            let text = service(name, number, true);
            text.replace("port: 80,", "port: 80, nodePort: 30080,")
        };
        let manifests = world.manifests();
        manifests.save("cart.yaml", &with_port("cart", 40))?;
        manifests.save("web.yaml", &with_port("web", 11))?;
        world.start_seaway(&[])?;
        let words = ["Service shop/web", "FrontendConflict", "Service shop/cart"];
        status_names(world, &words)
    })
}

#[test]
fn a_dead_watch_is_named() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.configure(|settings| settings.bookmarks = Some(Duration::from_millis(200)));
        server.apply_yaml(&service("web", 11, true))?;
        world.start_seaway_on(&server, &["--watch-silence", "1s"])?;
        eventually("all to be well", || says(world, 0, &["status"]))?;
        server.inject(Fault::Silent { after: 0 }.on("endpointslices"));
        status_names(world, &["NOT WELL", "watch of endpointslices: failing"])?;
        server.heal();
        eventually("all to be well again", || says(world, 0, &["status"]))?;
        Ok(())
    })
}

#[test]
fn a_permission_that_is_missing_is_named_with_its_kind() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.apply_yaml(&service("web", 11, true))?;
        let all = Grants::of_seaway()?;
        let mut grants = all.iter();
        let list = grants.find(|of| of.verb == "list" && of.resource == "endpointslices");
        server.authorize(&all.without(list.context("not granted")?));
        server.configure(|settings| settings.streaming_lists = false);
        world.launch_seaway_on(&server, &[])?;
        let words = [
            "NOT WELL",
            "watch of endpointslices: failing",
            "cannot list resource \"endpointslices\"",
        ];
        status_names(world, &words)?;
        server.authorize(&all);
        eventually("all to be well", || says(world, 0, &["status"]))?;
        Ok(())
    })
}
