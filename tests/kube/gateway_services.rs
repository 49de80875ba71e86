//! Services of single Gateways: one replica makes them, whichever dies, and every Gateway is served
//! behind its own (Gateway rule 13).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    ApiServer, Client, GatewayManifest, Grants, RouteManifest, ServiceManifest, SliceManifest,
    World, eventually, join, repository, within,
};
use serde_json::{Value, json};

use crate::secrets::edge;

const FLAGS: [&str; 4] = [
    "--gateway-services",
    "--ingress-service=seaway/edge",
    "--lease-namespace=seaway",
    "--http-port=8080",
];
/// The class, and the Service that all share.
const SHARED: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ours}
spec: {controllerName: seaway.dev/gateway-controller}
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: seaway}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.200
  externalTrafficPolicy: Local
  selector: {app: edge}
  ports: [{name: http, port: 80, targetPort: http}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}
";

fn server(world: &World) -> Result<ApiServer> {
    let server = world.api_server()?;
    for resource in ["gatewayclasses", "gateways", "httproutes"] {
        server.install(resource)?;
    }
    server.apply_yaml(SHARED)?;
    Ok(server)
}

fn gateway(name: &str) -> String {
    GatewayManifest::new(name).listener("http", "").document()
}

/// The Services that were made, by the names of their Gateways.
fn made(server: &ApiServer) -> Result<BTreeMap<String, Value>> {
    let all = server.objects("services")?.into_iter();
    let made = all.filter_map(|service| {
        let of = service["metadata"]["annotations"]["seaway.dev/gateway"].as_str()?;
        let name = of.strip_prefix("default/")?.to_owned();
        Some((name, service))
    });
    Ok(made.collect())
}

/// The port of the proxies behind port 80.
fn target(service: &Value) -> Result<u16> {
    let ports = service["spec"]["ports"].as_array();
    let mut ports = ports.into_iter().flatten();
    let port = ports.find(|port| port["port"] == 80);
    let target = port.and_then(|port| port["targetPort"].as_u64());
    Ok(u16::try_from(target.with_context(|| service.to_string())?)?)
}

/// Waits until just these Gateways have Services, and each a port of its own; returns the ports.
fn await_made(server: &ApiServer, names: &[&str]) -> Result<BTreeMap<String, u16>> {
    within(Duration::from_secs(30), "the Services", || {
        let made = made(server)?;
        let there: Vec<&str> = made.keys().map(String::as_str).collect();
        let wanted: BTreeSet<&str> = names.iter().copied().collect();
        ensure!(wanted.iter().eq(&there), "{there:?}");
        let targets = made
            .iter()
            .map(|(name, service)| Ok((name.clone(), target(service)?)));
        let targets = targets.collect::<Result<BTreeMap<_, _>>>()?;
        let different: BTreeSet<&u16> = targets.values().collect();
        ensure!(different.len() == names.len(), "{targets:?}");
        let pool = 20_000..30_000;
        ensure!(targets.values().all(|port| pool.contains(port)));
        Ok(targets)
    })
}

/// The reason of a Gateway's condition `Programmed`, and the message of its first listener's
/// `Accepted`.
fn said(server: &ApiServer, name: &str) -> Result<(String, String)> {
    let gateway = server.get("gateways", "default", name)?;
    let status = gateway.context("no such Gateway")?["status"].clone();
    let find = |conditions: &Value, kind: &str, field: &str| {
        let mut all = conditions.as_array().into_iter().flatten();
        let found = all.find(|condition| condition["type"] == kind);
        let text = found.and_then(|condition| condition[field].as_str());
        text.unwrap_or_default().to_owned()
    };
    let reason = find(&status["conditions"], "Programmed", "reason");
    let listener = &status["listeners"][0]["conditions"];
    Ok((reason, find(listener, "Accepted", "message")))
}

fn await_said(server: &ApiServer, name: &str, reason: &str, message: &str) -> Result<()> {
    eventually(format!("{name} to be {reason}"), || {
        let said = said(server, name)?;
        ensure!(said.0 == reason && said.1.contains(message), "{said:?}");
        Ok(())
    })
}

/// Two Gateways with port 80 and every host: each is served at the port of the proxies to which its
/// own Service leads, before the Service has an address as after.
#[test]
fn gw006_gw012_each_gateway_is_served_behind_a_service_of_its_own() -> Result<()> {
    World::run(|world| {
        let server = server(world)?;
        let mut backends = Vec::new();
        for (number, name) in ["g1", "g2"].into_iter().enumerate() {
            let ip = format!("10.244.1.{}", number + 1);
            let service = ServiceManifest::new(name).port("", 8080);
            let service = service.cluster_ip(&format!("10.96.0.{}", number + 1));
            let slice = SliceManifest::new(name).port("", 8080).endpoint(&ip);
            let route = RouteManifest::new(name).parent(&format!("name: {name}"));
            let route = route.prefix("/", name).document();
            let documents = [service.document(), slice.document(), route, gateway(name)];
            server.apply_yaml(&join(documents))?;
            backends.push(world.backend(name, &ip)?);
        }
        world.start_seaway_on(&server, &FLAGS)?;
        let envoy = edge(world)?;
        let ports = await_made(&server, &["g1", "g2"])?;
        for (name, port) in &ports {
            let client = Client::new((World::node_address(1), *port));
            envoy.await_outcome(&client, name, |outcome| outcome.backend() == Some(name))?;
            await_said(&server, name, "AddressNotAssigned", "the listener is valid")?;
        }
        for (name, service) in made(&server)? {
            let of = service["metadata"]["name"].as_str().unwrap_or_default();
            let ip = format!("198.51.100.{}", &name[1..]);
            let balancer = json!({"loadBalancer": {"ingress": [{"ip": ip}]}});
            server.replace_status("services", "seaway", of, balancer)?;
            await_said(&server, &name, "Programmed", "the listener is valid")?;
            let gateway = server.get("gateways", "default", &name)?.context("none")?;
            let shown = &gateway["status"]["addresses"];
            ensure!(
                *shown == json!([{"type": "IPAddress", "value": ip}]),
                "{shown}"
            );
        }
        // What is said of addresses is nothing to the proxies, and a port that comes keeps the
        // others where they are.
        let more = GatewayManifest::new("g1").listener("http", "");
        let more = more.only("name: more, port: 8081, protocol: HTTP");
        server.apply_yaml(&more.document())?;
        eventually("the port to be added", || {
            let service = &made(&server)?["g1"];
            let ports = service["spec"]["ports"].as_array().map_or(0, Vec::len);
            ensure!(ports == 2, "{service}");
            Ok(())
        })?;
        ensure!(target(&made(&server)?["g1"])? == ports["g1"]);
        server.delete("gateways", "default", "g2")?;
        await_made(&server, &["g1"])?;
        let client = Client::new((World::node_address(1), ports["g1"]));
        envoy.await_outcome(&client, "g1", |outcome| outcome.backend() == Some("g1"))?;
        Ok(())
    })
}

#[test]
fn one_of_two_replicas_makes_services_and_the_other_follows_when_it_is_killed() -> Result<()> {
    World::run(|world| {
        let server = server(world)?;
        server.apply_yaml(&join(["a", "b", "c"].map(gateway)))?;
        for _ in 0..2 {
            world.start_seaway_on(&server, &FLAGS)?;
        }
        let before = await_made(&server, &["a", "b", "c"])?;
        world.seaway()?.kill()?;
        // Only the other one hears of this.
        server.delete("gateways", "default", "b")?;
        server.apply_yaml(&gateway("d"))?;
        let after = await_made(&server, &["a", "c", "d"])?;
        ensure!(
            after["a"] == before["a"] && after["c"] == before["c"],
            "{after:?}"
        );
        let activity = server.activity();
        let count = |verb| activity.borrow().requests(verb, "services");
        ensure!((count("create"), count("delete"), count("patch")) == (4, 1, 0));
        Ok(())
    })
}

/// Killed in the middle: what is there keeps its ports, and the rest comes.
#[test]
fn two_hundred_gateways_have_ports_of_their_own_although_seaway_is_killed_meanwhile() -> Result<()>
{
    World::run(|world| {
        let server = server(world)?;
        let names: Vec<String> = (0..200).map(|number| format!("g{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let gateways = names.iter().map(|name| gateway(name));
        server.apply_yaml(&join(gateways.collect::<Vec<_>>()))?;
        world.start_seaway_on(&server, &FLAGS)?;
        let some = eventually("some of them", || {
            let made = made(&server)?;
            ensure!(made.len() > 20, "{}", made.len());
            Ok(made)
        })?;
        world.seaway()?.kill()?;
        ensure!(some.len() < names.len(), "it was too late");
        world.restart_seaway()?;
        let all = await_made(&server, &names)?;
        for (name, service) in &some {
            ensure!(all[name] == target(service)?, "{name}");
        }
        let activity = server.activity();
        let patches = activity.borrow().requests("patch", "services");
        ensure!(patches == 0, "{patches} were changed");
        Ok(())
    })
}

#[test]
fn what_others_write_or_make_is_left_alone() -> Result<()> {
    World::run(|world| {
        let server = server(world)?;
        server.apply_yaml(&gateway("g"))?;
        world.start_seaway_on(&server, &FLAGS)?;
        let before = await_made(&server, &["g"])?;
        let name = made(&server)?["g"]["metadata"]["name"].clone();
        let name = name.as_str().context("no name")?;
        server.edit("services", "seaway", name, |service| {
            service["metadata"]["annotations"]["example.com/lb"] = "internal".into();
            service["spec"]["externalTrafficPolicy"] = "Cluster".into();
            service["spec"]["loadBalancerClass"] = "a.b/c".into();
            service["spec"]["ports"][0]["nodePort"] = 30_080.into();
        })?;
        let more = GatewayManifest::new("g").listener("http", "");
        let more = more.only("name: more, port: 8081, protocol: HTTP");
        server.apply_yaml(&more.document())?;
        eventually("the port to be added", || {
            let there = &made(&server)?["g"];
            ensure!(there["spec"]["ports"][1]["port"] == 8081, "{there}");
            ensure!(there["spec"]["ports"][0]["nodePort"] == 30_080, "{there}");
            ensure!(
                there["spec"]["externalTrafficPolicy"] == "Cluster",
                "{there}"
            );
            ensure!(there["spec"]["loadBalancerClass"] == "a.b/c", "{there}");
            let annotations = &there["metadata"]["annotations"];
            ensure!(annotations["example.com/lb"] == "internal", "{there}");
            ensure!(target(there)? == before["g"], "{there}");
            Ok(())
        })?;
        // One that somebody deletes comes back where it was.
        server.delete("services", "seaway", name)?;
        ensure!(await_made(&server, &["g"])? == before);
        server.delete("gateways", "default", "g")?;
        await_made(&server, &[])?;
        let foreign = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "seaway"},
            "spec": {"ports": [{"port": 80}], "selector": {"app": "edge"}},
        });
        server.apply(foreign)?;
        let before = server.get("services", "seaway", name)?;
        server.apply_yaml(&gateway("g"))?;
        await_said(
            &server,
            "g",
            "Invalid",
            &format!("there is a Service seaway/{name} already"),
        )?;
        server.delete("gateways", "default", "g")?;
        server.apply_yaml(&gateway("h"))?;
        await_made(&server, &["h"])?;
        ensure!(server.get("services", "seaway", name)? == before);
        Ok(())
    })
}

/// Without the permission everything else goes on, and the log says once what is missing.
#[test]
fn a_missing_permission_is_named_and_serving_goes_on() -> Result<()> {
    World::run(|world| {
        let server = server(world)?;
        server.apply_yaml(&gateway("g"))?;
        let read = |path: &str| std::fs::read_to_string(repository().join("deploy").join(path));
        let base =
            read("base/rbac.yaml")? + "---\n" + &read("components/ingress/status-rbac.yaml")?;
        let all = format!(
            "{base}---\n{}",
            read("components/gateway-services/rbac.yaml")?
        );
        server.authorize(&Grants::read(&base)?);
        world.start_seaway_on(&server, &FLAGS)?;
        let missing = "missing permission: get, create, patch and delete of services in the \
                       namespace";
        eventually("the log to say so", || {
            let line = world
                .seaway()?
                .log_line("missing permission: get, create, patch")?;
            ensure!(line.contains(missing), "{line}");
            Ok(())
        })?;
        await_said(&server, "g", "Invalid", "is being made")?;
        let forbidden = "result=\"forbidden\"";
        let count = world.metric("seaway_gateway_service_writes_total", forbidden)?;
        ensure!(count == 1.0, "{count}");
        server.authorize(&Grants::read(&all)?);
        within(Duration::from_secs(60), "it to be made", || {
            await_made(&server, &["g"])
        })?;
        let said = world.seaway()?.log();
        ensure!(
            said.matches("missing permission: get, create, patch")
                .count()
                == 1
        );
        Ok(())
    })
}
