//! `seaway get`: the lists say what is.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use seaway_testing::{World, eventually, within};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{has, put, says, seaway, service, signal};

fn json(world: &World, arguments: &[&str]) -> Result<Value> {
    let mut all = vec!["get"];
    all.extend(arguments);
    all.extend(["-o", "json"]);
    Ok(serde_json::from_str(&says(world, 0, &all)?)?)
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn services_are_listed_with_since_when_and_why_not() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        put(world, "cart", 40, false)?;
        world.start_seaway(&[])?;
        let said = eventually("both Services", || {
            let said = says(world, 0, &["get", "services"])?;
            has(&said, &["2 Services: 1 served, 1 not"])?;
            Ok(said)
        })?;
        has(
            &said,
            &[
                "shop/web",
                "10.96.0.11",
                "http:80",
                "1/1",
                "yes",
                "0/1",
                "NoReadyEndpoint",
            ],
        )?;
        let said = says(world, 0, &["get", "svc", "cart", "-n", "shop"])?;
        has(&said, &["1 Service: 1 not", "\ncart "])?;
        let said = says(
            world,
            0,
            &["get", "services", "--served", "yes", "-o", "name"],
        )?;
        ensure!(said == "shop/web\n", "{said}");
        let list = json(world, &["services", "--search", "10.96.0.40"])?;
        let [cart] = items(&list) else {
            anyhow::bail!("{list}");
        };
        ensure!(cart["name"] == "cart" && cart["served"] == "no", "{cart}");
        Ok(())
    })
}

/// operate.md O5: what takes a moment is no state; what stopped is behind, and since when.
#[test]
fn a_proxy_that_stops_is_behind_with_its_age_and_one_that_goes_on_never_is() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        let _n2 = world.start_node("n2", "b")?;
        eventually("both proxies", || {
            let said = says(world, 0, &["get", "proxies"])?;
            has(&said, &["2 proxies: 2 synced"])
        })?;
        signal(&n1, Signal::STOP)?;
        let stopped = Instant::now();
        let mut seen = Vec::new();
        // Changes go on, and the other proxy takes them.
        let state = within(
            Duration::from_secs(20),
            "n1 behind for some seconds",
            || {
                let number = u8::try_from(seen.len() % 100)? + 100;
                world
                    .manifests()
                    .save("more.yaml", &service("more", number, true))?;
                let list = json(world, &["proxies"])?;
                for row in items(&list) {
                    let id = row["proxy"].as_str().unwrap_or_default().to_owned();
                    seen.push((id, row["state"].as_str().unwrap_or_default().to_owned()));
                }
                let said = says(world, 0, &["get", "proxies", "--state", "behind"])?;
                has(&said, &["1 behind", "n1", "no answer"])?;
                let row = said.lines().last().unwrap_or_default().to_owned();
                ensure!(stopped.elapsed() > Duration::from_secs(8), "{row}");
                Ok(row)
            },
        )?;
        signal(&n1, Signal::CONT)?;
        // Its age is that of the change which it has not got, give or take the file's way here.
        let age = state
            .split_whitespace()
            .find_map(|word| word.strip_suffix('s')?.parse::<f64>().ok())
            .context("no age")?;
        ensure!(
            (6.0..=stopped.elapsed().as_secs_f64() + 1.0).contains(&age),
            "{state}"
        );
        let strays: Vec<_> = seen
            .iter()
            .filter(|(id, s)| id == "n2" && s != "synced")
            .collect();
        ensure!(strays.is_empty(), "n2 was never behind: {strays:?}");
        eventually("n1 has everything again", || {
            let said = says(world, 0, &["get", "proxies"])?;
            has(&said, &["2 proxies: 2 synced"])
        })
    })
}

#[test]
fn who_follows_a_list_is_told_what_is_new() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
        command.args(["get", "services", "-w"]).env_clear();
        let said = NamedTempFile::new()?;
        let mut follower = world.fabric().spawn(&command, said.reopen()?)?;
        let read = || Ok::<String, anyhow::Error>(std::fs::read_to_string(said.path())?);
        eventually("the list", || has(&read()?, &["1 Service", "shop/web"]))?;
        put(world, "cart", 40, false)?;
        let followed = eventually("what is new", || {
            let said = read()?;
            has(&said, &["2 Services", "shop/cart"])?;
            Ok(said)
        })?;
        ensure!(followed.matches("shop/web").count() == 1, "{followed}");
        ensure!(followed.matches("WHY").count() == 1, "{followed}");
        follower.kill()?;
        follower.wait()?;
        Ok(())
    })
}

/// The zone of a Node is true whatever its proxy says (Service rules 69, 150).
#[test]
fn a_proxy_is_listed_in_the_zone_of_its_node() -> Result<()> {
    World::run(|world| {
        let node = "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: \
                    {topology.kubernetes.io/zone: b}}}";
        world.manifests().save("node.yaml", node)?;
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let _n1 = world.start_node("n1", "a")?;
        eventually("the proxy in its zone", || {
            let list = json(world, &["proxies", "--zone", "b"])?;
            let [proxy] = items(&list) else {
                anyhow::bail!("{list}");
            };
            // Where nothing is other than elsewhere, too.
            let layers = proxy["layers"].to_string();
            ensure!(proxy["zone"] == "b", "{proxy}");
            has(&layers, &["node:n1@b", "zone:b", "role:node", "all"])?;
            let list = json(world, &["proxies", "--zone", "a"])?;
            ensure!(items(&list).is_empty(), "{list}");
            Ok(())
        })
    })
}

#[test]
fn a_change_says_why_it_was_made_and_when_the_last_proxy_had_it() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.apply_yaml(&service("web", 11, true))?;
        world.start_seaway_on(&server, &[])?;
        let _n1 = world.start_node("n1", "a")?;
        let text = service("web", 11, true).replace("10.244.1.11", "10.244.1.12");
        eventually("the proxy", || {
            has(&says(world, 0, &["get", "proxies"])?, &["1 synced"])
        })?;
        server.apply_yaml(&text)?;
        let change = eventually("the change with its last ACK", || {
            let object = "EndpointSlice shop/web-1";
            let list = json(world, &["changes", object])?;
            let first = items(&list).first().context("no change")?.clone();
            ensure!(
                first["ack_ms"].is_number() && first["waiting"] == 0,
                "{first}"
            );
            Ok(first)
        })?;
        let cause = &change["causes"][0];
        ensure!(cause["object"] == "EndpointSlice shop/web-1", "{change}");
        ensure!(
            cause["version"].is_string() && cause["gone"] == false,
            "{change}"
        );
        ensure!(change["origins"][0] == "Service shop/web", "{change}");
        let of = |kind: &str| {
            let types = change["types"].as_array().map_or(&[][..], Vec::as_slice);
            types.iter().find(|of| of["type"] == kind).cloned()
        };
        let endpoint = of("endpoint").context("no assignment")?;
        ensure!(endpoint["set"] == 1 && endpoint["proxies"] == 1, "{change}");
        let said = says(world, 0, &["get", "changes"])?;
        has(
            &said,
            &[
                "every proxy has answered",
                "EndpointSlice shop/web-1",
                "1 endpoint",
            ],
        )
    })
}

#[test]
fn a_resource_says_who_has_it() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let _n1 = world.start_node("n1", "a")?;
        let _n2 = world.start_node("n2", "b")?;
        eventually("both have all of it", || {
            let list = json(world, &["resources", "shop/web"])?;
            for kind in ["cluster", "endpoint", "listener"] {
                let row = items(&list).iter().find(|row| row["type"] == kind);
                let row = row.with_context(|| format!("no {kind}"))?;
                ensure!(
                    row["held"]["wanted"] == 2 && row["held"]["held"] == 2,
                    "{row}"
                );
                ensure!(row["object"] == "Service shop/web", "{row}");
            }
            Ok(())
        })?;
        let said = says(world, 0, &["get", "resources", "shop/web"])?;
        has(&said, &["shop/web/80", "2 of 2"])?;
        let said = says(
            world,
            0,
            &["get", "resources", "--type", "listeners", "-o", "name"],
        )?;
        has(&said, &["listener shop/web/80@clusterip:10.96.0.11:80"])
    })
}

#[test]
fn problems_are_listed_errors_first() -> Result<()> {
    World::run(|world| {
        let bad = service("web", 11, true).replace("port: 80,", "port: 99999,");
        world.manifests().save("web.yaml", &bad)?;
        put(world, "cart", 40, true)?;
        world.start_seaway(&[])?;
        eventually("the problem", || {
            let said = says(world, 0, &["get", "problems"])?;
            has(
                &said,
                &[
                    "1 error (something is not served as asked)",
                    "Service shop/web",
                    "InvalidPort",
                    "spec.ports[0]",
                ],
            )
        })?;
        // An object is named as it is shown, or by namespace and name.
        for object in ["Service shop/web", "shop/web", "svc/shop/web"] {
            let said = says(world, 0, &["get", "problems", object])?;
            has(&said, &["1 error", "InvalidPort"])?;
        }
        put(world, "web", 11, true)?;
        eventually("no problem is left", || {
            let said = says(world, 0, &["get", "problems"])?;
            ensure!(said == "no problem\n", "{said}");
            Ok(())
        })
    })
}

#[test]
fn what_names_nothing_is_an_error_and_no_empty_list() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        eventually("the Service, of any namespace", || {
            has(&says(world, 0, &["get", "services", "web"])?, &["shop/web"])
        })?;
        for (arguments, word) in [
            (&["get", "problems", "web"][..], "NAMESPACE/NAME"),
            (&["get", "changes", "nonsense"], "NAMESPACE/NAME"),
            (&["get", "problems", "--reason", "Nope"], "Nope"),
            (&["get", "resources", "--layer", "nope"], "layer"),
            (&["get", "resources", "--type", "bogus"], "bogus"),
            (&["get", "resources", "--proxy", "zz"], "no proxy"),
            (&["get", "proxy/zz"], "no proxy"),
        ] {
            let output = seaway(world, arguments)?;
            let said = String::from_utf8(output.stderr)?;
            ensure!(
                output.status.code() == Some(2) && output.stdout.is_empty(),
                "{arguments:?}: {said}"
            );
            has(&said, &[word])?;
            // The replica did answer.
            ensure!(!said.contains("no replica answered"), "{said}");
        }
        let said = says(world, 0, &["get", "changes", "shop/none"])?;
        has(&said, &["no change of shop/none is known"])
    })
}

/// It keeps being counted among those that do not answer.
#[test]
fn a_proxy_that_rejects_and_then_hangs_shows_both() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        eventually("the proxy", || {
            has(&says(world, 0, &["get", "proxies"])?, &["1 synced"])
        })?;
        // A process of the node has the address that the next Service is given.
        let _squatter = n1
            .namespace()
            .run(|| TcpListener::bind("10.96.0.77:80"))??;
        put(world, "mail", 77, true)?;
        eventually("a rejection", || {
            let said = says(world, 0, &["get", "proxies"])?;
            has(&said, &["1 rejecting"])?;
            ensure!(!said.contains("behind"), "{said}");
            Ok(())
        })?;
        signal(&n1, Signal::STOP)?;
        put(world, "more", 41, true)?;
        let both = within(Duration::from_secs(20), "both", || {
            let said = says(
                world,
                0,
                &["get", "proxies", "--state", "behind", "-o", "wide"],
            )?;
            has(&said, &["n1", "rejects", "shop/mail", "also behind"])?;
            let status = seaway(world, &["status"])?;
            let status = String::from_utf8(status.stdout)?;
            has(
                &status,
                &["1 proxy rejects a resource", "1 proxy is behind"],
            )
        });
        signal(&n1, Signal::CONT)?;
        world.excuse(&n1);
        both
    })
}
