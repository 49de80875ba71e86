//! Before everything has been read, nobody is served.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{Fault, World, eventually};
use tonic::Code;

use crate::discovery::Proxy;
use crate::{SERVICES, populate, requests};

const RESOURCES: [&str; 3] = ["services", "endpointslices", "nodes"];

/// Waits until `/readyz` names these watches and no others, and sees a proxy refused.
fn refused_for_want_of(world: &World, watches: &[&str]) -> Result<()> {
    eventually(format!("/readyz to name {watches:?}"), || {
        let ready = world.readyz()?;
        ensure!(ready.status == 503, "{ready:?}");
        for resource in RESOURCES {
            let named = ready.body.contains(&format!("watch of {resource}: "));
            ensure!(named == watches.contains(&resource), "{ready:?}");
        }
        Ok(())
    })?;
    let status = Proxy::connect(world, 0, "node")?.await_end()?;
    ensure!(status.code() == Code::Unavailable, "{status}");
    Ok(())
}

#[test]
fn nobody_is_served_until_all_three_lists_are_read() -> Result<()> {
    for resource in RESOURCES {
        World::run(|world| {
            let server = world.api_server()?;
            populate(&server, SERVICES)?;
            server.inject(Fault::Hang.on(resource));
            world.launch_seaway_on(&server, &[])?;
            refused_for_want_of(world, &[resource])?;
            server.heal();
            world.await_ready(0)?;
            Proxy::complete(world, 0, "node", SERVICES).map(drop)
        })?;
    }
    Ok(())
}

#[test]
fn without_an_api_server_nobody_is_served_until_it_comes() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        server.refuse()?;
        world.launch_seaway_on(&server, &[])?;
        refused_for_want_of(world, &RESOURCES)?;
        server.listen()?;
        world.await_ready(0)?;
        Proxy::complete(world, 0, "node", SERVICES).map(drop)
    })
}

#[test]
fn a_list_that_comes_page_by_page_is_served_when_its_last_page_is_there() -> Result<()> {
    const MANY: usize = 520;
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, MANY)?;
        server.configure(|settings| settings.streaming_lists = false);
        let (piece, pause) = (8192, Duration::from_millis(40));
        server.inject(Fault::Slow { piece, pause }.on("endpointslices"));
        world.launch_seaway_on(&server, &[])?;
        refused_for_want_of(world, &["endpointslices"])?;
        world.await_ready(0)?;
        let pages = requests(&server, "list", "endpointslices");
        ensure!(pages == 3, "{pages} pages");
        Proxy::complete(world, 0, "node", MANY).map(drop)
    })
}

#[test]
fn a_server_that_fails_at_first_is_asked_again() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        let faults = [
            Fault::busy(1),
            Fault::answer(500),
            Fault::answer(410),
            Fault::NotJson,
            Fault::Truncate { after: 7 },
            Fault::Cut { after: 7 },
        ];
        for (streaming, verb) in [(true, "watch"), (false, "list")] {
            server.configure(|settings| settings.streaming_lists = streaming);
            for fault in faults.clone() {
                server.inject(fault.verb(verb).on("endpointslices").times(1));
                world.launch_seaway_on(&server, &[])?;
            }
        }
        // Each takes one of the faults, whichever.
        for number in 0..2 * faults.len() {
            world.await_ready(number)?;
            Proxy::complete(world, number, "node", SERVICES)?;
        }
        Ok(())
    })
}
