//! What a change publishes, counted in resources that Seaway sends.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{GatewayManifest, IngressManifest, RouteManifest, Tls, eventually, join};

use crate::case::{Case, get};
use crate::certificates::{certificate, served};
use crate::edge::{Edge, service, slice, with_gateway};

/// `count` routes, each of `hosts` hosts, all of them to `s1`.
fn routes(count: usize, hosts: usize) -> String {
    let route = |number: usize| {
        let route = RouteManifest::new(&format!("route-{number}"));
        let hosts = (0..hosts).map(|host| format!("h{host}.r{number}.many.test"));
        let route = hosts.fold(route, |route, host| route.host(&host));
        route.prefix("/", "s1").document()
    };
    join((0..count).map(route))
}

#[test]
fn gw108_one_more_host_of_five_thousand_is_one_resource() -> Result<()> {
    let many = Case::new("many").with(routes(625, 8)).rows([
        get("h0.r0.many.test/").to("s1"),
        get("h7.r624.many.test/").to("s1"),
        get("h7.r625.many.test/").status(404),
    ]);
    Edge::run(&[], &with_gateway(vec![many]), |edge| {
        let before = edge.world.sent()?;
        let route = RouteManifest::new("one-more").host("more.many.test");
        edge.save("more.yaml", &route.prefix("/", "s1").document())?;
        edge.settle(&get("more.many.test/").to("s1"))?;
        let since = edge.world.sent_since(&before)?;
        let one = [
            BTreeMap::from([("ScopedRouteConfiguration", 1)]),
            BTreeMap::from([("RouteConfiguration", 1)]),
        ];
        ensure!(one.contains(&since), "{since:?}");
        let changes = edge.envoy.changes()?;
        ensure!(changes["listener_modified"] == 0, "{changes:?}");
        Ok(())
    })
}

#[test]
fn gw110_an_endpoint_of_a_hundred_routes_is_one_assignment() -> Result<()> {
    let cases = with_gateway(vec![
        Case::new("slice").with(service("moves", &["10.244.1.1"])),
        Case::new("routes").with(routes(100, 1).replace("name: s1", "name: moves")),
        Case::new("probe").rows([get("h0.r99.many.test/").to("s1")]),
    ]);
    Edge::run(&[], &cases, |edge| {
        let before = edge.world.sent()?;
        edge.save("slice.yaml", &service("moves", &["10.244.1.2"]))?;
        edge.settle(&get("h0.r99.many.test/").to("s2"))?;
        let since = edge.world.sent_since(&before)?;
        ensure!(
            since == BTreeMap::from([("ClusterLoadAssignment", 1)]),
            "{since:?}"
        );
        Ok(())
    })
}

/// An Ingress with a host and a certificate of its own, to `s1`.
fn secured(ca: &Ca, name: &str) -> Result<String> {
    let host = format!("{name}.tls.test");
    let (secret, _) = certificate(ca, name, &[&host])?;
    let ingress = IngressManifest::new(name).secured(&[&host], name);
    let ingress = ingress.host(&host).path("Prefix", "/", "s1");
    Ok(join([ingress.document(), secret]))
}

/// With certificates of their own 200 hosts stand for 5,000, whose certificates would take minutes.
#[test]
fn gw109_one_more_host_with_tls_is_a_certificate_a_listener_and_its_routes() -> Result<()> {
    let ca = Ca::new("many")?;
    let all = (0..200).map(|number| secured(&ca, &format!("h{number}")));
    let many = Case::new("many").with(join(all.collect::<Result<Vec<_>>>()?));
    let many = many.rows([get("h199.tls.test/").to("s1")]);
    Edge::run(&[], &[many], |edge| {
        served(edge, &ca, "h0.tls.test", "s1")?;
        let before = edge.world.sent()?;
        edge.save("more.yaml", &secured(&ca, "more")?)?;
        served(edge, &ca, "more.tls.test", "s1")?;
        let since = edge.world.sent_since(&before)?;
        // Its routes are at both ports.
        let wanted = [
            ("Listener", 1),
            ("ScopedRouteConfiguration", 2),
            ("Secret", 1),
        ];
        ensure!(since == BTreeMap::from(wanted), "{since:?}");
        Ok(())
    })
}

#[test]
fn gw111_a_secret_of_three_listeners_is_sent_once() -> Result<()> {
    let ca = Ca::new("shared")?;
    let names = ["a.shared.test", "b.shared.test", "c.shared.test"];
    let (secret, _) = certificate(&ca, "shared", &names)?;
    let (next, leaf) = certificate(&ca, "shared", &names)?;
    let gateway = names
        .iter()
        .fold(GatewayManifest::new("g"), |gateway, name| {
            gateway.secured(&name[..1], name, &["shared"])
        });
    let route = RouteManifest::new("r").prefix("/", "s1");
    let case = Case::new("objects").with(join([gateway.document(), route.document()]));
    let secret = Case::new("secret").with(secret);
    Edge::run(&[], &[case, secret], |edge| {
        let served = |name: &str| -> Result<bool> {
            let tls = Tls::new(&ca, name)?;
            Ok(edge.secured(&tls)?.certificate() == leaf.der())
        };
        eventually("the first certificate", || served(names[2]).map(drop))?;
        let before = edge.world.sent()?;
        edge.save("secret.yaml", &next)?;
        for name in names {
            eventually("the next certificate", || {
                ensure!(served(name)?, "{name}");
                Ok(())
            })?;
        }
        let since = edge.world.sent_since(&before)?;
        ensure!(since == BTreeMap::from([("Secret", 1)]), "{since:?}");
        Ok(())
    })
}

/// GW112. What nobody refers to is known to be ignored when a later change has come through.
#[test]
fn gw112_unrelated_objects_translate_and_publish_nothing() -> Result<()> {
    let unrelated = |version: u8| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: unrelated, namespace: default}}\n\
             data: {{a: Zm9vCg=={version}}}\n---\n\
             apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: unrelated, namespace: default}}\n\
             data: {{a: '{version}'}}\n---\n\
             apiVersion: v1\nkind: Namespace\nmetadata: {{name: other, labels: {{v: '{version}'}}}}\n"
        )
    };
    let cases = with_gateway(vec![
        Case::new("moves").with(service("moves", &["10.244.1.1"])),
        Case::new("routes").with(routes(3, 1).replace("name: s1", "name: moves")),
        Case::new("probe").rows([get("h0.r0.many.test/").to("s1")]),
    ]);
    Edge::run(&[], &cases, |edge| {
        let translations = |edge: &Edge<'_>| edge.world.metric("seaway_translations_total", "");
        let start = translations(edge)?;
        edge.save("moves.yaml", &service("moves", &["10.244.1.2"]))?;
        edge.settle(&get("h0.r0.many.test/").to("s2"))?;
        let of_a_slice = translations(edge)? - start;

        let (before, start) = (edge.world.sent()?, translations(edge)?);
        edge.save("unrelated.yaml", &unrelated(1))?;
        edge.save("unrelated.yaml", &unrelated(2))?;
        edge.save("moves.yaml", &service("moves", &["10.244.1.3"]))?;
        edge.settle(&get("h0.r0.many.test/").to("s3"))?;
        let since = edge.world.sent_since(&before)?;
        ensure!(
            since == BTreeMap::from([("ClusterLoadAssignment", 1)]),
            "{since:?}"
        );
        let more = translations(edge)? - start;
        ensure!(more <= of_a_slice, "{more} translations, not {of_a_slice}");
        Ok(())
    })
}

/// GW140. The manifests come in another order and from other files, to a Seaway that has seen
/// none of them before: what it makes of them is the same to the byte.
#[test]
fn gw140_the_order_of_objects_changes_nothing() -> Result<()> {
    let route = |name: &str, created: u8, backend: &str| {
        let route = RouteManifest::new(name).created(created);
        let route = route.host("a.test").host("*.b.test");
        let own = format!("/{name}");
        route.prefix("/", backend).prefix(&own, backend).document()
    };
    let documents = [
        route("one", 1, "s1"),
        route("two", 1, "s2"),
        route("three", 2, "s3"),
        service("none", &[]),
        slice("s1", &["10.244.1.1"]).replace("s1-1", "s1-2"),
    ];
    let forward = Case::new("a").with(join(documents.clone())).rows([
        get("a.test/").to("s1"),
        get("x.b.test/two").to("s2"),
        get("x.b.test/three").to("s3"),
    ]);
    let forward = forward.problem("DuplicateMatch", "HTTPRoute default/two");
    let forward = forward.problem("DuplicateMatch", "HTTPRoute default/three");
    Edge::run(&[], &with_gateway(vec![forward]), |edge| {
        let before = edge.translate()?;
        let changes = edge.envoy.changes()?;
        edge.world.seaway()?.kill()?;
        edge.delete("a.yaml")?;
        for (number, document) in documents.iter().rev().enumerate() {
            edge.save(&format!("shuffled-{number}.yaml"), document)?;
        }
        let ground = edge.world.manifests().read("ground.yaml")?;
        let mut ground: Vec<_> = ground.split("\n---\n").map(str::to_owned).collect();
        ground.reverse();
        edge.save("ground.yaml", &join(ground))?;
        ensure!(edge.translate()? == before, "other resources");

        edge.world.restart_seaway()?;
        eventually("the proxy to come back", || {
            let streams = edge.world.metric("seaway_xds_streams", "")?;
            ensure!(streams > 0.0, "no stream");
            Ok(())
        })?;
        // A change that is one shows that all else has been compared.
        edge.save(
            "slice.yaml",
            &slice("none", &["10.244.1.3"]).replace("none-1", "none-2"),
        )?;
        let new = RouteManifest::new("new").host("new.test");
        edge.save("new.yaml", &new.prefix("/", "none").document())?;
        edge.settle(&get("new.test/").to("s3"))?;
        let sent = edge.world.sent()?;
        ensure!(sent["Listener"] == 0, "{sent:?}");
        ensure!(
            sent["ScopedRouteConfiguration"] + sent["RouteConfiguration"] <= 1,
            "{sent:?}"
        );
        let after = edge.envoy.changes()?;
        ensure!(
            after["listener_modified"] == changes["listener_modified"],
            "{after:?}"
        );
        Ok(())
    })
}
