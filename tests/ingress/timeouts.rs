//! How long requests may take.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{Ask, RouteManifest};

use crate::case::{Case, get};
use crate::edge::{Edge, with_gateway};

/// GW082. The time itself is what is waited for: Envoy ends what it is told nothing of after 15
/// seconds.
#[test]
fn gw082_requests_end_in_time_and_streams_go_on() -> Result<()> {
    let rule = |path: &str, timeouts: &str| {
        format!("matches: [{{path: {{value: {path}}}}}], timeouts: {{{timeouts}}}")
    };
    let route = RouteManifest::new("gw082").host("gw082.test");
    let route = route
        .rule(&rule("/request", "request: 500ms"), "s1")
        .rule(&rule("/backend", "backendRequest: 500ms"), "s1")
        .rule(&rule("/both", "request: 2s, backendRequest: 500ms"), "s1")
        .rule(&rule("/zero", "request: 0s"), "s1")
        .prefix("/none", "s1");
    let slow = |path: &str| get(&format!("gw082.test{path}")).with("echo-delay", "1000");
    let case = Case::new("GW082").with(route.document()).rows([
        get("gw082.test/request").to("s1"),
        get("gw082.test/backend").to("s1"),
        slow("/request").status(504),
        slow("/backend").status(504),
        slow("/both").status(504),
        slow("/zero").to("s1"),
        slow("/none").to("s1"),
    ]);
    Edge::run(&[], &with_gateway(vec![case]), |edge| {
        let patience = Duration::from_secs(30);
        let ask = |path: &str| Ask::get("gw082.test", path).header("echo-drip", "17");
        let mut connection = edge.connect(true)?;
        let of_zero = edge.world.fabric().thread("zero", {
            let ask = ask("/zero").patience(patience);
            let mut connection = edge.connect(false)?;
            move || connection.ask(&ask)
        })?;
        let without = connection.ask(&ask("/none").patience(patience))?;
        let zero = of_zero.join()??;
        for reply in [without, zero] {
            ensure!(reply.backend().as_deref() == Some("s1"), "{reply:?}");
        }
        Ok(())
    })
}
