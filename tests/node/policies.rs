//! Traffic policies: who gets the Cluster set, who the Local one, and what happens when a set is
//! empty.

use anyhow::Result;
use seaway_testing::{Cluster, ServiceManifest, Setup, endpoint};
use serde_json::{Value, json};

use crate::{load_balancer, service, with};

crate::all_captures!(
    an_external_local_policy_is_for_outside_clients_only,
    pods_that_nobody_knows_of_count_as_outside_clients,
    an_external_local_policy_without_local_endpoints_turns_only_outsiders_away,
    each_set_falls_back_to_terminating_endpoints_by_itself,
    hints_do_not_narrow_the_local_set,
    an_internal_local_policy_keeps_cluster_ips_on_the_node,
    a_stale_external_policy_on_a_cluster_ip_service_means_nothing,
);

crate::keeping_sources!(
    an_external_local_policy_is_for_outside_clients_only,
    an_external_local_policy_without_local_endpoints_turns_only_outsiders_away,
    each_set_falls_back_to_terminating_endpoints_by_itself,
    hints_do_not_narrow_the_local_set,
    an_internal_local_policy_keeps_cluster_ips_on_the_node,
);

const WEB: &str = "10.96.0.10:80";
const VIP: &str = "203.0.113.10:80";
const EXTERNAL: &str = "203.0.113.20:80";
const PORT: u16 = 30080;

/// A Service with every kind of address and a Local policy for what comes from outside.
fn external_local() -> ServiceManifest {
    service("web", "10.96.0.10")
        .spec("type", "LoadBalancer")
        .spec("externalTrafficPolicy", "Local")
        .spec("externalIPs", json!(["203.0.113.20"]))
        .on_port("nodePort", PORT)
        .top("status", load_balancer("203.0.113.10"))
}

/// Two nodes with a backend and a client pod each: `here` and `client` on n1, `there` and `far` on
/// n2.
fn two_nodes(setup: &Setup<'_>, test: impl FnOnce(&mut Cluster<'_>) -> Result<()>) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        cluster.backend("here", "n1")?;
        cluster.backend("there", "n2")?;
        cluster.client("client", "n1")?;
        cluster.client("far", "n2")?;
        test(cluster)
    })
}

/// Saves a Service with these endpoints, each ready or as its conditions say.
fn save(
    cluster: &Cluster<'_>,
    service: &ServiceManifest,
    endpoints: &[(&str, Value)],
) -> Result<()> {
    let mut slice = cluster.slice("web", &[])?;
    for (pod, conditions) in endpoints {
        let node = if *pod == "there" {
            ("n2", "b")
        } else {
            ("n1", "a")
        };
        let address = cluster.host(pod)?.v4.to_string();
        slice = slice
            .endpoint_on(&address, node.0, node.1)
            .on_endpoint("conditions", conditions.clone());
    }
    let manifests = cluster.world.manifests();
    manifests.save("web.yaml", &with(service, &slice)).map(drop)
}

fn ready() -> Value {
    json!({"ready": true})
}

fn terminating() -> Value {
    json!({"ready": false, "serving": true, "terminating": true})
}

/// Service rules 58, 59, 71, 72, 73, 77: outside clients of a Local policy reach the endpoints of
/// the node they come to, pods and the node itself reach all, through every address that is
/// external.
fn an_external_local_policy_is_for_outside_clients_only(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        save(
            cluster,
            &external_local(),
            &[("here", ready()), ("there", ready())],
        )?;
        let port = endpoint(cluster.host("n1")?.v4, PORT);
        let both = ["here", "there"];
        for to in [VIP, EXTERNAL, &port] {
            cluster.expect("outside", to, &["here"])?;
            cluster.expect("client", to, &both)?;
            cluster.expect("n1", to, &both)?;
        }
        // Another node's own processes are outside clients of this one, and so are another node's
        // pods.
        cluster.expect("n2", &port, &["here"])?;
        cluster.expect("far", &port, &["here"])?;
        for from in ["client", "n1", "outside"] {
            cluster.expect(from, WEB, &both)?;
        }
        let on_n2 = endpoint(cluster.host("n2")?.v4, PORT);
        cluster.expect("outside", &on_n2, &["there"])?;
        if setup.namespace {
            return Ok(());
        }
        // Without a preferred source, as on a node that somebody routes by hand, the node comes
        // from the address it asks.
        let plain = "route replace local 203.0.113.0/24 dev lo proto 83\n";
        cluster.at("n1")?.configure(plain)?;
        cluster.expect("n1", VIP, &both)
    })
}

/// T082, Service rule 72: without any range of pods, pods at an address with a Local policy get the
/// Local set; the node itself and whoever asks at a cluster IP get all endpoints as ever.
fn pods_that_nobody_knows_of_count_as_outside_clients(setup: &Setup<'_>) -> Result<()> {
    let setup = Setup {
        pods_unknown: true,
        ..setup.clone()
    };
    two_nodes(&setup, |cluster| {
        let endpoints = [("here", ready()), ("there", ready())];
        save(cluster, &external_local(), &endpoints)?;
        let both = ["here", "there"];
        cluster.expect("n1", VIP, &both)?;
        cluster.expect("client", WEB, &both)?;
        let port = endpoint(cluster.host("n1")?.v4, PORT);
        for from in ["client", "outside"] {
            for to in [VIP, EXTERNAL, &port] {
                cluster.expect(from, to, &["here"])?;
            }
        }
        save(cluster, &external_local(), &[("there", ready())])?;
        cluster.expect("client", WEB, &["there"])?;
        cluster.expect("client", VIP, &["closed"])
    })
}

/// Service rules 60, 70, 74, 76, 77: without an endpoint on this node outside clients are turned
/// away and nobody remote is asked, while pods still get through the same address; without any
/// endpoint everybody is refused.
fn an_external_local_policy_without_local_endpoints_turns_only_outsiders_away(
    setup: &Setup<'_>,
) -> Result<()> {
    two_nodes(setup, |cluster| {
        save(cluster, &external_local(), &[("there", ready())])?;
        let port = endpoint(cluster.host("n1")?.v4, PORT);
        for to in [VIP, EXTERNAL, &port] {
            for from in ["client", "n1"] {
                cluster.expect(from, to, &["there"])?;
            }
            cluster.expect("outside", to, &["closed"])?;
        }
        for from in ["n2", "far"] {
            cluster.expect(from, &port, &["closed"])?;
        }
        save(cluster, &external_local(), &[])?;
        for to in [VIP, EXTERNAL, &port, WEB] {
            for from in ["client", "n1", "outside"] {
                cluster.expect(from, to, &["refused"])?;
            }
        }
        save(cluster, &external_local(), &[("here", ready())])?;
        cluster.expect("outside", VIP, &["here"])
    })
}

/// Service rules 59, 60, 92: each set falls back to terminating endpoints by itself.
fn each_set_falls_back_to_terminating_endpoints_by_itself(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        // Locally only `here`, which is going; everywhere there is a ready one.
        let endpoints = [("here", terminating()), ("there", ready())];
        save(cluster, &external_local(), &endpoints)?;
        cluster.expect("outside", VIP, &["here"])?;
        cluster.expect("client", VIP, &["there"])?;
        let endpoints = [("here", terminating()), ("there", terminating())];
        save(cluster, &external_local(), &endpoints)?;
        cluster.expect("client", VIP, &["here", "there"])?;
        cluster.expect("outside", VIP, &["here"])
    })
}

/// Service rule 60: hints of zones narrow the Cluster set and never the Local one.
fn hints_do_not_narrow_the_local_set(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        cluster.backend("other", "n1")?;
        let hint = |zone: &str| json!({"forZones": [{"name": zone}]});
        let other = cluster.host("other")?.v4.to_string();
        let slice = cluster
            .slice("web", &["here"])?
            .on_endpoint("hints", hint("a"))
            .endpoint_on(&other, "n1", "a")
            .on_endpoint("hints", hint("b"));
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&external_local(), &slice))?;
        cluster.expect("outside", VIP, &["here", "other"])?;
        cluster.expect("client", VIP, &["here"])
    })
}

/// Service rules 58, 60, 71, 74: an internal Local policy is for cluster IPs, for every client on
/// the node, and never goes remote.
fn an_internal_local_policy_keeps_cluster_ips_on_the_node(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        let service = service("web", "10.96.0.10")
            .spec("type", "LoadBalancer")
            .spec("internalTrafficPolicy", "Local")
            .on_port("nodePort", PORT)
            .top("status", load_balancer("203.0.113.10"));
        let port = endpoint(cluster.host("n1")?.v4, PORT);
        let both = ["here", "there"];
        save(cluster, &service, &[("here", ready()), ("there", ready())])?;
        for from in ["client", "n1", "outside"] {
            cluster.expect(from, WEB, &["here"])?;
            cluster.expect(from, VIP, &both)?;
            cluster.expect(from, &port, &both)?;
        }
        cluster.expect("far", WEB, &["there"])?;

        save(
            cluster,
            &service,
            &[("here", terminating()), ("there", ready())],
        )?;
        cluster.expect("client", VIP, &["there"])?;
        cluster.expect("client", WEB, &["here"])?;

        save(cluster, &service, &[("there", ready())])?;
        for from in ["client", "n1"] {
            cluster.expect(from, WEB, &["closed"])?;
            cluster.expect(from, VIP, &["there"])?;
        }
        cluster.expect("far", WEB, &["there"])?;
        save(cluster, &service, &[])?;
        cluster.expect("client", WEB, &["refused"])
    })
}

/// Service rule 58: an external policy means nothing on a Service without an external address.
fn a_stale_external_policy_on_a_cluster_ip_service_means_nothing(setup: &Setup<'_>) -> Result<()> {
    two_nodes(setup, |cluster| {
        let stale = service("web", "10.96.0.10").spec("externalTrafficPolicy", "Local");
        save(cluster, &stale, &[("there", ready())])?;
        for from in ["client", "n1", "outside"] {
            cluster.expect(from, WEB, &["there"])?;
        }
        Ok(())
    })
}
