//! `--keep-source`: backends see their clients as themselves where the answer comes back through
//! the node that took the connection, and everybody else is served as the node. `who_is_seen.rs`
//! has the whole table; here are the reasons one by one.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use seaway_testing::{
    Backend, Cluster, ServiceManifest, Setup, SliceManifest, World, endpoint, eventually, join,
};
use serde_json::json;

use crate::{service, with};

crate::all_captures!(
    pods_are_seen_as_themselves_wherever_their_endpoint_is,
    outside_clients_of_a_local_policy_are_seen_as_themselves,
    clients_whose_answers_would_pass_by_are_seen_as_the_node,
    a_pod_that_reaches_itself_is_seen_as_the_node,
    endpoints_in_the_nodes_own_network_see_their_clients,
    an_internal_local_policy_keeps_pods_addresses,
    affinity_is_the_same_whether_an_address_is_kept_or_not,
    source_ranges_decide_before_addresses_are_kept,
);

pub(crate) const PORT: u16 = 30080;

/// Two nodes with a backend and a client pod each: `here` and `client` on n1, `there` and `far` on
/// n2.
pub(crate) fn two_nodes(
    setup: &Setup<'_>,
    test: impl FnOnce(&mut Cluster<'_>) -> Result<()>,
) -> Result<()> {
    let setup = Setup {
        keep_source: true,
        ..setup.clone()
    };
    Cluster::run(&["a", "b"], &setup, |cluster| {
        cluster.backend("here", "n1")?;
        cluster.backend("there", "n2")?;
        cluster.client("client", "n1")?;
        cluster.client("far", "n2")?;
        test(cluster)
    })
}

/// The Service with this number, of both families: 10.96.0.N, 203.0.113.N, 203.0.113.(N+100), node
/// port 30080+N and their like.
pub(crate) fn numbered(number: u16) -> ServiceManifest {
    let ingress =
        json!([{"ip": format!("203.0.113.{number}")}, {"ip": format!("fd00:203::{number}")}]);
    let cluster_ips = [format!("10.96.0.{number}"), format!("fd00:10:96::{number}")];
    service(&format!("web-{number}"), &cluster_ips[0])
        .spec("type", "LoadBalancer")
        .spec("clusterIPs", json!(cluster_ips))
        .spec("ipFamilies", json!(["IPv4", "IPv6"]))
        .spec(
            "externalIPs",
            json!([format!("203.0.113.{}", number + 100)]),
        )
        .on_port("nodePort", PORT + number)
        .top("status", json!({"loadBalancer": {"ingress": ingress}}))
}

/// Saves a Service with these places as its endpoints, in both families.
fn save(
    cluster: &Cluster<'_>,
    number: u16,
    service: &ServiceManifest,
    places: &[&str],
) -> Result<()> {
    save_for(cluster, "TCP", number, service, places)
}

pub(crate) fn save_for(
    cluster: &Cluster<'_>,
    protocol: &str,
    number: u16,
    service: &ServiceManifest,
    places: &[&str],
) -> Result<()> {
    let name = format!("web-{number}");
    let empty = || {
        let slice = SliceManifest::new(&name);
        slice.port("http", 8080).on_port("protocol", protocol)
    };
    let mut slice = empty();
    let mut six = empty().named(&format!("{name}-6")).address_type("IPv6");
    for place in places {
        let (host, node) = (
            cluster.host(place)?,
            if *place == "there" { "n2" } else { "n1" },
        );
        slice = slice.endpoint_on(&host.v4.to_string(), node, "a");
        six = six.endpoint_on(&host.v6.to_string(), node, "a");
    }
    let all = join([with(service, &slice), six.document()]);
    let manifests = cluster.world.manifests();
    manifests.save(&format!("{name}.yaml"), &all).map(drop)
}

/// The address that a place is seen as at an address of the family of `to`; `None` where the
/// machine does not have that family.
pub(crate) fn source(cluster: &Cluster<'_>, place: &str, to: &str) -> Result<Option<IpAddr>> {
    let host = cluster.host(place)?;
    Ok(match to.starts_with('[') {
        true => World::has_ipv6().then_some(host.v6.into()),
        false => Some(host.v4.into()),
    })
}

/// Expects that a backend sees a client as itself, or as somebody else.
fn seen(cluster: &Cluster<'_>, from: &str, to: &str, wanted: &str, as_whom: &str) -> Result<()> {
    match source(cluster, as_whom, to)? {
        Some(source) => cluster.expect_from(from, to, wanted, source),
        None => Ok(()),
    }
}

/// Service rule 111, T097: at cluster IPs, virtual addresses and node ports of its own node a pod
/// is seen as itself by backends on its node and on another, in both families.
fn pods_are_seen_as_themselves_wherever_their_endpoint_is(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        save(cluster, 1, &numbered(1), &["here"])?;
        let local = numbered(2).spec("externalTrafficPolicy", "Local");
        save(cluster, 2, &local, &["there"])?;
        for (client, node) in [("client", "n1"), ("far", "n2")] {
            let node = cluster.host(node)?;
            for (number, backend) in [(1, "here"), (2, "there")] {
                for to in [
                    endpoint(node.v4, PORT + number),
                    endpoint(node.v6, PORT + number),
                    format!("10.96.0.{number}:80"),
                    format!("203.0.113.{number}:80"),
                    format!("203.0.113.{}:80", number + 100),
                    format!("[fd00:10:96::{number}]:80"),
                    format!("[fd00:203::{number}]:80"),
                ] {
                    seen(cluster, client, &to, backend, client)?;
                }
            }
        }
        Ok(())
    })
}

/// Service rule 112: whoever comes to an external address with a Local policy is seen as himself,
/// be it another node.
fn outside_clients_of_a_local_policy_are_seen_as_themselves(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        let local = numbered(1).spec("externalTrafficPolicy", "Local");
        save(cluster, 1, &local, &["here", "there"])?;
        let node = cluster.host("n1")?;
        let ports = [endpoint(node.v4, PORT + 1), endpoint(node.v6, PORT + 1)];
        for to in ["203.0.113.1:80", "203.0.113.101:80", "[fd00:203::1]:80"] {
            seen(cluster, "outside", to, "here", "outside")?;
        }
        for to in &ports {
            seen(cluster, "outside", to, "here", "outside")?;
            seen(cluster, "n2", to, "here", "n2")?;
        }
        // Without a local endpoint nothing changes.
        save(cluster, 1, &local, &["there"])?;
        cluster.expect("outside", "203.0.113.1:80", &["closed"])
    })
}

/// Service rules 72, 112, 114: outside clients of a Cluster policy wherever their endpoint is, pods
/// of another node at this node's port, and the node itself are served, as the node. A fallback
/// that finds an endpoint here keeps its client.
fn clients_whose_answers_would_pass_by_are_seen_as_the_node(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        save(cluster, 1, &numbered(1), &["there"])?;
        let fallback = numbered(2)
            .spec("externalTrafficPolicy", "Local")
            .annotation("seaway.dev/local-fallback", "cluster");
        save(cluster, 2, &fallback, &["there"])?;
        let local = numbered(3).spec("externalTrafficPolicy", "Local");
        save(cluster, 3, &local, &["there"])?;
        save(cluster, 4, &numbered(4), &["here"])?;
        let node = cluster.host("n1")?;
        let port = |number| endpoint(node.v4, PORT + number);
        for to in [
            "10.96.0.4:80",
            "203.0.113.4:80",
            &port(4),
            "[fd00:203::4]:80",
        ] {
            seen(cluster, "outside", to, "here", "n1")?;
        }
        let everywhere = [
            "10.96.0.1:80",
            "203.0.113.1:80",
            &port(1),
            "[fd00:203::1]:80",
        ];
        for to in everywhere {
            for from in ["outside", "n1"] {
                seen(cluster, from, to, "there", "n1")?;
            }
        }
        for to in ["203.0.113.2:80", &port(2)] {
            seen(cluster, "outside", to, "there", "n1")?;
        }
        for to in [port(1), port(3)] {
            seen(cluster, "client", &to, "there", "client")?;
        }
        seen(cluster, "far", &port(1), "there", "n1")?;
        seen(cluster, "n1", "203.0.113.3:80", "there", "n1")?;
        // At a node port with a Local policy it is an outside client, first without an endpoint on
        // this node.
        cluster.expect("far", &port(3), &["closed"])?;
        seen(cluster, "n1", "203.0.113.3:80", "there", "n1")?;
        save(cluster, 3, &local, &["here", "there"])?;
        seen(cluster, "far", &port(3), "here", "far")?;
        save(cluster, 2, &fallback, &["here", "there"])?;
        seen(cluster, "outside", "203.0.113.2:80", "here", "outside")
    })
}

/// Service rule 113, T096: a pod that is led to itself cannot be seen as itself.
fn a_pod_that_reaches_itself_is_seen_as_the_node(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        save(cluster, 1, &numbered(1), &["here"])?;
        let node = cluster.host("n1")?;
        let port = endpoint(node.v4, PORT + 1);
        let own = ["10.96.0.1:80", "203.0.113.1:80", &port];
        let six = ["[fd00:10:96::1]:80", "[fd00:203::1]:80"];
        for to in own.into_iter().chain(six) {
            seen(cluster, "here", to, "here", "n1")?;
        }
        Ok(())
    })
}

/// Service rules 51, 111: answers of what runs in the node's own network, and of Envoy itself where
/// a Service leads to another one, do not come in from anywhere.
fn endpoints_in_the_nodes_own_network_see_their_clients(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        let node = cluster.host("n1")?;
        let at = cluster.at("n1")?;
        let _four = Backend::start(at, "host", (node.v4, 8080).into())?;
        let _six = World::has_ipv6()
            .then(|| Backend::start(at, "host", (node.v6, 8080).into()))
            .transpose()?;
        let local = numbered(1).spec("externalTrafficPolicy", "Local");
        save(cluster, 1, &local, &["n1"])?;
        for client in ["client", "far"] {
            for to in ["10.96.0.1:80", "[fd00:10:96::1]:80", "203.0.113.1:80"] {
                seen(cluster, client, to, "host", client)?;
            }
        }
        for to in ["203.0.113.1:80", "[fd00:203::1]:80"] {
            seen(cluster, "outside", to, "host", "outside")?;
        }
        seen(cluster, "n1", "10.96.0.1:80", "host", "n1")
    })
}

/// Service rules 71, 112: an internal policy decides on endpoints and on nothing else.
fn an_internal_local_policy_keeps_pods_addresses(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        let local = numbered(1).spec("internalTrafficPolicy", "Local");
        save(cluster, 1, &local, &["here", "there"])?;
        seen(cluster, "client", "10.96.0.1:80", "here", "client")?;
        seen(cluster, "far", "10.96.0.1:80", "there", "far")?;
        seen(cluster, "outside", "10.96.0.1:80", "here", "n1")?;
        save(cluster, 1, &local, &["there"])?;
        cluster.expect("client", "10.96.0.1:80", &["closed"])
    })
}

/// Service rules 97, 98: a client meets one endpoint at every address of a Service, where its
/// address is kept and where it is not, also with a timeout short enough to be counted in periods
/// (one that does not end during this test).
fn affinity_is_the_same_whether_an_address_is_kept_or_not(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        for pod in ["second", "third", "fourth"] {
            cluster.backend(pod, "n1")?;
        }
        let pods = ["here", "second", "third", "fourth"];
        let port = endpoint(cluster.host("n1")?.v4, PORT + 1);
        for seconds in [10_800, 10_799] {
            let timeout = json!({"clientIP": {"timeoutSeconds": seconds}});
            let sticky = numbered(1)
                .spec("sessionAffinity", "ClientIP")
                .spec("sessionAffinityConfig", timeout);
            save(cluster, 1, &sticky, &pods)?;
            eventually("one endpoint for each client", || {
                for client in ["client", "far", "n1"] {
                    let mut met = cluster.ask(client, "10.96.0.1:80", 10)?;
                    for to in ["203.0.113.1:80", &port] {
                        met.extend(cluster.ask(client, to, 10)?);
                    }
                    let one = met.keys().all(|name| pods.contains(&name.as_str()));
                    ensure!(met.len() == 1 && one, "{client} met {met:?}");
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}

/// Service rules 26, 28, 111, 112: who may come is one question, as whom he is seen another.
fn source_ranges_decide_before_addresses_are_kept(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        let pod = cluster.host("client")?.v4;
        for (policy, outsider) in [("Cluster", "n1"), ("Local", "outside")] {
            let only = |ranges: &[&str]| {
                numbered(1)
                    .spec("externalTrafficPolicy", policy)
                    .spec("loadBalancerSourceRanges", json!(ranges))
            };
            save(cluster, 1, &only(&["192.0.2.0/24"]), &["here"])?;
            seen(cluster, "outside", "203.0.113.1:80", "here", outsider)?;
            cluster.expect("client", "203.0.113.1:80", &["closed"])?;
            let one = format!("{pod}/32");
            save(cluster, 1, &only(&["192.0.2.0/24", &one]), &["here"])?;
            seen(cluster, "client", "203.0.113.1:80", "here", "client")?;
            seen(cluster, "outside", "203.0.113.1:80", "here", outsider)?;
            cluster.expect("far", "203.0.113.1:80", &["closed"])?;
            save(cluster, 1, &only(&["0.0.0.0/0"]), &["here"])?;
            seen(cluster, "client", "203.0.113.1:80", "here", "client")?;
            seen(cluster, "outside", "203.0.113.1:80", "here", outsider)?;
        }
        Ok(())
    })
}
