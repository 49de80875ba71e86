//! Node ports: on which addresses they answer, and what a wildcard must not catch.

use anyhow::Result;
use seaway_testing::{Cluster, Setup, SliceManifest, World, endpoint, join};
use serde_json::json;

use crate::{load_balancer, service, with};

crate::all_captures!(
    a_node_port_on_all_addresses_leaves_loopback_and_service_addresses_alone,
    a_node_port_on_primary_addresses_is_refused_on_all_others,
    node_port_ranges_of_one_family_leave_the_other_open,
);

const PORT: u16 = 30080;

/// Makes a cluster of one node, `n1`, that has one more address, and a Service with a node port.
fn with_node_port(
    setup: &Setup<'_>,
    seaway: &[&str],
    test: impl FnOnce(&mut Cluster<'_>) -> Result<()>,
) -> Result<()> {
    let setup = Setup {
        seaway,
        ..setup.clone()
    };
    Cluster::run(&["a"], &setup, |cluster| {
        let mut second = "addr add 172.19.0.11/32 dev eth0\n".to_owned();
        if World::has_ipv6() {
            second += "addr add fd00:19::11/128 dev eth0 nodad\n";
        }
        cluster.at("n1")?.configure(&second)?;
        cluster.route("n1", "172.19.0.11/32,fd00:19::11/128")?;
        let service = service("web", "10.96.0.10")
            .spec("type", "LoadBalancer")
            .spec("clusterIPs", json!(["10.96.0.10", "fd00:10:96::10"]))
            .spec("ipFamilies", json!(["IPv4", "IPv6"]))
            .on_port("nodePort", PORT)
            .top("status", load_balancer("203.0.113.10"));
        cluster.client("client", "n1")?;
        let six = cluster.backend("here", "n1")?.v6.to_string();
        let slice = cluster.slice("web", &["here"])?;
        let slice_v6 = SliceManifest::new("web")
            .named("web-6")
            .address_type("IPv6")
            .port("http", 8080)
            .endpoint(&six);
        let all = join([with(&service, &slice), slice_v6.document()]);
        cluster.world.manifests().save("web.yaml", &all)?;
        cluster.expect("n1", "10.96.0.10:80", &["here"])?;
        test(cluster)
    })
}

/// The node's addresses, by hand: primary and second of each family this machine has.
fn own(cluster: &Cluster<'_>) -> Result<(Vec<String>, Vec<String>)> {
    let host = cluster.host("n1")?;
    let mut primary = vec![endpoint(host.v4, PORT)];
    let mut second = vec![format!("172.19.0.11:{PORT}")];
    if World::has_ipv6() {
        primary.push(endpoint(host.v6, PORT));
        second.push(format!("[fd00:19::11]:{PORT}"));
    }
    Ok((primary, second))
}

/// Service rules 22, 23, 24: on all addresses of the node, from everywhere; what the node routes to
/// itself is refused, 127/8 and ::1 too.
fn a_node_port_on_all_addresses_leaves_loopback_and_service_addresses_alone(
    setup: &Setup<'_>,
) -> Result<()> {
    with_node_port(setup, &[], |cluster| {
        let (primary, second) = own(cluster)?;
        for from in ["client", "n1", "outside"] {
            for to in primary.iter().chain(&second) {
                cluster.expect(from, to, &["here"])?;
            }
        }
        let mut others = vec![
            "127.0.0.1",
            "127.1.2.3",
            "10.96.0.10",
            "10.96.0.99",
            "203.0.113.10",
        ];
        if World::has_ipv6() {
            others.extend(["[::1]", "[fd00:10:96::10]", "[fd00:203::99]"]);
        }
        for ip in others {
            let loopback = ip.starts_with("127.") || ip == "[::1]";
            let wanted = match (loopback, setup.redirect) {
                // A wildcard listener takes it, to close it.
                (true, false) if !setup.namespace => "closed",
                // Loopback is never redirected, and nobody is there.
                (true, _) => "refused by the kernel",
                (false, _) => "refused",
            };
            cluster.expect("n1", &format!("{ip}:{PORT}"), &[wanted])?;
        }
        cluster.expect("client", &format!("10.96.0.10:{PORT}"), &["refused"])
    })
}

/// Service rule 23: `primary` is the first address of each family in the Node's status, and nothing
/// else.
fn a_node_port_on_primary_addresses_is_refused_on_all_others(setup: &Setup<'_>) -> Result<()> {
    with_node_port(setup, &["--nodeport-addresses", "primary"], |cluster| {
        let (primary, second) = own(cluster)?;
        for from in ["client", "n1", "outside"] {
            for to in &primary {
                cluster.expect(from, to, &["here"])?;
            }
            for to in &second {
                cluster.expect(from, to, &["refused"])?;
            }
        }
        for ip in ["10.96.0.10", "203.0.113.10"] {
            cluster.expect("n1", &format!("{ip}:{PORT}"), &["refused"])?;
        }
        let loopback = format!("127.0.0.1:{PORT}");
        cluster.expect("n1", &loopback, &["refused by the kernel"])?;
        Ok(())
    })
}

/// Service rule 23: with ranges of one family only, the other is open on all addresses.
fn node_port_ranges_of_one_family_leave_the_other_open(setup: &Setup<'_>) -> Result<()> {
    with_node_port(
        setup,
        &["--nodeport-addresses", "172.18.0.0/16"],
        |cluster| {
            let (primary, second) = own(cluster)?;
            cluster.expect("outside", &primary[0], &["here"])?;
            cluster.expect("outside", &second[0], &["refused"])?;
            for to in primary.iter().skip(1).chain(second.iter().skip(1)) {
                cluster.expect("outside", to, &["here"])?;
            }
            Ok(())
        },
    )
}
