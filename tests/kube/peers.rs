//! Replicas that know of each other: one that is not told what changes leaves its proxies to
//! others, and only then.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{ApiServer, EnvoyOptions, Fault, World, within};

use crate::discovery::Proxy;
use crate::line::Line;
use crate::{OTHER, SERVICES, assignment, populate, slice};

/// Where the replicas of a world are.
const PEERS: [&str; 2] = ["--peers", "172.18.0.1:18000,172.18.0.1:18010"];

fn metric(world: &World, replica: usize, name: &str, label: &str) -> Result<f64> {
    let replica = world.replica(replica)?;
    replica.metric(world.fabric(), name, label)
}

/// Waits until each of two replicas has a peer in this state.
fn await_peers(world: &World, state: &str) -> Result<()> {
    let what = format!("peers to be {state}");
    within(Duration::from_secs(20), what, || are_peers(world, state))
}

/// Fails unless each of two replicas has a peer in this state.
fn are_peers(world: &World, state: &str) -> Result<()> {
    for replica in [0, 1] {
        let label = format!("state=\"{state}\"");
        let peers = metric(world, replica, "seaway_peers", &label)?;
        ensure!(peers == 1.0, "{peers} peers of {replica} are {state}");
    }
    Ok(())
}

/// Waits until `/readyz` of a replica answers with this status and these words.
fn await_ready(world: &World, replica: usize, status: u16, words: &str) -> Result<()> {
    let what = format!("replica {replica} to answer {status} {words}");
    within(Duration::from_secs(40), what, || {
        let ready = world.replica(replica)?.readyz(world.fabric())?;
        let fits = ready.status == status && ready.body.contains(words);
        ensure!(fits, "{ready:?}");
        Ok(())
    })
}

/// Two replicas, the second behind a line.
fn two(world: &mut World, server: &ApiServer, arguments: &[&str]) -> Result<Line> {
    populate(server, SERVICES)?;
    let line = Line::to(world, server.address())?;
    let kubeconfig = line.kubeconfig(world, server)?;
    let arguments = [&PEERS, arguments].concat();
    world.start_seaway_on(server, &arguments)?;
    world.start_seaway_with(&kubeconfig, &arguments)?;
    await_peers(world, "fresh")?;
    Ok(line)
}

#[test]
fn a_replica_whose_watches_are_frozen_leaves_its_proxies_to_a_fresh_one_and_comes_back()
-> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        let line = two(world, &server, &[])?;
        let proxy = Proxy::complete(world, 1, "node", SERVICES)?;
        let front = Line::to(world, world.replica(1)?.address())?;
        let options = EnvoyOptions {
            control_plane: Some(front.address),
            ..World::node_options("n1", "a")
        };
        let n1 = world.start_envoy("n1", &options)?;
        let before = n1.changes()?;
        line.freeze();
        server.apply_yaml(&slice(3, &OTHER).document())?;
        let fresh = Proxy::complete(world, 0, "node", SERVICES)?;
        fresh.await_endpoints(Duration::from_secs(5), &assignment(3), &OTHER)?;

        await_ready(world, 1, 503, "out of service")?;
        await_ready(world, 1, 503, "STALE: the watch of endpointslices is ")?;
        let out = metric(world, 1, "seaway_out_of_service", "")?;
        ensure!(out == 1.0, "it says {out}");
        let status = world.replica(1)?.admin(world.fabric(), "/api/v1/status")?;
        ensure!(status.contains("\"state\":\"stale\""), "{status}");
        let ready = world.replica(0)?.readyz(world.fabric())?;
        ensure!(ready.status == 200, "{ready:?}");
        // What a Service does when a replica is not ready.
        front.lead_to(world.replica(0)?.address());
        // GOAWAY comes within half a minute. Whoever comes back finds what it lacks, and no more.
        proxy.await_closed(Duration::from_secs(40))?;
        let sent = Proxy::resume(world, 0, "node", &proxy.held())?;
        ensure!(sent == 1, "{sent} resources were sent");
        let refused = Proxy::connect(world, 1, "node")?.await_end()?;
        ensure!(refused.message().contains("out of service"), "{refused}");
        within(Duration::from_secs(60), "Envoy to change over", || {
            let streams = metric(world, 0, "seaway_xds_streams", "")?;
            ensure!(streams == 2.0, "{streams} streams");
            let left = metric(world, 1, "seaway_xds_streams", "")?;
            ensure!(left == 0.0, "{left} streams");
            Ok(())
        })?;
        let after = n1.changes()?;
        let kept = before
            .iter()
            .all(|(name, count)| after.get(name) == Some(count));
        ensure!(kept, "{after:?} after {before:?}");

        line.thaw();
        await_ready(world, 1, 200, "ok")?;
        let back = Proxy::complete(world, 1, "node", SERVICES)?;
        back.await_endpoints(Duration::from_secs(5), &assignment(3), &OTHER)
            .map(drop)
    })
}

#[test]
fn two_replicas_that_are_both_not_told_what_changes_both_stay_and_say_so() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        let _line = two(world, &server, &["--freshness-probe", "1s"])?;
        let proxy = Proxy::complete(world, 1, "node", SERVICES)?;
        let at = server.revision();
        server.inject(Fault::Stuck { at }.on("endpointslices"));
        let mut number = 0;
        within(Duration::from_secs(60), "both to be stale", || {
            number += 1;
            let endpoint = format!("10.244.2.{}", number % 200 + 1);
            server.apply_yaml(&slice(3, &[&endpoint]).document())?;
            for replica in [0, 1] {
                let ready = world.replica(replica)?.readyz(world.fabric())?;
                let says = ready.body.contains("watch of endpointslices: STALE for ");
                ensure!(says, "{replica}: {ready:?}");
            }
            std::thread::sleep(Duration::from_millis(200));
            Ok(())
        })?;
        await_peers(world, "stale")?;
        // Longer than it would take to leave.
        std::thread::sleep(Duration::from_secs(6));
        for replica in [0, 1] {
            let ready = world.replica(replica)?.readyz(world.fabric())?;
            ensure!(ready.status == 200, "{ready:?}");
            let out = metric(world, replica, "seaway_out_of_service", "")?;
            ensure!(out == 0.0, "it says {out}");
        }
        // What was listed anew is served.
        server.apply_yaml(&slice(3, &OTHER).document())?;
        proxy.await_endpoints(Duration::from_secs(20), &assignment(3), &OTHER)?;
        // What comes on a watch shows that it works again; what comes in a last list does not.
        server.heal();
        let mut number = 0;
        within(Duration::from_secs(40), "both to be fresh", || {
            number += 1;
            let endpoint = format!("10.244.2.{}", number % 200 + 1);
            server.apply_yaml(&slice(4, &[&endpoint]).document())?;
            std::thread::sleep(Duration::from_millis(200));
            are_peers(world, "fresh")
        })
    })
}
