//! Changes of what routes depend on: labels, grants, host names, backends.

use anyhow::{Result, ensure};
use seaway_testing::{Ask, GatewayManifest, RouteManifest, ServiceManifest, SliceManifest, join};

use crate::case::{Case, get};
use crate::edge::{Edge, gateway, with_gateway};

/// The Service `far` of the namespace `j`, whose endpoint is that of `s3`.
fn far() -> String {
    let service = ServiceManifest::new("far").metadata("namespace", "j");
    let slice = SliceManifest::new("far").namespace("j");
    let slice = slice.port("http", 8080).endpoint("10.244.1.3");
    join([service.port("http", 8080).document(), slice.document()])
}

#[test]
fn gw024_a_namespace_that_loses_its_label_loses_its_routes() -> Result<()> {
    let namespace = |label: &str| {
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: j, labels: {{{label}}}}}\n")
    };
    let selector = "{from: Selector, selector: {matchLabels: {open: 'yes'}}}";
    let gateway = GatewayManifest::new("gw024").only(&format!(
        "name: h, port: 80, protocol: HTTP, hostname: '*.gw024.test', \
         allowedRoutes: {{namespaces: {selector}}}"
    ));
    let route = RouteManifest::new("gw024").namespace("j");
    let route = route.parent("name: gw024, namespace: default");
    let route = route.host("a.gw024.test").prefix("/", "far");
    let case = Case::new("GW024")
        .with(far())
        .with(gateway.document())
        .with(route.document())
        .rows([get("a.gw024.test/").to("s3")]);
    let labels = Case::new("labels").with(namespace("open: 'yes'"));
    Edge::run(&[], &[case, labels], |edge| {
        edge.save("labels.yaml", &namespace("open: 'no'"))?;
        edge.settle(&get("a.gw024.test/").status(404))?;
        let problem = (
            "NotAllowedByListeners".to_owned(),
            "HTTPRoute j/gw024".to_owned(),
        );
        ensure!(
            edge.problems()?.contains(&problem),
            "{:?}",
            edge.problems()?
        );
        edge.save("labels.yaml", &namespace("open: 'yes', other: label"))?;
        edge.settle(&get("a.gw024.test/").to("s3"))?;
        edge.delete("labels.yaml")?;
        edge.settle(&get("a.gw024.test/").status(404))
    })
}

#[test]
fn gw091_a_grant_of_another_namespace_comes_and_goes() -> Result<()> {
    let grant = |to: &str| {
        let from = "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}";
        format!(
            "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n\
             metadata: {{name: grant, namespace: j}}\n\
             spec: {{from: [{from}], to: [{{group: '', kind: Service{to}}}]}}\n"
        )
    };
    let backend = "backendRefs: [{name: far, namespace: j, port: 8080}]";
    let route = RouteManifest::new("gw091").host("gw091.test");
    let route = route.prefix("/near", "s1").only(backend);
    let case = Case::new("GW091")
        .with(far())
        .with(route.document())
        .rows([
            get("gw091.test/near").to("s1"),
            get("gw091.test/").status(500),
        ])
        .problem("RefNotPermitted", "HTTPRoute default/gw091");
    Edge::run(&[], &with_gateway(vec![case]), |edge| {
        let (granted, refused) = (get("gw091.test/").to("s3"), get("gw091.test/").status(500));
        for to in ["", ", name: far"] {
            edge.save("grant.yaml", &grant(to))?;
            edge.settle(&granted)?;
            edge.delete("grant.yaml")?;
            edge.settle(&refused)?;
        }
        // A grant of something else is none, and neither is one that stops naming it.
        edge.save("grant.yaml", &grant(", name: far"))?;
        edge.settle(&granted)?;
        edge.save("grant.yaml", &grant(", name: other"))?;
        edge.settle(&refused)?;
        edge.check(&get("gw091.test/near").to("s1"))
    })
}

/// Connections that are open live on: requests for the host are answered with 404 on them, and
/// those for others as before.
#[test]
fn a_removed_host_ends_no_connection() -> Result<()> {
    let route = |host: &str, backend: &str| {
        let route = RouteManifest::new(host).host(&format!("{host}.test"));
        route.prefix("/", backend).document()
    };
    let stays = Case::new("stays").with(route("stays", "s1"));
    let stays = stays.rows([get("stays.test/").to("s1")]);
    let goes = Case::new("goes").with(route("goes", "s2"));
    let goes = goes.rows([get("goes.test/").to("s2")]);
    Edge::run(&[], &with_gateway(vec![stays, goes]), |edge| {
        let mut connections = vec![edge.connect(false)?, edge.connect(true)?];
        let (stays, goes) = (Ask::get("stays.test", "/"), Ask::get("goes.test", "/"));
        let statuses = |connections: &mut Vec<_>, ask: &Ask| -> Result<Vec<u16>> {
            let all = connections.iter_mut();
            all.map(|one: &mut seaway_testing::Connection| Ok(one.ask(ask)?.status))
                .collect()
        };
        ensure!(statuses(&mut connections, &goes)? == [200, 200]);
        edge.delete("goes.yaml")?;
        edge.settle(&get("goes.test/").status(404))?;
        // Each worker of Envoy has the change at a time of its own.
        seaway_testing::eventually("404 over connections that are open", || {
            let found = statuses(&mut connections, &goes)?;
            ensure!(found == [404, 404], "{found:?}");
            Ok(())
        })?;
        ensure!(statuses(&mut connections, &stays)? == [200, 200]);
        edge.save("goes.yaml", &route("goes", "s3"))?;
        edge.settle(&get("goes.test/").to("s3"))?;
        seaway_testing::eventually("200 over connections that are open", || {
            let found = statuses(&mut connections, &goes)?;
            ensure!(found == [200, 200], "{found:?}");
            Ok(())
        })
    })
}

/// A Gateway's hosts go with it, and no connection does while others are served at the port.
#[test]
fn a_removed_gateway_takes_its_hosts_alone() -> Result<()> {
    let other = GatewayManifest::new("other").listener("h", "*.other.test");
    let of_other = RouteManifest::new("other").parent("name: other");
    let goes = Case::new("goes")
        .with(other.document())
        .with(of_other.prefix("/", "s2").document())
        .rows([get("a.other.test/").to("s2")]);
    let route = RouteManifest::new("stays").host("a.test");
    let stays = Case::new("stays")
        .with(gateway())
        .with(route.prefix("/", "s1").document())
        .rows([get("a.test/").to("s1")]);
    Edge::run(&[], &[goes, stays], |edge| {
        let mut connection = edge.connect(false)?;
        let ask = Ask::get("a.test", "/");
        ensure!(connection.ask(&ask)?.status == 200);
        edge.delete("goes.yaml")?;
        edge.settle(&get("a.other.test/").status(404))?;
        ensure!(connection.ask(&ask)?.status == 200);
        Ok(())
    })
}
