//! The evenings of docs/operate.md: an operator asks, and the first screen names what is wrong and
//! the object that it comes from. With `SEAWAY_EVENINGS=FILE` the commands and what they print are
//! kept in that file: the page has them from there.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use seaway_testing::{Fault, World, within};

use crate::{await_status, has, put, seaway, service, signal};

/// Asks until all words are in what is printed, and keeps that.
fn asks(world: &World, arguments: &[&str], words: &[&str]) -> Result<String> {
    let said = within(Duration::from_secs(60), format!("{arguments:?}"), || {
        let output = seaway(world, arguments)?;
        let said = String::from_utf8(output.stdout)?;
        has(&said, words)?;
        Ok(said)
    })?;
    if let Some(file) = std::env::var_os("SEAWAY_EVENINGS") {
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        let shown = arguments.iter().map(|word| match word.contains(' ') {
            true => format!("'{word}'"),
            false => (*word).to_owned(),
        });
        let shown: Vec<String> = shown.collect();
        writeln!(file, "$ seaway {}\n{said}", shown.join(" "))?;
    }
    Ok(said)
}

#[test]
fn a_service_that_refuses_connections() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        put(world, "cart", 40, true)?;
        world.start_seaway(&[])?;
        let _n1 = world.start_node("n1", "a")?;
        await_status(world, &["All is well"])?;
        put(world, "cart", 40, false)?;
        asks(
            world,
            &["status"],
            &["NOT WELL: 1 Service is not served", "shop/cart"],
        )?;
        let why = ["cart", "0/1", "NoReadyEndpoints"];
        asks(world, &["get", "services", "--not", "yes"], &why)?;
        let words = [
            "no endpoint anywhere can take a connection",
            "conditions.ready=false in EndpointSlice cart-1",
            "1 of 1 have this",
            "EndpointSlice shop/cart-1",
            "refused by the kernel",
        ];
        let first = ["explain", "shop/cart", "--from", "node/n1"];
        // What the first screen has: the cause, and the object.
        asks(world, &first, &words)?;
        Ok(())
    })
}

#[test]
fn a_proxy_that_lags() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        let _n2 = world.start_node("n2", "b")?;
        await_status(world, &["2: 2 synced"])?;
        signal(&n1, Signal::STOP)?;
        put(world, "web", 12, true)?;
        asks(world, &["status"], &["NOT WELL: 1 proxy is behind", "n1"])?;
        asks(
            world,
            &["get", "proxies", "--not", "synced"],
            &["n1", "behind", "no answer"],
        )?;
        asks(
            world,
            &["get", "changes", "--waiting"],
            &["1 waiting", "shop/web"],
        )?;
        signal(&n1, Signal::CONT)?;
        asks(world, &["status"], &["All is well", "2: 2 synced"])?;
        Ok(())
    })
}

#[test]
fn a_rejected_listener() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        // A process of the node has the address that the next Service is given.
        let squatter = n1
            .namespace()
            .run(|| TcpListener::bind("10.96.0.77:80"))??;
        put(world, "mail", 77, true)?;
        asks(
            world,
            &["status"],
            &["NOT WELL: 1 proxy rejects a resource", "shop/mail"],
        )?;
        let row = [
            "n1",
            "rejects",
            "listener shop/mail/80@clusterip:10.96.0.77:80",
        ];
        asks(world, &["get", "proxies", "--state", "rejects"], &row)?;
        let problem = ["RejectedByProxy", "Service shop/mail", "10.96.0.77:80"];
        asks(world, &["get", "problems", "-o", "wide"], &problem)?;
        let address = ["explain", "10.96.0.77:80", "--from", "proxy/n1"];
        let words = [
            "Proxy n1 rejects listener shop/mail/80@clusterip:10.96.0.77:80",
            "cannot bind",
            "Where it is taken: A new connection at node n1",
            "0 of 1 have this, n1 rejects it",
            "error: Service shop/mail: RejectedByProxy",
        ];
        asks(world, &address, &words)?;
        let output = seaway(world, &address)?;
        ensure!(output.status.code() == Some(1));
        let listener = "resource shop/mail/80@clusterip:10.96.0.77:80";
        let of_node = ["explain", listener, "--from", "node/n1"];
        asks(world, &of_node, &words[3..4])?;
        asks(world, &["explain", "shop/web"], &["1 of 1 have this"])?;
        drop(squatter);
        asks(world, &["status"], &["1: 1 synced"])?;
        world.excuse(&n1);
        Ok(())
    })
}

#[test]
fn a_rollout_that_loses_requests() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.apply_yaml(&service("web", 11, true))?;
        world.start_seaway_on(&server, &[])?;
        let _n1 = world.start_node("n1", "a")?;
        await_status(world, &["1: 1 synced", "1: 1 served"])?;
        // The old pod is gone before the new one is ready.
        let old = service("web", 11, true);
        server.apply_yaml(
            &old.replace("10.244.1.11", "10.244.1.12")
                .replace("ready: true", "ready: false"),
        )?;
        asks(world, &["status"], &["lost within the hour: shop/web"])?;
        server.apply_yaml(&old.replace("10.244.1.11", "10.244.1.12"))?;
        asks(world, &["status"], &["1: 1 served"])?;
        let object = "EndpointSlice shop/web-1";
        asks(
            world,
            &["get", "changes", object],
            &["-1 listener", "1 endpoint, 1 listener"],
        )?;
        Ok(())
    })
}

#[test]
fn a_stale_replica() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.apply_yaml(&service("web", 11, true))?;
        world.start_seaway_on(&server, &["--freshness-probe", "1s"])?;
        let _n1 = world.start_node("n1", "a")?;
        await_status(world, &["All is well"])?;
        let at = server.revision();
        server.inject(Fault::Stuck { at }.on("endpointslices"));
        let mut number = 0;
        within(Duration::from_secs(60), "it to be stale", || {
            number += 1;
            let endpoint = format!("10.244.2.{}", number % 200 + 1);
            server.apply_yaml(&service("web", 11, true).replace("10.244.1.11", &endpoint))?;
            let output = seaway(world, &["status"])?;
            std::thread::sleep(Duration::from_millis(100));
            has(&String::from_utf8(output.stdout)?, &["STALE"])
        })?;
        asks(
            world,
            &["status"],
            &["NOT WELL: replica", "is stale", "endpointslices"],
        )?;
        asks(world, &["get", "watches"], &["endpointslices", "stale"])?;
        Ok(())
    })
}
