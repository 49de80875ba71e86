//! Every kind of address from every kind of place, in both families.

use anyhow::{Result, ensure};
use seaway_testing::{
    Backend, Cluster, Flow, Outcome, ServiceManifest, Setup, SliceManifest, World, endpoint, join,
    skip,
};
use serde_json::json;

use crate::{load_balancer, service, with};

crate::all_captures!(
    every_virtual_address_is_served_from_everywhere,
    an_address_of_a_real_load_balancer_is_left_to_it,
    both_families_are_served_from_everywhere,
    a_pod_reaches_itself_through_its_service,
    a_service_that_becomes_an_alias_loses_its_addresses,
    the_data_counts_and_not_the_type_or_class_of_a_service,
    endpoints_may_be_node_ports_of_others_or_outside,
);

crate::keeping_sources!(
    every_virtual_address_is_served_from_everywhere,
    both_families_are_served_from_everywhere,
    endpoints_may_be_node_ports_of_others_or_outside,
);

/// Service rules 7, 8, 10, 15, 114: cluster IP, load-balancer and external IP, from a pod, from the
/// node and from outside, without any node port.
fn every_virtual_address_is_served_from_everywhere(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        cluster.backend("there", "n2")?;
        let service = service("web", "10.96.0.10")
            .spec("type", "LoadBalancer")
            .spec("allocateLoadBalancerNodePorts", false)
            .spec("externalIPs", json!(["203.0.113.20"]))
            .top("status", load_balancer("203.0.113.10"));
        let slice = cluster.slice("web", &["here", "there"])?;
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&service, &slice))?;
        for to in ["10.96.0.10:80", "203.0.113.10:80", "203.0.113.20:80"] {
            for from in ["client", "n1", "outside"] {
                cluster.expect(from, to, &["here", "there"])?;
            }
            // The other node serves its own.
            cluster.expect("n2", to, &["here", "there"])?;
        }
        Ok(())
    })
}

/// Service rule 8: an address that a real load balancer has is not taken by the node (ipMode Proxy,
/// and host names).
fn an_address_of_a_real_load_balancer_is_left_to_it(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("here", "n1")?;
        let ingress = json!([
            {"ip": "203.0.113.10", "ipMode": "Proxy"}, {"hostname": "lb.example.com"}, {"ip": "203.0.113.11"},
        ]);
        let service = service("web", "10.96.0.10")
            .spec("type", "LoadBalancer")
            .top("status", json!({"loadBalancer": {"ingress": ingress}}));
        let slice = cluster.slice("web", &["here"])?;
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&service, &slice))?;
        cluster.expect("outside", "203.0.113.11:80", &["here"])?;
        cluster.expect("outside", "203.0.113.10:80", &["refused"])
    })
}

/// Service rules 5, 6, 38: each family has its own frontend and its own endpoints, from everywhere.
fn both_families_are_served_from_everywhere(setup: &Setup<'_>) -> Result<()> {
    if !World::has_ipv6() {
        return skip("this machine has no IPv6");
    }
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("four", "n1")?;
        let six = cluster.backend("six", "n1")?.v6.to_string();
        let service = service("web", "10.96.0.10")
            .spec("clusterIPs", json!(["10.96.0.10", "fd00:10:96::10"]))
            .spec("ipFamilies", json!(["IPv4", "IPv6"]))
            .spec("type", "NodePort")
            .on_port("nodePort", 30080)
            .spec("externalIPs", json!(["203.0.113.20", "fd00:203::20"]));
        let slice = cluster.slice("web", &["four"])?;
        let slice_v6 = SliceManifest::new("web")
            .named("web-6")
            .address_type("IPv6")
            .port("http", 8080)
            .endpoint(&six);
        let all = join([service.document(), slice.document(), slice_v6.document()]);
        cluster.world.manifests().save("web.yaml", &all)?;
        let node = cluster.host("n1")?;
        let four = ["10.96.0.10:80", "203.0.113.20:80"].map(str::to_owned);
        let six = ["[fd00:10:96::10]:80", "[fd00:203::20]:80"].map(str::to_owned);
        for from in ["client", "n1", "outside"] {
            for to in four.iter().chain([&endpoint(node.v4, 30080)]) {
                cluster.expect(from, to, &["four"])?;
            }
            for to in six.iter().chain([&endpoint(node.v6, 30080)]) {
                cluster.expect(from, to, &["six"])?;
            }
        }
        Ok(())
    })
}

/// Service rule 113: a pod reaches itself through its Service, by cluster IP and by node port.
fn a_pod_reaches_itself_through_its_service(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("self", "n1")?;
        let service = service("web", "10.96.0.10")
            .spec("type", "NodePort")
            .on_port("nodePort", 30080);
        let slice = cluster.slice("web", &["self"])?;
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&service, &slice))?;
        cluster.expect("self", "10.96.0.10:80", &["self"])?;
        let node = cluster.host("n1")?.v4;
        cluster.expect("self", &endpoint(node, 30080), &["self"])
    })
}

/// Service rules 1, 16: a Service that becomes an alias of a host name loses its addresses, and
/// gets them back.
fn a_service_that_becomes_an_alias_loses_its_addresses(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("here", "n1")?;
        let slice = cluster.slice("web", &["here"])?;
        let own = with(&service("web", "10.96.0.10"), &slice);
        cluster.world.manifests().save("web.yaml", &own)?;
        cluster.expect("n1", "10.96.0.10:80", &["here"])?;
        // The cluster IP still stored there means nothing.
        let alias = ServiceManifest::new("web")
            .cluster_ip("10.96.0.10")
            .port("http", 80)
            .spec("type", "ExternalName")
            .spec("externalName", "www.example.com");
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&alias, &slice))?;
        cluster.expect("n1", "10.96.0.10:80", &["refused"])?;
        cluster.world.manifests().save("web.yaml", &own)?;
        cluster.expect("n1", "10.96.0.10:80", &["here"])
    })
}

/// Service rule 4: TCP and UDP of one number are two ports. A TCP port alone leaves UDP
/// unreachable.
#[test]
fn a_tcp_port_leaves_udp_of_the_same_number_unreachable() -> Result<()> {
    Cluster::run(&["a"], &Setup::default(), |cluster| {
        cluster.backend("here", "n1")?;
        let slice = cluster.slice("web", &["here"])?;
        let own = with(&service("web", "10.96.0.10"), &slice);
        cluster.world.manifests().save("web.yaml", &own)?;
        cluster.expect("n1", "10.96.0.10:80", &["here"])?;
        let outcome = Flow::open(cluster.at("n1")?, "10.96.0.10:80")?.ask()?;
        ensure!(outcome == Outcome::Refused, "{outcome}");
        Ok(())
    })
}

/// Service rules 9, 11, 13, 14: what is in the object is served, whatever its type says and whoever
/// its load balancer is; an address with leading zeros is the one without, and a name may begin
/// with a digit.
fn the_data_counts_and_not_the_type_or_class_of_a_service(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("here", "n1")?;
        let service = service("1web", "10.96.0.10")
            .spec("type", "ClusterIP")
            .spec("loadBalancerClass", "example.com/somebody-else")
            .spec("externalIPs", json!(["203.000.113.020"]))
            .on_port("nodePort", 30080)
            .top("status", load_balancer("203.0.113.10"));
        let slice = cluster.slice("1web", &["here"])?;
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&service, &slice))?;
        let port = endpoint(cluster.host("n1")?.v4, 30080);
        for to in ["10.96.0.10:80", "203.0.113.10:80", "203.0.113.20:80", &port] {
            cluster.expect("outside", to, &["here"])?;
        }
        Ok(())
    })
}

/// Service rules 51, 52: endpoints that somebody wrote by hand lead out of the cluster and to
/// another node's node port, and are local to no node. What would lead in a circle, or from a
/// Service's own address to another's, is left out.
fn endpoints_may_be_node_ports_of_others_or_outside(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        cluster.backend("here", "n1")?;
        let [outside, n1, n2] =
            ["outside", "n1", "n2"].map(|name| cluster.host(name).map(|h| h.v4));
        let (outside, n1, n2) = (outside?, n1?.to_string(), n2?.to_string());
        let _partner = Backend::start(cluster.at("outside")?, "partner", (outside, 8080).into())?;
        let manifests = cluster.world.manifests();
        let slice = cluster.slice("web", &["here"])?;
        let web = service("web", "10.96.0.10").on_port("nodePort", 30080);
        manifests.save("web.yaml", &with(&web, &slice))?;
        let port = |name: &str, number: u16| SliceManifest::new(name).port("http", number);
        let other = port("alias", 30080).endpoint(&n2).document();
        let partner = port("alias", 8080)
            .named("alias-2")
            .endpoint(&outside.to_string());
        let alias = service("alias", "10.96.0.11");
        manifests.save(
            "alias.yaml",
            &join([alias.document(), other, partner.document()]),
        )?;
        cluster.expect("n1", "10.96.0.11:80", &["here", "partner"])?;
        let local = alias.spec("internalTrafficPolicy", "Local");
        manifests.save("alias.yaml", &with(&local, &partner))?;
        cluster.expect("n1", "10.96.0.11:80", &["closed"])?;
        // Each of these would cost its Envoy all files with one connection.
        let circle = |name: &str, ip: &str, node_port: u16, to: (&str, u16)| {
            let service = service(name, ip).on_port("nodePort", node_port);
            with(&service, &port(name, to.1).endpoint(to.0))
        };
        for (name, ip, node_port, to) in [
            ("self", "10.96.0.12", 30082, ("10.96.0.12", 80)),
            ("ping", "10.96.0.13", 30083, ("10.96.0.14", 80)),
            ("pong", "10.96.0.14", 30084, ("10.96.0.13", 80)),
            ("own", "10.96.0.15", 30085, (&*n1, 30085)),
            ("wire-a", "10.96.0.16", 30086, (&*n2, 30087)),
            ("wire-b", "10.96.0.17", 30087, (&*n1, 30086)),
        ] {
            manifests.save(&format!("{name}.yaml"), &circle(name, ip, node_port, to))?;
        }
        for last in 12..=17 {
            cluster.expect("n1", &format!("10.96.0.{last}:80"), &["refused"])?;
        }
        cluster.expect("n2", "10.96.0.10:80", &["here"])
    })
}
