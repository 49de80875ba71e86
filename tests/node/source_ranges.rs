//! `loadBalancerSourceRanges`: who may come to a load balancer's address, and that no other address
//! is restricted.

use anyhow::{Result, ensure};
use seaway_testing::{Cluster, Setup, SliceManifest, World, endpoint, join};
use serde_json::json;

use crate::{service, with};

crate::all_captures!(
    source_ranges_restrict_the_load_balancer_address_only,
    a_node_inside_the_ranges_may_come_from_the_address_itself,
);

crate::keeping_sources!(
    source_ranges_restrict_the_load_balancer_address_only,
    a_node_inside_the_ranges_may_come_from_the_address_itself,
);

const WEB: &str = "10.96.0.10:80";
const VIP: &str = "203.0.113.10:80";
const VIP_V6: &str = "[fd00:203::10]:80";
const EXTERNAL: &str = "203.0.113.20:80";
const PORT: u16 = 30080;

/// Saves the Service with these source ranges and this external policy.
fn save(cluster: &Cluster<'_>, ranges: &[&str], policy: &str) -> Result<()> {
    let ingress = json!([{"ip": "203.0.113.10"}, {"ip": "fd00:203::10"}]);
    let service = service("web", "10.96.0.10")
        .spec("type", "LoadBalancer")
        .spec("clusterIPs", json!(["10.96.0.10", "fd00:10:96::10"]))
        .spec("ipFamilies", json!(["IPv4", "IPv6"]))
        .spec("externalTrafficPolicy", policy)
        .spec("externalIPs", json!(["203.0.113.20"]))
        .spec("loadBalancerSourceRanges", json!(ranges))
        .on_port("nodePort", PORT)
        .top("status", json!({"loadBalancer": {"ingress": ingress}}));
    let slice = cluster.slice("web", &["here"])?;
    let slice_v6 = SliceManifest::new("web")
        .named("web-6")
        .address_type("IPv6")
        .port("http", 8080)
        .endpoint_on(&cluster.host("here")?.v6.to_string(), "n1", "a");
    let all = join([with(&service, &slice), slice_v6.document()]);
    cluster.world.manifests().save("web.yaml", &all).map(drop)
}

fn cluster(setup: &Setup<'_>, test: impl FnOnce(&mut Cluster<'_>) -> Result<()>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("here", "n1")?;
        cluster.client("client", "n1")?;
        test(cluster)
    })
}

/// Service rules 26, 27, 28, 30: ranges turn everybody else away at the load balancer's address,
/// pods included, and at no other address; blocked connections never reach a backend; a family
/// without a range is open.
fn source_ranges_restrict_the_load_balancer_address_only(setup: &Setup<'_>) -> Result<()> {
    for policy in ["Cluster", "Local"] {
        cluster(setup, |cluster| {
            // White space around a range is tolerated.
            save(cluster, &["192.168.0.0/24", " 198.51.100.0/24 "], policy)?;
            let port = endpoint(cluster.host("n1")?.v4, PORT);
            for from in ["client", "n1", "outside"] {
                for to in [WEB, EXTERNAL, &port] {
                    cluster.expect(from, to, &["here"])?;
                }
            }
            let asked = cluster.pod("here")?.backend()?.requests();
            for from in ["client", "outside"] {
                cluster.expect(from, VIP, &["closed"])?;
            }
            ensure!(cluster.pod("here")?.backend()?.requests() == asked);
            if World::has_ipv6() {
                cluster.expect("outside", VIP_V6, &["here"])?;
            }

            save(cluster, &["192.0.2.0/24"], policy)?;
            cluster.expect("outside", VIP, &["here"])?;
            cluster.expect("client", VIP, &["closed"])?;
            // Only pods; not the node either.
            save(cluster, &["10.245.0.0/16"], policy)?;
            cluster.expect("client", VIP, &["here"])?;
            cluster.expect("n1", VIP, &["closed"])?;
            cluster.expect("outside", VIP, &["closed"])?;
            // A range of all addresses means everybody.
            save(cluster, &["10.0.0.0/8", "0.0.0.0/0"], policy)?;
            for from in ["client", "n1", "outside"] {
                cluster.expect(from, VIP, &["here"])?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Service rule 29: a node whose address lies in a range may come to an address it routes to
/// itself, also when the kernel takes that very address as the source.
fn a_node_inside_the_ranges_may_come_from_the_address_itself(setup: &Setup<'_>) -> Result<()> {
    cluster(setup, |cluster| {
        save(cluster, &["172.18.0.0/16"], "Cluster")?;
        cluster.expect("n1", VIP, &["here"])?;
        cluster.expect("client", VIP, &["closed"])?;
        if !setup.namespace {
            // Without a preferred source, as on a node that somebody routes by hand.
            let plain = "route replace local 203.0.113.0/24 dev lo proto 83\n";
            cluster.at("n1")?.configure(plain)?;
            cluster.expect("n1", VIP, &["here"])?;
        }
        save(cluster, &["192.168.0.0/24"], "Cluster")?;
        cluster.expect("n1", VIP, &["closed"])
    })
}
