//! Every endpoint of a Service is replaced, one after the other, under load: ready, terminating,
//! gone. No request fails.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{
    Client, Cluster, Load, Record, ServiceManifest, Setup, SliceManifest, eventually, join,
};
use serde_json::json;

use crate::service;

crate::keeping_sources!(all_ten_endpoints_are_replaced_without_a_failed_request);

mod bind {
    #[test]
    fn all_ten_endpoints_are_replaced_without_a_failed_request() -> anyhow::Result<()> {
        super::all_ten_endpoints_are_replaced_without_a_failed_request(&super::Setup::default())
    }
}

/// Endpoints of the Service; half of them on each node.
const ENDPOINTS: usize = 10;
/// New connections a second, of each load.
const RATE: u32 = 100;
/// Between two requests over one connection.
const PAUSE: Duration = Duration::from_millis(5);
/// Connections that are kept, of each load.
const KEPT: usize = 4;

/// The ways to the same endpoints, each with and without hints: by name, address, and from where it
/// is asked.
const WAYS: [(&str, &str, &str); 6] = [
    ("cluster", "10.96.0.1", "client"),
    ("cluster-hints", "10.96.0.2", "client"),
    ("internal", "10.96.0.3", "client"),
    ("internal-hints", "10.96.0.4", "client"),
    ("external", "203.0.113.5", "outside"),
    ("external-hints", "203.0.113.6", "outside"),
];

/// An endpoint in one of its states.
struct Endpoint {
    pod: String,
    node: &'static str,
    terminating: bool,
}

/// Service rules 59, 60, 81 to 85, 92, 93: Cluster and Local policies, with and without hints, new
/// connections and kept ones.
fn all_ten_endpoints_are_replaced_without_a_failed_request(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let mut endpoints = Vec::new();
        for number in 0..ENDPOINTS {
            endpoints.push(start(cluster, number)?);
        }
        save(cluster, &endpoints)?;
        for (_, ip, from) in WAYS {
            eventually(format!("an answer at {ip}"), || {
                let outcome = cluster.get(from, &format!("{ip}:80"))?;
                ensure!(outcome.backend().is_some(), "{outcome}");
                Ok(())
            })?;
        }
        // Such connections pass through Envoy twice, and a load that does not wait must leave room
        // for that on a busy machine.
        let rate = if setup.keep_source { RATE / 4 } else { RATE };
        let loads = loads(cluster, rate)?;
        let mut left = None;
        for number in 0..ENDPOINTS {
            replace(cluster, &mut endpoints, number, &mut left)?;
        }
        end(cluster, left)?;
        for (way, load) in loads {
            let records = load.stop()?;
            let failures = Record::failures(&records);
            ensure!(
                failures.is_none(),
                "{way}: of {} requests: {failures:?}",
                records.len()
            );
            ensure!(
                records.len() > ENDPOINTS,
                "{way}: only {} requests",
                records.len()
            );
        }
        Ok(())
    })
}

/// The loads of every way, with what they are called.
fn loads(cluster: &Cluster<'_>, rate: u32) -> Result<Vec<(String, Load)>> {
    let mut loads = Vec::new();
    for (name, ip, from) in WAYS {
        let client = Client::new((ip.parse::<std::net::IpAddr>()?, 80));
        let from = cluster.at(from)?;
        let fresh = Load::start(from, client.clone(), rate)?;
        loads.push((format!("{name}, new connections"), fresh));
        for _ in 0..KEPT {
            let kept = Load::keep_alive(from, client.clone(), PAUSE)?;
            loads.push((format!("{name}, a kept connection"), kept));
        }
    }
    Ok(loads)
}

/// Starts the endpoint with this number; every other one is on the first node.
fn start(cluster: &mut Cluster<'_>, number: usize) -> Result<Endpoint> {
    let (pod, node) = (format!("pod-{number}"), ["n1", "n2"][number % 2]);
    cluster.backend(&pod, node)?;
    Ok(Endpoint {
        pod,
        node,
        terminating: false,
    })
}

/// Puts another endpoint in the place of the first one, and ends the pod that left before.
fn replace(
    cluster: &mut Cluster<'_>,
    endpoints: &mut Vec<Endpoint>,
    number: usize,
    left: &mut Option<(String, u64)>,
) -> Result<()> {
    let new = start(cluster, ENDPOINTS + number)?;
    let pod = new.pod.clone();
    endpoints.push(new);
    save(cluster, endpoints)?;
    asked(cluster, &pod)?;
    // Whoever left before has seen this whole replacement, and nobody came.
    end(cluster, left.take())?;

    endpoints[0].terminating = true;
    save(cluster, endpoints)?;
    let old = endpoints[0].pod.clone();
    cluster.await_offered_to_nobody(&old)?;
    // It goes on serving, and asks whoever is connected to go elsewhere.
    cluster.pod(&old)?.backend()?.leave();
    cluster.await_disconnected(&old)?;
    *left = Some((old.clone(), cluster.pod(&old)?.backend()?.requests()));
    endpoints.remove(0);
    save(cluster, endpoints)
}

/// Ends a pod that had left with this number of requests.
fn end(cluster: &mut Cluster<'_>, left: Option<(String, u64)>) -> Result<()> {
    let Some((pod, requests)) = left else {
        return Ok(());
    };
    let now = cluster.pod(&pod)?.backend()?.requests();
    ensure!(now == requests, "{pod} was asked after it had left");
    cluster.pod_mut(&pod)?.stop();
    Ok(())
}

/// Waits until an endpoint has been asked.
fn asked(cluster: &Cluster<'_>, pod: &str) -> Result<()> {
    eventually(format!("{pod} to be asked"), || {
        let asked = cluster.pod(pod)?.backend()?.requests();
        ensure!(asked > 0, "it was not");
        Ok(())
    })
}

/// Saves all Services with the same endpoints.
fn save(cluster: &Cluster<'_>, endpoints: &[Endpoint]) -> Result<()> {
    let mut documents = Vec::new();
    for (name, ip, _) in WAYS {
        documents.push(manifest(name, ip).document());
        let slice = SliceManifest::new(name).port("http", 8080);
        let slice = endpoints.iter().try_fold(slice, |slice, endpoint| {
            put(cluster, slice, endpoint, name.ends_with("-hints"))
        })?;
        documents.push(slice.document());
    }
    let manifests = cluster.world.manifests();
    manifests.save("web.yaml", &join(documents)).map(drop)
}

fn manifest(name: &str, ip: &str) -> ServiceManifest {
    let service = service(name, ip);
    if name.starts_with("internal") {
        return service.spec("internalTrafficPolicy", "Local");
    }
    if name.starts_with("external") {
        let own = ip.replace("203.0.113", "10.96.1");
        return crate::service(name, &own)
            .spec("externalTrafficPolicy", "Local")
            .spec("externalIPs", json!([ip]));
    }
    service
}

fn put(
    cluster: &Cluster<'_>,
    slice: SliceManifest,
    endpoint: &Endpoint,
    hints: bool,
) -> Result<SliceManifest> {
    let zone = if endpoint.node == "n1" { "a" } else { "b" };
    let ip = cluster.host(&endpoint.pod)?.v4.to_string();
    let going = endpoint.terminating;
    let conditions = json!({"ready": !going, "serving": true, "terminating": going});
    let slice = slice
        .endpoint_on(&ip, endpoint.node, zone)
        .on_endpoint("conditions", conditions);
    Ok(if hints {
        slice.on_endpoint("hints", json!({"forZones": [{"name": zone}]}))
    } else {
        slice
    })
}
