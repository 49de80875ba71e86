//! Replicas on one cluster: whichever a proxy talks to, it is the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{EnvoyOptions, Fault, World, eventually};

use crate::discovery::{Proxy, Resources};
use crate::{OTHER, SERVICES, assignment, await_watches, impatient, populate, service, slice};

/// How often the Envoy is handed over: `SEAWAY_SWITCHES`.
fn switches() -> Result<u32> {
    let switches = std::env::var("SEAWAY_SWITCHES").unwrap_or_else(|_| "10".to_owned());
    switches.parse().context("SEAWAY_SWITCHES")
}

/// Two replicas that were told of the same objects in different orders; the second was not there
/// when they changed.
fn two(world: &mut World) -> Result<()> {
    let server = world.api_server()?;
    populate(&server, SERVICES)?;
    server.inject(Fault::Shuffle { seed: 1 });
    world.start_seaway_on(&server, &[])?;
    await_watches(world, &server)?;
    for number in [5, 2, 11] {
        server.apply_yaml(&slice(number, &OTHER).document())?;
        server.delete("services", "default", &crate::name(number))?;
        server.apply_yaml(&service(number).document())?;
    }
    server.heal();
    server.inject(Fault::Shuffle { seed: 2 });
    world.start_seaway_on(&server, &[])?;
    Ok(())
}

/// Everything that a replica sends to a role, once the last change is in it.
fn all_of(world: &World, replica: usize, role: &str) -> Result<Resources> {
    let proxy = Proxy::complete(world, replica, role, SERVICES)?;
    for number in [5, 2, 11] {
        proxy.await_endpoints(Duration::from_secs(5), &assignment(number), &OTHER)?;
    }
    Ok(proxy.held())
}

#[test]
fn replicas_send_the_same_bytes_whatever_order_they_were_told_in() -> Result<()> {
    World::run(|world| {
        two(world)?;
        for role in ["node", "mesh"] {
            let [one, other] = [0, 1].map(|replica| all_of(world, replica, role));
            let (one, other) = (one?, other?);
            for (key, value) in &one {
                ensure!(other.get(key) == Some(value), "{key:?} differs");
            }
            ensure!(one.len() == other.len());
            // What comes after the first answer is the same as well: no proxy is sent anything by
            // the other one.
            for replica in (0..100).map(|number| number % 2) {
                let sent = Proxy::resume(world, replica, role, &one)?;
                ensure!(sent == 0, "replica {replica} sent {sent} resources");
            }
        }
        Ok(())
    })
}

#[test]
fn an_envoy_that_is_handed_from_one_replica_to_the_other_is_sent_nothing() -> Result<()> {
    World::run(|world| {
        two(world)?;
        let addresses = [world.replica(0)?.address(), world.replica(1)?.address()];
        let relay = world.relay()?;
        let options = impatient(EnvoyOptions {
            control_plane: Some(relay.address()),
            ..World::node_options("n1", "a")
        })?;
        let n1 = world.start_envoy("n1", &options)?;
        let sent = |world: &World| -> Result<f64> {
            let replicas = [world.replica(0)?, world.replica(1)?];
            let counts = replicas
                .map(|replica| replica.metric(world.fabric(), "seaway_xds_resources_total", ""));
            counts.into_iter().sum()
        };
        let updated = || n1.stat("cluster_manager.cluster_updated");
        let (before, changes, updates) = (sent(world)?, n1.changes()?, updated()?);
        ensure!(
            before > 0.0 && changes.contains_key("listener_added"),
            "{changes:?}"
        );
        for switch in 1..=switches()? {
            let replica = switch as usize % 2;
            relay.lead_to(addresses[replica]);
            let namespace = world.fabric();
            let replica = world.replica(replica)?;
            eventually("Envoy to be there", || {
                let streams = replica.metric(namespace, "seaway_xds_streams", "")?;
                ensure!(streams == 1.0, "{streams} streams");
                Ok(())
            })?;
        }
        let after = (sent(world)?, n1.changes()?, updated()?);
        ensure!(
            after == (before, changes, updates),
            "{after:?} instead of {before:?}"
        );
        Ok(())
    })
}
