//! Datagrams of every size, over links as they are: larger than a packet, and larger than a packet
//! of a link further on.

use anyhow::{Result, ensure};
use seaway_testing::{
    Cluster, Flow, ServiceManifest, Setup, SliceManifest, World, endpoint, eventually, join,
};
use serde_json::json;

use crate::load_balancer;

crate::all_captures!(datagrams_of_any_size_come_through_links_of_any_size);

crate::keeping_sources!(datagrams_of_any_size_come_through_links_of_any_size);

const DNS: &str = "10.96.0.53:53";
const DNS_V6: &str = "[fd00:10:96::53]:53";
const VIP: &str = "203.0.113.53:53";
const PORT: u16 = 30053;
/// What fits a packet of 1,500 bytes by a byte and what does not by a byte in either family, and
/// the largest datagram of IPv4.
const SIZES: [usize; 6] = [1_452, 1_453, 1_472, 1_473, 9_000, 65_507];

/// Service rule 104: questions and answers larger than a packet, over links of 1,500 and of 1,400
/// bytes, in both families; and to a client behind a smaller link than the node's.
fn datagrams_of_any_size_come_through_links_of_any_size(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        save(cluster, setup.keep_source)?;
        let node = cluster.host("n1")?;
        let mut served = vec![DNS.to_owned(), endpoint(node.v4, PORT)];
        if World::has_ipv6() {
            served.extend([DNS_V6.to_owned(), endpoint(node.v6, PORT)]);
        }
        for bytes in [1_500, 1_400] {
            for pod in ["client", "here"] {
                set_link(cluster, pod, "n1", bytes)?;
            }
            for to in &served {
                sizes(cluster, "client", to)?;
            }
        }
        let fabric = "link set outside mtu 1300\n";
        cluster.world.fabric().configure(fabric)?;
        cluster
            .at("outside")?
            .configure("link set eth0 mtu 1300\n")?;
        sizes(cluster, "outside", VIP)?;
        sizes(cluster, "outside", &endpoint(node.v4, PORT))?;
        let lost = cluster.envoy("n1")?.stats()?;
        let lost: Vec<_> = lost
            .iter()
            .filter(|(name, count)| name.ends_with("sess_tx_errors") && **count > 0)
            .collect();
        ensure!(lost.is_empty(), "Envoy could not send: {lost:?}");
        Ok(())
    })
}

/// A Service for the pod `here`, in both families. With a Local policy its endpoint sees the
/// clients, if addresses are kept at all.
fn save(cluster: &Cluster<'_>, local: bool) -> Result<()> {
    let policy = if local { "Local" } else { "Cluster" };
    let service = ServiceManifest::new("dns")
        .cluster_ip("10.96.0.53")
        .spec("clusterIPs", json!(["10.96.0.53", "fd00:10:96::53"]))
        .spec("ipFamilies", json!(["IPv4", "IPv6"]))
        .spec("type", "LoadBalancer")
        .spec("internalTrafficPolicy", policy)
        .spec("externalTrafficPolicy", policy)
        .top("status", load_balancer("203.0.113.53"))
        .port("dns", 53)
        .on_port("protocol", "UDP")
        .on_port("nodePort", PORT);
    let host = cluster.host("here")?;
    let slice = |family: &str, address: &str| {
        SliceManifest::new("dns")
            .named(&format!("dns-{}", family.to_lowercase()))
            .address_type(family)
            .port("dns", 8080)
            .on_port("protocol", "UDP")
            .endpoint_on(address, "n1", "a")
            .document()
    };
    let [v4, v6] = [
        slice("IPv4", &host.v4.to_string()),
        slice("IPv6", &host.v6.to_string()),
    ];
    let all = join([service.document(), v4, v6]);
    cluster.world.manifests().save("dns.yaml", &all).map(drop)
}

/// Gives a pod's link packets of so many bytes, at both of its ends.
fn set_link(cluster: &Cluster<'_>, pod: &str, node: &str, bytes: u32) -> Result<()> {
    let [.., number] = cluster.host(pod)?.v4.octets();
    let own = format!("link set eth0 mtu {bytes}\n");
    let other = format!("link set pod-{number} mtu {bytes}\n");
    cluster.at(pod)?.configure(&own)?;
    cluster.at(node)?.configure(&other)
}

/// Asks in questions of every size, and for answers of every size.
fn sizes(cluster: &Cluster<'_>, from: &str, to: &str) -> Result<()> {
    for (question, answer) in SIZES.into_iter().flat_map(|size| [(size, 64), (64, size)]) {
        let what = format!("{answer} bytes for {question} at {to}, asked from {from}");
        eventually(what, || {
            let outcome = Flow::open(cluster.at(from)?, to)?.ask_sized(question, answer)?;
            ensure!(outcome.word() == "here", "{outcome}");
            Ok(())
        })?;
    }
    Ok(())
}
