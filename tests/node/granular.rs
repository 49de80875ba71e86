//! What the official tests of Networking check (Kubernetes' `test/e2e/network/networking.go`,
//! "Granular Checks: Services"): pods, nodes and endpoints themselves reach every endpoint by both
//! protocols, at the cluster IP and at node ports.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use seaway_testing::{
    Backend, Client, Cluster, Echo, Flow, ServiceManifest, Setup, SliceManifest, endpoint,
    eventually,
};
use serde_json::json;

use crate::official::expect_udp;
use crate::{service, with};

crate::all_captures!(
    every_endpoint_is_reached_by_both_protocols_and_updated,
    endpoints_in_the_nodes_network_are_reached_by_both_protocols,
    affinity_holds_at_node_ports_and_for_udp,
);

const HTTP: &str = "10.96.0.10:80";
const UDP: &str = "10.96.0.10:90";
const HTTP_PORT: u16 = 30080;
const UDP_PORT: u16 = 30090;

/// The official tests' Service: HTTP at 80, UDP at 90, a node port for each.
fn nettest() -> ServiceManifest {
    service("web", "10.96.0.10")
        .on_port("nodePort", HTTP_PORT)
        .port("udp", 90)
        .on_port("protocol", "UDP")
        .on_port("nodePort", UDP_PORT)
}

/// Saves it with these places as endpoints, each with its node.
fn save(cluster: &Cluster<'_>, service: &ServiceManifest, places: &[(&str, &str)]) -> Result<()> {
    let slice = SliceManifest::new("web")
        .port("http", 8080)
        .port("udp", 8080)
        .on_port("protocol", "UDP");
    let slice = places.iter().try_fold(slice, |slice, (place, node)| {
        let address = cluster.host(place)?.v4.to_string();
        anyhow::Ok(slice.endpoint_on(&address, node, "a"))
    })?;
    let manifests = cluster.world.manifests();
    manifests.save("web.yaml", &with(service, &slice)).map(drop)
}

/// Who answers so many new flows.
fn udp(
    cluster: &Cluster<'_>,
    from: &str,
    to: &str,
    count: usize,
) -> Result<BTreeMap<String, usize>> {
    let mut seen = BTreeMap::new();
    for _ in 0..count {
        let outcome = Flow::open(cluster.at(from)?, to)?.ask()?;
        *seen.entry(outcome.word().to_owned()).or_default() += 1;
    }
    Ok(seen)
}

/// Waits until these answer from here, by both protocols, at the cluster IP and at the ports of
/// both nodes.
fn reached(cluster: &Cluster<'_>, from: &str, wanted: &[&str]) -> Result<()> {
    let nodes = [cluster.host("n1")?.v4, cluster.host("n2")?.v4];
    cluster.expect(from, HTTP, wanted)?;
    for node in nodes {
        cluster.expect(from, &endpoint(node, HTTP_PORT), wanted)?;
    }
    let ports = nodes.map(|node| endpoint(node, UDP_PORT));
    for to in [UDP, &ports[0], &ports[1]] {
        eventually(
            format!("{wanted:?} at {to} by UDP, asked from {from}"),
            || {
                let seen = udp(cluster, from, to, 10 * wanted.len())?;
                ensure!(seen.keys().eq(wanted), "{seen:?}");
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// Requests of 2,000 bytes, as the official tests send them.
fn large(cluster: &Cluster<'_>, from: &str) -> Result<()> {
    let target: SocketAddr = HTTP.parse()?;
    let client = Client::new(target).path(&format!("/{}", "42".repeat(1000)));
    let outcome = client.get(cluster.at(from)?)?;
    ensure!(outcome.backend().is_some(), "{outcome}");
    eventually("a large datagram", || {
        let outcome = Flow::open(cluster.at(from)?, UDP)?.ask_sized(2000, 2000)?;
        ensure!(outcome.backend().is_some(), "{outcome}");
        Ok(())
    })
}

/// Service rules 4, 7, 75, 104, 113. Mirrors "function for pod-Service", "node-Service" and
/// "endpoint-Service", http and udp, "update endpoints", "update nodePort", "support basic
/// nodePort: udp functionality", "be able to handle large requests", and NoSNAT's "be able to send
/// traffic between Pods without SNAT".
fn every_endpoint_is_reached_by_both_protocols_and_updated(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        cluster.backend("there", "n2")?;
        save(cluster, &nettest(), &[("here", "n1"), ("there", "n2")])?;
        for from in ["client", "n1", "here", "there"] {
            reached(cluster, from, &["here", "there"])?;
            large(cluster, from)?;
        }
        // Without a Service nothing comes between them, and nobody is hidden.
        for from in ["client", "n1", "here"] {
            let (own, there) = (cluster.host(from)?.v4, cluster.host("there")?.v4);
            cluster.expect_from(from, &endpoint(there, 8080), "there", own.into())?;
        }
        cluster.pod_mut("there")?.stop();
        cluster.backend("successor", "n2")?;
        save(cluster, &nettest(), &[("here", "n1"), ("successor", "n2")])?;
        reached(cluster, "client", &["here", "successor"])?;
        cluster.world.manifests().delete("web.yaml")?;
        let node = cluster.host("n1")?.v4;
        for from in ["client", "n1"] {
            cluster.expect(from, &endpoint(node, HTTP_PORT), &["refused"])?;
            expect_udp(cluster, from, &endpoint(node, UDP_PORT), "refused")?;
        }
        Ok(())
    })
}

/// Service rules 51, 104. Mirrors "function for service endpoints using hostNetwork", and "provide
/// secure master service" of Services, whose endpoints are processes of nodes, too.
fn endpoints_in_the_nodes_network_are_reached_by_both_protocols(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let mut processes = Vec::new();
        for node in ["n1", "n2"] {
            let at = SocketAddr::from(([0, 0, 0, 0], 8080));
            processes.push((
                Backend::start(cluster.at(node)?, node, at)?,
                Echo::start(cluster.at(node)?, node, at)?,
            ));
        }
        save(cluster, &nettest(), &[("n1", "n1"), ("n2", "n2")])?;
        for from in ["client", "n1", "n2"] {
            reached(cluster, from, &["n1", "n2"])?;
            large(cluster, from)?;
        }
        Ok(())
    })
}

/// The one endpoint that a client meets by a protocol.
fn one(seen: &BTreeMap<String, usize>) -> Result<&str> {
    ensure!(seen.len() == 1, "{seen:?}");
    let name = seen.keys().next().map_or("", String::as_str);
    ensure!(name.starts_with("pod"), "{seen:?}");
    Ok(name)
}

/// Service rules 97, 98, 100. Mirrors "have session affinity work for NodePort service", ".. for
/// service with type clusterIP", "be able to switch session affinity for NodePort service", "..
/// clusterIP", and of Networking "function for client IP based session affinity", http and udp.
fn affinity_holds_at_node_ports_and_for_udp(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let pods = [("pod-1", "n1"), ("pod-2", "n2"), ("pod-3", "n2")];
        for (pod, node) in pods {
            cluster.backend(pod, node)?;
        }
        let node = cluster.host("n1")?.v4;
        let (http_port, udp_port) = (endpoint(node, HTTP_PORT), endpoint(node, UDP_PORT));
        let timeout = json!({"clientIP": {"timeoutSeconds": 10_800}});
        let sticky = nettest()
            .spec("sessionAffinity", "ClientIP")
            .spec("sessionAffinityConfig", timeout);
        for _ in 0..2 {
            save(cluster, &sticky, &pods)?;
            for from in ["client", "n1"] {
                eventually(format!("one endpoint for {from}"), || {
                    for to in [HTTP, &http_port] {
                        one(&cluster.ask(from, to, 15)?)?;
                    }
                    for to in [UDP, &udp_port] {
                        one(&udp(cluster, from, to, 15)?)?;
                    }
                    Ok(())
                })?;
            }
            save(cluster, &nettest(), &pods)?;
            reached(cluster, "client", &["pod-1", "pod-2", "pod-3"])?;
        }
        Ok(())
    })
}
