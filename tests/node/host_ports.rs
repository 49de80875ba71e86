//! Host ports of pods work beside Services. The plugin `portmap` makes them by translating
//! destinations, as rules of setup.sh do.

use std::process::Command;

use anyhow::Result;
use seaway_testing::{Cluster, Setup, endpoint};

use crate::official::expect_udp;
use crate::{service, with};

crate::all_captures!(
    pods_share_a_host_port_by_address_and_protocol,
    a_node_port_is_no_pods_host_port,
);

/// A host port: address, protocol, port, and whose.
type HostPort<'a> = (&'a str, &'a str, u16, &'a str);

/// What portmap sets up on n1: whatever is sent to an address of the node on the way in or out is
/// led to the pod, from loopback too, and as the node where the answer would not come back.
fn portmap(cluster: &Cluster<'_>, ports: &[HostPort<'_>]) -> Result<()> {
    let mut rules = "table ip portmap { chain host_ports { ".to_owned();
    for (address, protocol, port, pod) in ports {
        let pod = cluster.host(pod)?.v4;
        rules += &format!("ip daddr {address} {protocol} dport {port} dnat to {pod}:8080; ");
    }
    rules += "}; chain incoming { type nat hook prerouting priority dstnat; \
              fib daddr type local jump host_ports; }; \
              chain own { type nat hook output priority -100; \
              fib daddr type local jump host_ports; }; \
              chain out { type nat hook postrouting priority srcnat; \
              ip saddr 127.0.0.0/8 oifname != lo masquerade; \
              ct status dnat ip saddr 10.245.1.0/24 ip daddr 10.245.1.0/24 masquerade; }; }";
    cluster.nft("n1", &rules)?;
    let mut command = Command::new("sh");
    command.args(["-c", "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet"]);
    cluster.at("n1")?.command(command).map(drop)
}

/// Service rule 25. Mirrors HostPort's "validates that there is no conflict between pods with same
/// hostPort but different hostIP and protocol", from the node, a pod, the pod itself and outside.
fn pods_share_a_host_port_by_address_and_protocol(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        for pod in ["pod-1", "pod-2", "pod-3"] {
            cluster.backend(pod, "n1")?;
        }
        let node = cluster.host("n1")?.v4;
        let own = node.to_string();
        // Services have the node's own address, too.
        let web = service("web", "10.96.0.10").spec("externalIPs", serde_json::json!([own]));
        let all = with(&web, &cluster.slice("web", &["pod-1"])?);
        cluster.world.manifests().save("web.yaml", &all)?;
        portmap(
            cluster,
            &[
                ("127.0.0.1", "tcp", 54323, "pod-1"),
                (&own, "tcp", 54323, "pod-2"),
                (&own, "udp", 54323, "pod-3"),
            ],
        )?;
        let port = endpoint(node, 54323);
        cluster.expect("n1", "127.0.0.1:54323", &["pod-1"])?;
        for from in ["n1", "client", "pod-2", "outside"] {
            cluster.expect(from, &port, &["pod-2"])?;
            expect_udp(cluster, from, &port, "pod-3")?;
            cluster.expect(from, "10.96.0.10:80", &["pod-1"])?;
        }
        if setup.redirect {
            return Ok(());
        }
        cluster.expect("outside", &endpoint(node, 80), &["pod-1"])
    })
}

/// Service rules 18, 23: a pod's host port among the node ports takes no node port from a Service.
/// Without rules of setup.sh for node ports (bind) it does, and nothing else is there to keep it
/// from that.
fn a_node_port_is_no_pods_host_port(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("thief", "n1")?;
        cluster.backend("here", "n1")?;
        let service = service("web", "10.96.0.10").on_port("nodePort", 30080);
        let all = with(&service, &cluster.slice("web", &["here"])?);
        cluster.world.manifests().save("web.yaml", &all)?;
        let node = cluster.host("n1")?.v4;
        let own = node.to_string();
        let taken = [
            (&*own, "tcp", 30080, "thief"),
            (&own, "tcp", 30099, "thief"),
        ];
        portmap(cluster, &taken)?;
        let (owned, free) = if setup.namespace || setup.redirect {
            ("here", "refused")
        } else {
            ("thief", "thief")
        };
        for from in ["n1", "client", "outside"] {
            cluster.expect(from, "10.96.0.10:80", &["here"])?;
            cluster.expect(from, &endpoint(node, 30080), &[owned])?;
            cluster.expect(from, &endpoint(node, 30099), &[free])?;
        }
        Ok(())
    })
}
