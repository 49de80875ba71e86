//! Layers, the contents of resources, and what one proxy has: what is told is what is served.

use anyhow::{Context, Result, ensure};
use seaway_testing::{ASSIGNMENTS, EnvoyOptions, Side, World, eventually};
use serde_json::Value;

use crate::{has, put, says, seaway, service};

/// What the API answers.
fn api(world: &World, path: &str) -> Result<Value> {
    let text = world.admin(path)?;
    serde_json::from_str(&text).with_context(|| text.clone())
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

/// Two Services and a proxy that has all of them.
fn with_proxy(world: &mut World) -> Result<()> {
    put(world, "web", 11, true)?;
    put(world, "cart", 40, true)?;
    world.start_seaway(&[])?;
    world.start_node("n1", "a")?;
    eventually("the proxy", || {
        has(&says(world, 0, &["get", "proxies"])?, &["1 synced"])
    })
}

#[test]
fn layers_say_what_they_have_and_for_how_many_proxies() -> Result<()> {
    World::run(|world| {
        with_proxy(world)?;
        let list = api(world, "/api/v1/layers")?;
        let row = items(&list).iter().find(|row| row["layer"] == "inside");
        let row = row.context("no layer inside")?;
        ensure!(row["proxies"] == 1 && row["resources"] == 2, "{row}");
        let clusters = &row["types"][0];
        ensure!(
            clusters["type"] == "cluster" && clusters["bytes"] == row["bytes"],
            "{row}"
        );
        let said = says(world, 0, &["get", "layers"])?;
        has(&said, &["LAYER", "inside", "2 cluster", "role:node"])?;
        let said = says(
            world,
            0,
            &["get", "layers", "--search", "INSIDE", "-o", "name"],
        )?;
        ensure!(said == "inside\n", "{said}");
        // The first layers of a proxy are the most special ones.
        let list = api(world, "/api/v1/proxies")?;
        let layers = &items(&list)[0]["layers"];
        let layers = layers.as_array().context("no layers")?;
        ensure!(
            layers.last().is_some_and(|last| last == "all"),
            "{layers:?}"
        );
        Ok(())
    })
}

#[test]
fn a_content_is_what_translate_prints() -> Result<()> {
    World::run(|world| {
        with_proxy(world)?;
        let files = world.manifests().path().to_string_lossy().into_owned();
        let printed = says(
            world,
            0,
            &["translate", "--files", &files, "--node-name", "n1"],
        )?;
        let printed: Value = serde_json::from_str(&printed)?;
        let said = says(world, 0, &["get", "proxy/n1", "-o", "envoy"])?;
        let held: Value = serde_json::from_str(&said)?;
        for group in ["clusters", "endpoints", "listeners"] {
            ensure!(held[group] == printed[group], "{group}: {said}");
        }
        let arguments = [
            "get",
            "proxy/n1",
            "-o",
            "envoy",
            "--type",
            "cluster",
            "--name",
            "shop/web/80",
        ];
        let one: Value = serde_json::from_str(&says(world, 0, &arguments)?)?;
        ensure!(one["clusters"][0]["name"] == "shop/web/80", "{one}");
        ensure!(
            one.as_object().is_some_and(|groups| groups.len() == 1),
            "{one}"
        );
        let path = "/api/v1/resources?type=cluster&content=true&limit=1";
        let page = api(world, path)?;
        ensure!(
            items(&page)[0]["content"] == printed["clusters"][0],
            "{page}"
        );
        ensure!(page["next"].is_string() && page["total"] == 2, "{page}");
        let plain = api(world, "/api/v1/resources?type=cluster")?;
        ensure!(items(&plain)[0].get("content").is_none(), "{plain}");
        // One proxy alone, as a row of the list.
        let said = says(world, 0, &["get", "proxy/n1"])?;
        has(&said, &["1 proxy: 1 synced", "n1"])?;
        let none = seaway(world, &["get", "proxy/n9", "-o", "envoy"])?;
        ensure!(none.status.code() == Some(2), "{none:?}");
        has(
            &String::from_utf8(none.stderr)?,
            &["no proxy \"n9\" is connected"],
        )
    })
}

#[test]
fn what_a_proxy_has_yet_to_be_sent_is_listed_until_it_has_it() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let relay = world.relay()?;
        let options = EnvoyOptions {
            control_plane: Some(relay.address()),
            ..World::node_options("n1", "a")
        };
        world.start_envoy("n1", &options)?;
        let differences = |world: &World| api(world, "/api/v1/diff?proxy=n1");
        eventually("no difference", || {
            let list = differences(world)?;
            ensure!(list["total"] == 0, "{list}");
            Ok(())
        })?;
        relay.hold(Side::Envoy, ASSIGNMENTS);
        let text = service("web", 11, true).replace("10.244.1.11", "10.244.1.12");
        world.manifests().save("web.yaml", &text)?;
        eventually("the assignment without an answer", || {
            let list = differences(world)?;
            let [row] = items(&list) else {
                anyhow::bail!("{list}");
            };
            ensure!(
                row["type"] == "endpoint" && row["name"] == "shop/web/80",
                "{row}"
            );
            ensure!(row["state"] == "sent" && row["has_some"] == true, "{row}");
            ensure!(
                row["object"] == "Service shop/web" && row["since"].is_string(),
                "{row}"
            );
            Ok(())
        })?;
        relay.release();
        eventually("no difference again", || {
            let list = differences(world)?;
            ensure!(list["total"] == 0, "{list}");
            Ok(())
        })
    })
}
