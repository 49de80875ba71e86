//! Endpoints are replaced, and Seaway dies, under a load of unary calls and streams: none fails.

use anyhow::{Context, Result, ensure};
use seaway_testing::eventually;
use serde_json::json;

use crate::scene::{Peer, Scene};

const TARGET: &str = "web.d";
const SPEC: &str = "clusterIP: 10.96.0.1, ports: [{name: grpc, port: 8080}]";

/// A number that somebody asks for, else the one for every day.
fn asked(variable: &str, usual: u32) -> Result<u32> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(usual),
    }
}

/// Waits until this server answers calls of the load, and all have succeeded.
fn await_answer(client: &mut Peer, address: &str) -> Result<()> {
    eventually(format!("{address} to answer"), || {
        let seen = client.order(&json!({ "do": "look", "target": TARGET }))?;
        ensure!(seen["failed"] == json!([]), "{seen}");
        ensure!(seen["answers"][address].is_u64(), "{seen}");
        Ok(())
    })
}

/// `SEAWAY_REPLACEMENTS=100 SEAWAY_RESTARTS=5 SEAWAY_RPCS=10000` for more of it.
#[test]
fn replaced_endpoints_and_restarts_of_seaway_fail_no_rpc() -> Result<()> {
    Scene::play(|scene| {
        let replacements = asked("SEAWAY_REPLACEMENTS", 12)?;
        let restarts = asked("SEAWAY_RESTARTS", 2)?;
        let calls = u64::from(asked("SEAWAY_RPCS", 1000)?);
        let mut here = [11, 12];
        for host in here {
            scene.serve(host)?;
        }
        let save =
            |scene: &Scene, here: &[u32; 2]| scene.save("web", SPEC, &here.map(|host| (host, "")));
        save(scene, &here)?;
        let mut client = scene.client(&[])?;
        client.order(&json!({ "do": "load", "target": TARGET }))?;
        await_answer(&mut client, &scene.server(11))?;
        for number in 0..replacements {
            let (old, new) = (here[0], 13 + number % 200);
            let old = scene.server(old);
            let address = scene.serve(new)?;
            here = [here[1], new];
            save(scene, &here)?;
            await_answer(&mut client, &address)?;
            // A pod ends after it has left the slice.
            scene.stop(&old)?;
            let due = |number| number * restarts / replacements;
            if due(number + 1) > due(number) {
                scene.restart()?;
            }
        }
        eventually("enough calls", || {
            let seen = client.order(&json!({ "do": "look", "target": TARGET }))?;
            ensure!(seen["sent"].as_u64() >= Some(calls), "{seen}");
            Ok(())
        })?;
        let end = client.order(&json!({ "do": "end", "target": TARGET }))?;
        ensure!(end["failed"] == json!([]), "{end}");
        println!("{} RPCs, none failed", end["sent"]);
        ensure!(scene.metric("seaway_xds_nacks_total", "")? == 0.0);
        Ok(())
    })
}

/// What a client has stays while Seaway is away, also what nobody asked for meanwhile.
#[test]
fn names_asked_for_again_after_a_restart_are_never_missing() -> Result<()> {
    Scene::play(|scene| {
        let one = scene.serve(11)?;
        scene.save("web", SPEC, &[(11, "")])?;
        let mut client = scene.client(&[])?;
        let names = [TARGET, "web.d:8080", "web.d.svc", "web.d.svc:8080"];
        for name in names {
            client.order(&json!({ "do": "load", "target": name }))?;
        }
        let answered = |client: &mut Peer| {
            for name in names {
                eventually(format!("answers for {name}"), || {
                    let seen = client.order(&json!({ "do": "look", "target": name }))?;
                    ensure!(seen["failed"] == json!([]), "{seen}");
                    ensure!(seen["answers"][&one].is_u64(), "{seen}");
                    Ok(())
                })?;
            }
            anyhow::Ok(())
        };
        answered(&mut client)?;
        for _ in 0..2 {
            scene.restart()?;
            eventually("the client to come back", || {
                let streams = scene.metric("seaway_xds_streams", "")?;
                ensure!(streams >= 1.0, "{streams} streams");
                let known = scene.metric("seaway_xds_responses_total", "Listener")?;
                ensure!(known >= 1.0, "{known} responses");
                Ok(())
            })?;
            answered(&mut client)?;
        }
        for name in names {
            let end = client.order(&json!({ "do": "end", "target": name }))?;
            ensure!(end["failed"] == json!([]), "{name}: {end}");
        }
        Ok(())
    })
}
