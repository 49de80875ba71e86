//! Seaway on a cluster: the real binary, its API server (a stand-in, except where a test says so),
//! and proxies.
//!
//! Most tests look at what a proxy is sent with a [`Proxy`](discovery::Proxy) that writes down
//! every resource of every response: that nothing is sent without a reason shows nowhere better.
//! Where traffic is the point there are real Envoys.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{
    ApiServer, EnvoyOptions, ServiceManifest, SliceManifest, World, bootstrap, join, node, within,
};
use serde_json::Value;

mod credentials;
mod discovery;
mod events;
mod faults;
mod foreign;
mod gateway_services;
mod kill;
mod line;
mod outage;
mod peers;
mod permissions;
mod printed;
mod quiet;
mod relist;
mod replicas;
mod restart;
mod secrets;
mod secrets_hidden;
mod silence;
mod start;
mod status;
mod traffic;

use discovery::Proxy;

/// How many Services [`populate`] makes.
const SERVICES: usize = 20;

/// The Service of this number, and its assignment's name.
fn name(number: usize) -> String {
    format!("web-{number}")
}

fn assignment(number: usize) -> String {
    format!("default/web-{number}/80")
}

fn service(number: usize) -> ServiceManifest {
    ServiceManifest::new(&name(number))
        .cluster_ip(&format!("10.96.{}.{}", 1 + number / 200, 1 + number % 200))
        .port("", 80)
}

/// A slice of the Service of this number with these endpoints.
fn slice(number: usize, endpoints: &[&str]) -> SliceManifest {
    let slice = SliceManifest::new(&name(number)).port("", 8080);
    let endpoints = endpoints.iter();
    endpoints.fold(slice, |slice, address| slice.endpoint(address))
}

/// The slice that [`slice`] makes.
fn slice_name(number: usize) -> String {
    format!("web-{number}-1")
}

/// Changes every object in ways that mean nothing to proxies.
fn touch(server: &ApiServer) -> Result<()> {
    let revision = server.revision();
    let touch = |object: &mut Value| {
        object["metadata"]["annotations"]["example.com/touched"] = revision.to_string().into();
    };
    for number in 0..SERVICES {
        server.edit("services", "default", &name(number), touch)?;
        server.edit("endpointslices", "default", &slice_name(number), touch)?;
    }
    server.edit("nodes", "", "n1", touch)?;
    server.edit("namespaces", "", "default", touch)?;
    server.edit("ingressclasses", "", "other", touch)?;
    server.edit("ingresses", "default", "other", touch)
}

/// The kinds that Seaway watches of a server without CRDs. It can do without the last three.
const WATCHED: [&str; 6] = [
    "services",
    "endpointslices",
    "nodes",
    "namespaces",
    "ingressclasses",
    "ingresses",
];

/// An object of each kind that Seaway can do without, and of another controller.
const OTHERS: &str = "\
{apiVersion: v1, kind: Namespace, metadata: {name: default}}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: other}
spec: {controller: example.com/other}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other, namespace: default}
spec: {ingressClassName: other, defaultBackend: {service: {name: web-0, port: {number: 80}}}}
";

/// The endpoints that [`populate`] gives every Service.
const TWO: [&str; 2] = ["10.244.1.10", "10.244.1.11"];
/// Others, for a change.
const OTHER: [&str; 1] = ["10.244.1.12"];

/// A cluster of two nodes and so many Services.
fn populate(server: &ApiServer, services: usize) -> Result<()> {
    server.apply_yaml(&join([node("n1", "a"), node("n2", "b")]))?;
    server.apply_yaml(OTHERS)?;
    for number in 0..services {
        server.apply_yaml(&service(number).document())?;
        server.apply_yaml(&slice(number, &TWO).document())?;
    }
    Ok(())
}

/// A world with a populated stand-in, Seaway and a proxy that has everything.
fn scene(
    arguments: &[&str],
    test: impl FnOnce(&mut World, &ApiServer, &Proxy) -> Result<()>,
) -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        world.start_seaway_on(&server, arguments)?;
        let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
        test(world, &server, &proxy)
    })
}

/// Waits until the stand-in has been asked so many times more than `before`.
fn await_requests(server: &ApiServer, verb: &str, resource: &str, count: u64) -> Result<()> {
    let what = format!("{count} requests to {verb} {resource}");
    within(Duration::from_secs(20), what, || {
        let seen = requests(server, verb, resource);
        ensure!(seen >= count, "{seen} so far");
        Ok(())
    })
}

fn requests(server: &ApiServer, verb: &str, resource: &str) -> u64 {
    server.activity().borrow().requests(verb, resource)
}

/// Waits until every watch is open and works.
fn await_watches(world: &World, server: &ApiServer) -> Result<()> {
    within(Duration::from_secs(20), "all watches to work", || {
        let activity = server.activity();
        for resource in WATCHED {
            let open = activity.borrow().watches(resource);
            ensure!(open == 1, "{open} watches of {resource} are open");
        }
        let failing = world.metric("seaway_watch_failing", "")?;
        ensure!(failing == 0.0, "{failing} watches fail");
        Ok(())
    })
}

/// Makes a change and sees that it arrives, and that since `mark` nothing else did.
fn only_this_change(server: &ApiServer, proxy: &Proxy, mark: usize, limit: Duration) -> Result<()> {
    server.apply_yaml(&slice(3, &OTHER).document())?;
    proxy.await_endpoints(limit, &assignment(3), &OTHER)?;
    let changed = proxy.changed_since(mark);
    let expected = [format!("+{}", assignment(3))];
    ensure!(
        changed.iter().eq(&expected),
        "only {expected:?} should have been sent, not {changed:?}"
    );
    Ok(())
}

/// An Envoy that tries to connect at least four times a second. Others take an end before anything
/// was sent for a failure, and wait longer each time.
fn impatient(options: EnvoyOptions) -> Result<EnvoyOptions> {
    let config = bootstrap("n1", &options)?;
    ensure!(config.contains("max_interval: 10s"), "{config}");
    let config = Some(config.replace("max_interval: 10s", "max_interval: 0.25s"));
    Ok(EnvoyOptions { config, ..options })
}
