//! `seaway explain` of running replicas: the same answer as of the manifests, and who has it.

use anyhow::{Result, ensure};
use seaway_testing::{EnvoyOptions, World, eventually};
use serde_json::Value;

use crate::{has, put, says, seaway, service};

/// operate.md O3: equal input, equal answer.
#[test]
fn a_replica_answers_what_its_manifests_say() -> Result<()> {
    World::run(|world| {
        let two = service("web", 11, true).replace(
            "endpoints: [",
            "endpoints: [{addresses: [10.244.2.11], nodeName: n2, zone: b}, ",
        );
        world.manifests().save("web.yaml", &two)?;
        put(world, "cart", 40, false)?;
        world.start_seaway(&[])?;
        let folder = world.manifests().path().to_string_lossy().into_owned();
        for question in [
            &["shop/web"][..],
            &["shop/cart:http"],
            &["shop/nothing"],
            &["10.96.0.11:80", "--from", "node/n2"],
            &["10.96.0.40:80"],
            &["http://web.shop/x"],
            &["resource", "shop/web/80"],
            &["gateway/edge"],
        ] {
            let ask = |more: &[&str]| -> Result<(Option<i32>, Value)> {
                let mut all = vec!["explain"];
                all.extend(question);
                all.extend(["-o", "json"]);
                all.extend(more);
                let output = seaway(world, &all)?;
                let answer = serde_json::from_slice(&output.stdout)?;
                Ok((output.status.code(), answer))
            };
            let offline = ask(&["--files", &folder])?;
            eventually(format!("{question:?} to be the same"), || {
                let live = ask(&[])?;
                ensure!(live == offline, "{live:?} and {offline:?}");
                Ok(())
            })?;
        }
        Ok(())
    })
}

#[test]
fn an_answer_says_how_many_proxies_have_it_and_since_which_change() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.apply_yaml(&service("web", 11, true))?;
        world.start_seaway_on(&server, &[])?;
        let _n1 = world.start_node("n1", "a")?;
        eventually("the proxy has it", || {
            let said = says(world, 0, &["explain", "shop/web", "--from", "node/n1"])?;
            has(
                &said,
                &["1 of 1 have this", "last change", "by Service shop/web"],
            )
        })?;
        server.apply_yaml(&service("web", 11, false))?;
        eventually("it is refused", || {
            let said = says(world, 1, &["explain", "shop/web", "--from", "proxy/n1"])?;
            has(&said, &["node n1", "refused", "conditions.ready=false"])?;
            has(&said, &["by EndpointSlice shop/web-1, last ACK after"])
        })?;
        let output = seaway(world, &["explain", "shop/web", "--from", "proxy/n9"])?;
        ensure!(output.status.code() == Some(2));
        has(
            &String::from_utf8(output.stderr)?,
            &["no proxy \"n9\" is connected"],
        )
    })
}

/// What is counted are the proxies that are asked about, and what of theirs decides.
#[test]
fn proxies_of_other_roles_and_places_are_not_counted() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let mesh = EnvoyOptions {
            bootstrap: vec!["--role".to_owned(), "mesh".to_owned()],
            ..EnvoyOptions::default()
        };
        let _mesh = world.start_envoy("m1", &mesh)?;
        let asks = |arguments: &[&str], words: &[&str]| {
            eventually(format!("{arguments:?}"), || {
                let output = seaway(world, arguments)?;
                has(&String::from_utf8(output.stdout)?, words)
            })
        };
        let none = ["none like this is connected"];
        asks(&["explain", "http://web.shop/"], &["1 of 1 have this"])?;
        asks(
            &["explain", "shop/web", "--role", "mesh"],
            &["1 of 1 have this"],
        )?;
        for other in [
            &["explain", "shop/web"][..],
            &["explain", "shop/web", "--role", "grpc"],
            &["explain", "http://web.shop/", "--node-name", "n9"],
        ] {
            asks(other, &none)?;
        }
        world.manifests().delete("web.yaml")?;
        asks(&["explain", "shop/web"], &["by the deletion of"])
    })
}

/// Whoever asks over and over costs the writer little: changes go on.
#[test]
fn questions_without_end_hold_no_change_up() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        let fabric = world.fabric();
        let asking = fabric.thread("asking", || {
            let mut answered = 0;
            let end = std::time::Instant::now() + std::time::Duration::from_secs(3);
            while std::time::Instant::now() < end {
                let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seaway"));
                let output = command.args(["explain", "shop/web"]).env_clear().output();
                answered += u32::from(output.is_ok_and(|output| output.status.success()));
            }
            answered
        })?;
        let backend = world.backend_at("web-2", "10.244.1.12:8080")?;
        let moved = service("web", 11, true).replace("10.244.1.11", "10.244.1.12");
        world.manifests().save("web.yaml", &moved)?;
        n1.await_backend("10.96.0.11:80", "web-2")?;
        drop(backend);
        ensure!(asking.join()? > 0);
        Ok(())
    })
}
