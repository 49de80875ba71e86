//! The status of what ingress proxies serve: one replica writes it, whichever dies.

use std::net::{Ipv6Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    ApiServer, EnvoyOptions, GatewayManifest, Grants, IngressManifest, RouteManifest, World,
    eventually, repository, within,
};
use serde_json::{Value, json};

use crate::{SERVICES, populate};

/// The Service before the ingress proxies.
pub(crate) const EXPOSED: [&str; 2] = ["--ingress-service", "default/web-0"];
pub(crate) const CLASSES: &str = "\
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: ours}, spec: {controller: seaway.dev/ingress-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ours}
spec: {controllerName: seaway.dev/gateway-controller}
";

/// A server with a Gateway, a route, an Ingress and the CRDs for them.
fn server(world: &World) -> Result<ApiServer> {
    let server = world.api_server()?;
    for resource in ["gatewayclasses", "gateways", "httproutes"] {
        server.install(resource)?;
    }
    populate(&server, SERVICES)?;
    server.apply_yaml(CLASSES)?;
    let gateway = GatewayManifest::new("g").listener("http", "");
    server.apply_yaml(&gateway.document())?;
    let route = RouteManifest::new("r").prefix("/", "web-1");
    server.apply_yaml(&route.document())?;
    let ingress = IngressManifest::new("i").host("a.example");
    let ingress = ingress.path("Prefix", "/", "web-1");
    server.apply_yaml(&ingress.document())?;
    expose(&server, "192.0.2.1")?;
    Ok(server)
}

/// Gives the Service before the proxies an address of a load balancer.
pub(crate) fn expose(server: &ApiServer, address: &str) -> Result<()> {
    server.edit("services", "default", "web-0", |service| {
        service["spec"]["type"] = json!("LoadBalancer");
        service["status"]["loadBalancer"]["ingress"] = json!([{"ip": address}]);
    })
}

fn status(server: &ApiServer, resource: &str, namespace: &str, name: &str) -> Result<Value> {
    let object = server.get(resource, namespace, name)?;
    Ok(object.context("no such object")?["status"].clone())
}

/// Whether a list of conditions has this one.
fn holds(conditions: &Value, kind: &str) -> bool {
    let all = conditions.as_array().into_iter().flatten();
    let mut of_kind = all.filter(|condition| condition["type"] == kind);
    of_kind.any(|condition| condition["status"] == "True")
}

/// Whether everything says that it is served at this address.
fn shown(server: &ApiServer, address: &str) -> Result<()> {
    let ingress = status(server, "ingresses", "default", "i")?;
    let there = &ingress["loadBalancer"]["ingress"];
    ensure!(*there == json!([{"ip": address}]), "{ingress}");
    let gateway = status(server, "gateways", "default", "g")?;
    let expected = json!([{"type": "IPAddress", "value": address}]);
    ensure!(gateway["addresses"] == expected, "{gateway}");
    ensure!(holds(&gateway["conditions"], "Programmed"), "{gateway}");
    ensure!(gateway["listeners"][0]["attachedRoutes"] == 1, "{gateway}");
    let route = status(server, "httproutes", "default", "r")?;
    let conditions = &route["parents"][0]["conditions"];
    ensure!(holds(conditions, "Accepted"), "{route}");
    let class = status(server, "gatewayclasses", "", "ours")?;
    ensure!(holds(&class["conditions"], "Accepted"), "{class}");
    Ok(())
}

fn leads(world: &World, replica: usize) -> Result<bool> {
    let replica = world.replica(replica)?;
    let leads = replica.metric(world.fabric(), "seaway_status_leader", "")?;
    Ok(leads == 1.0)
}

fn written(world: &World, replica: usize) -> Result<f64> {
    let replica = world.replica(replica)?;
    let label = "result=\"written\"";
    replica.metric(world.fabric(), "seaway_status_writes_total", label)
}

/// Two replicas, of which the first one writes.
fn two(world: &mut World) -> Result<ApiServer> {
    let server = server(world)?;
    world.start_seaway_on(&server, &EXPOSED)?;
    eventually("the status to be written", || shown(&server, "192.0.2.1"))?;
    world.start_seaway_on(&server, &EXPOSED)?;
    expose(&server, "192.0.2.2")?;
    eventually("the address to follow", || shown(&server, "192.0.2.2"))?;
    ensure!(leads(world, 0)? && !leads(world, 1)?);
    ensure!(written(world, 1)? == 0.0, "both write");
    Ok(server)
}

#[test]
fn one_of_two_replicas_writes_status_and_the_other_follows_when_it_is_killed() -> Result<()> {
    World::run(|world| {
        let server = two(world)?;
        world.seaway()?.kill()?;
        expose(&server, "192.0.2.3")?;
        // The Lease holds for 15 seconds.
        within(Duration::from_secs(30), "the other one to write", || {
            shown(&server, "192.0.2.3")
        })?;
        ensure!(leads(world, 1)?);
        // Of four objects two have changed.
        ensure!(written(world, 1)? == 2.0, "{} written", written(world, 1)?);
        Ok(())
    })
}

#[test]
fn a_replica_that_ends_leaves_status_to_the_other_at_once() -> Result<()> {
    World::run(|world| {
        let server = two(world)?;
        world.seaway()?.terminate(Duration::from_secs(10))?;
        expose(&server, "192.0.2.3")?;
        within(Duration::from_secs(8), "the other one to write", || {
            shown(&server, "192.0.2.3")
        })
    })
}

/// What was never said by whoever is before the proxies is not taken from an Ingress.
#[test]
fn without_the_service_before_the_proxies_addresses_of_ingresses_are_left_alone() -> Result<()> {
    World::run(|world| {
        let server = server(world)?;
        let theirs = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}});
        server.replace_status("ingresses", "default", "i", theirs.clone())?;
        world.start_seaway_on(&server, &[])?;
        eventually("the route to be accepted", || {
            let route = status(&server, "httproutes", "default", "r")?;
            ensure!(
                holds(&route["parents"][0]["conditions"], "Accepted"),
                "{route}"
            );
            Ok(())
        })?;
        eventually("everything to be written", || {
            let waiting = world.metric("seaway_status_queue", "")?;
            ensure!(waiting == 0.0, "{waiting} wait");
            Ok(())
        })?;
        let ingress = status(&server, "ingresses", "default", "i")?;
        ensure!(ingress == theirs, "{ingress}");
        Ok(())
    })
}

/// Nobody asks for more than `deploy/` grants where ingress is deployed, and without that the log
/// says once what is missing.
/// Gateway rule 120: a Service among the parents has an entry, in a cluster without Gateways, too,
/// which goes with the Service.
#[test]
fn a_route_of_a_service_has_an_entry_for_it() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.install("httproutes")?;
        populate(&server, SERVICES)?;
        let parent = json!({"group": "", "kind": "Service", "name": "web-1", "port": 80});
        server.apply(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"namespace": "default", "name": "r"},
            "spec": {"parentRefs": [parent], "rules": [{"backendRefs": [{"name": "web-1", "port": 80}]}]},
        }))?;
        world.start_seaway_on(&server, &[])?;
        let parents = || -> Result<Value> {
            Ok(status(&server, "httproutes", "default", "r")?["parents"].clone())
        };
        eventually("the entry of the Service", || {
            let parents = parents()?;
            let entry = &parents[0];
            ensure!(entry["parentRef"] == parent, "{parents}");
            ensure!(
                entry["controllerName"] == "seaway.dev/mesh-controller",
                "{parents}"
            );
            ensure!(holds(&entry["conditions"], "Accepted"), "{parents}");
            ensure!(holds(&entry["conditions"], "ResolvedRefs"), "{parents}");
            Ok(())
        })?;
        server.delete("services", "default", "web-1")?;
        eventually("no entry", || {
            let parents = parents()?;
            ensure!(parents == json!([]), "{parents}");
            Ok(())
        })
    })
}

#[test]
fn what_is_granted_is_enough_and_what_is_missing_is_named() -> Result<()> {
    World::run(|world| {
        let server = server(world)?;
        let read = |path: &str| std::fs::read_to_string(repository().join(path));
        let base = read("deploy/base/rbac.yaml")?;
        // The Lease is in the namespace of the manifests.
        let arguments = [&EXPOSED[..], &["--lease-namespace", "seaway"]].concat();
        server.authorize(&Grants::read(&base)?);
        world.start_seaway_on(&server, &arguments)?;
        eventually("the log to name the Lease", || {
            let line = world.seaway()?.log_line("the Lease of the replica")?;
            ensure!(
                line.contains("missing permission: get, create and update of leases"),
                "{line}"
            );
            Ok(())
        })?;
        let component = read("deploy/components/ingress/status-rbac.yaml")?;
        server.authorize(&Grants::read(&format!("{base}---\n{component}"))?);
        eventually("the status to be written", || shown(&server, "192.0.2.1"))?;
        let activity = server.activity();
        let forbidden = activity.borrow().forbidden().clone();
        // What it watches is for other tests.
        let watches = |what: &&String| what.starts_with("list ") || what.starts_with("watch ");
        let others: Vec<&String> = forbidden.iter().filter(|what| !watches(what)).collect();
        ensure!(others == ["get leases.coordination.k8s.io"], "{others:?}");
        Ok(())
    })
}

/// Gateway rule 106: the words of an Envoy that cannot bind the port stand in the status and in an
/// Event, for as long as it cannot.
#[test]
fn what_an_envoy_rejects_is_in_the_status_until_it_takes_it() -> Result<()> {
    World::run(|world| {
        let server = server(world)?;
        server.delete("gateways", "default", "g")?;
        server.delete("ingresses", "default", "i")?;
        world.start_seaway_on(&server, &EXPOSED)?;
        let options = EnvoyOptions {
            bootstrap: ["--role", "ingress"].map(str::to_owned).to_vec(),
            ..EnvoyOptions::default()
        };
        let envoy = world.start_envoy("edge", &options)?;
        world.excuse(&envoy);
        let taken = envoy
            .namespace()
            .run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80)))??;
        let gateway = GatewayManifest::new("g").listener("http", "");
        server.apply_yaml(&gateway.document())?;
        let programmed = || -> Result<Value> {
            let gateway = status(&server, "gateways", "default", "g")?;
            let conditions = &gateway["listeners"][0]["conditions"];
            let mut all = conditions.as_array().into_iter().flatten();
            let found = all.find(|condition| condition["type"] == "Programmed");
            found.cloned().with_context(|| gateway.to_string())
        };
        eventually("the rejection in the status", || {
            let condition = programmed()?;
            let words = condition["message"].as_str().unwrap_or_default();
            let is_told = words.starts_with("a proxy rejects it: ") && words.contains("in use");
            ensure!(condition["reason"] == "Invalid" && is_told, "{condition}");
            let problems = world.metric("seaway_problems", "RejectedByProxy")?;
            ensure!(problems == 1.0, "{problems} problems");
            Ok(())
        })?;
        drop(taken);
        within(
            Duration::from_secs(60),
            "the listener to be programmed",
            || {
                let condition = programmed()?;
                ensure!(condition["status"] == "True", "{condition}");
                ensure!(world.metric("seaway_problems", "RejectedByProxy")? == 0.0);
                Ok(())
            },
        )
    })
}
