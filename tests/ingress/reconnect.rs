//! An Envoy that comes back to a Seaway that was away, and one that asks for the state of the
//! world.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{RouteManifest, within};

use crate::case::{Case, get};
use crate::edge::{Edge, with_gateway};

fn route(name: &str, backend: &str) -> String {
    let route = RouteManifest::new(name).host(&format!("{name}.back.test"));
    route.prefix("/", backend).document()
}

fn case(name: &'static str, backend: &str) -> Case {
    let row = get(&format!("{name}.back.test/")).to(backend);
    Case::new(name).with(route(name, backend)).rows([row])
}

/// What is sent to an Envoy that has hosts is what changed of them.
#[test]
fn gw114_after_a_pause_the_hosts_that_changed_are_sent_and_no_others() -> Result<()> {
    let mut cases = with_gateway(vec![case("moved", "s1"), case("gone", "s2")]);
    cases.extend(["a", "b", "c", "d", "e"].map(|name| case(name, "s3")));
    Edge::run(&[], &cases, |edge| {
        edge.world.seaway()?.kill()?;
        edge.save("moved.yaml", &route("moved", "s2"))?;
        edge.save("new.yaml", &route("new", "s1"))?;
        edge.delete("gone.yaml")?;
        edge.check(&get("gone.back.test/").to("s2"))?;
        edge.world.restart_seaway()?;
        // Envoy's longest pause between two attempts is ten seconds.
        let patience = Duration::from_secs(30);
        for row in [
            get("new.back.test/").to("s1"),
            get("moved.back.test/").to("s2"),
            get("gone.back.test/").status(404),
        ] {
            within(patience, &row, || edge.check(&row))?;
        }
        for name in ["a", "b", "c", "d", "e"] {
            edge.check(&get(&format!("{name}.back.test/")).to("s3"))?;
        }
        let sent = edge.world.sent()?["ScopedRouteConfiguration"];
        ensure!(sent == 2, "{sent} hosts were sent");
        Ok(())
    })
}

/// The answers are the same.
#[test]
fn gw115_an_envoy_that_asks_for_the_state_of_the_world_is_served() -> Result<()> {
    let wild = RouteManifest::new("wild").host("*.back.test");
    let wild = Case::new("wild").with(wild.prefix("/", "s3").document());
    let wild = wild.rows([
        get("other.back.test/").to("s3"),
        get("A.back.test:80/").to("s1"),
        get("nobody.example/").status(404),
    ]);
    let cases = with_gateway(vec![case("a", "s1"), case("b", "s2"), wild]);
    Edge::run_as(&["--sotw"], &[], &cases, |edge| {
        edge.save("a.yaml", &route("a", "s2"))?;
        edge.settle(&get("a.back.test/").to("s2"))?;
        edge.delete("b.yaml")?;
        edge.settle(&get("b.back.test/").to("s3"))
    })
}
