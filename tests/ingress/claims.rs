//! Who has a host that several objects ask for, and who gets it next.

use anyhow::{Result, ensure};
use seaway_testing::{GatewayManifest, IngressManifest, RouteManifest, join};

use crate::case::{Case, get};
use crate::edge::{Edge, with_gateway};

/// A Gateway with a listener for a host, and a route of it.
fn gateway(name: &str, created: u8, host: &str, backend: &str) -> String {
    let gateway = GatewayManifest::new(name).created(created);
    let route = RouteManifest::new(name).parent(&format!("name: {name}"));
    let gateway = gateway.listener("h", host).document();
    join([gateway, route.prefix("/", backend).document()])
}

#[test]
fn gw007_gw008_the_older_gateway_has_a_host_until_it_goes() -> Result<()> {
    let older = Case::new("older").with(gateway("z-older", 1, "gw007.test", "s1"));
    let newer = Case::new("newer")
        .with(gateway("a-newer", 2, "gw007.test", "s2"))
        .rows([get("gw007.test/").to("s1")])
        .problem("HostnameConflict", "Gateway default/a-newer");
    Edge::run(&[], &[older, newer], |edge| {
        edge.delete("older.yaml")?;
        edge.settle(&get("gw007.test/").to("s2"))?;
        ensure!(edge.problems()?.is_empty(), "{:?}", edge.problems()?);
        // It comes back as what it is: the older.
        edge.save("older.yaml", &gateway("z-older", 1, "gw007.test", "s1"))?;
        edge.settle(&get("gw007.test/").to("s1"))
    })
}

fn ingress(name: &str, created: u8, host: &str, backend: &str) -> String {
    let ingress = IngressManifest::new(name).created(created);
    ingress.host(host).path("Prefix", "/", backend).document()
}

#[test]
fn gw126_an_ingress_has_its_host_before_a_route_without_a_listener_of_its_own() -> Result<()> {
    let route = RouteManifest::new("gw126").created(2).host("gw126.test");
    let route = Case::new("GW126")
        .with(route.prefix("/", "s2").document())
        .problem("ShadowedHostname", "HTTPRoute default/gw126");
    let ingress = Case::new("ingress")
        .with(ingress("gw126", 1, "gw126.test", "s1"))
        .rows([get("gw126.test/").to("s1")]);
    Edge::run(&[], &with_gateway(vec![route, ingress]), |edge| {
        edge.delete("ingress.yaml")?;
        edge.settle(&get("gw126.test/").to("s2"))?;
        ensure!(edge.problems()?.is_empty(), "{:?}", edge.problems()?);
        Ok(())
    })
}

#[test]
fn gw127_an_older_gateway_keeps_its_host_from_an_ingress() -> Result<()> {
    let older = Case::new("gateway").with(gateway("gw127", 1, "gw127.test", "s1"));
    let both = IngressManifest::new("gw127").created(2);
    let both = both.host("gw127.test").path("Prefix", "/", "s2");
    let both = both.host("own.gw127.test").path("Prefix", "/", "s3");
    let newer = Case::new("GW127")
        .with(both.document())
        .rows([get("gw127.test/").to("s1"), get("own.gw127.test/").to("s3")])
        .problem("HostConflict", "Ingress default/gw127");
    Edge::run(&[], &[older, newer], |edge| {
        edge.delete("gateway.yaml")?;
        edge.settle(&get("gw127.test/").to("s2"))?;
        ensure!(edge.problems()?.is_empty(), "{:?}", edge.problems()?);
        Ok(())
    })
}

/// Moving from an Ingress to a Gateway: the host is the Ingress's until that is deleted, and no
/// request fails on the way.
#[test]
fn a_host_moves_from_an_ingress_to_a_gateway() -> Result<()> {
    let older = Case::new("ingress")
        .with(ingress("moving", 1, "moving.test", "s1"))
        .rows([get("moving.test/").to("s1")]);
    Edge::run(&[], &[older], |edge| {
        let mut connection = edge.connect(false)?;
        let ask = seaway_testing::Ask::get("moving.test", "/");
        edge.save("gateway.yaml", &gateway("moving", 2, "moving.test", "s2"))?;
        seaway_testing::eventually("the problem of the Gateway", || {
            let label = "reason=\"HostnameConflict\"";
            let count = edge.world.metric("seaway_problems", label)?;
            ensure!(count == 1.0, "{count}");
            Ok(())
        })?;
        ensure!(connection.ask(&ask)?.backend().as_deref() == Some("s1"));
        edge.delete("ingress.yaml")?;
        loop {
            let reply = connection.ask(&ask)?;
            match reply.backend().as_deref() {
                Some("s1") => {}
                Some("s2") => return Ok(()),
                _ => anyhow::bail!("{reply:?}"),
            }
        }
    })
}
