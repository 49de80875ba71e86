//! What the official tests of Services check (Kubernetes' `test/e2e/network/service.go`) and no
//! other file here does in the same steps. `tests/README.md` lists all of them.

use anyhow::{Result, ensure};
use seaway_testing::{
    Backend, Client, Cluster, Flow, Host, Load, ServiceManifest, Setup, SliceManifest, endpoint,
    eventually, join,
};
use serde_json::{Value, json};

use crate::{service, with};

crate::all_captures!(
    ports_and_pods_of_a_service_come_and_go,
    services_of_the_same_pods_come_and_go_beside_each_other,
    a_published_endpoint_serves_whatever_its_pod_says,
    a_service_changes_its_type_and_shares_a_node_port_between_protocols,
    an_internal_local_policy_finds_processes_of_its_own_node,
    an_external_local_policy_falls_back_on_its_own_node,
    a_udp_client_is_served_while_its_pods_change,
);

const WEB: &str = "10.96.0.10:80";
const PORT: u16 = 30080;

/// A slice with one port and one pod.
fn slice(name: &str, port: (&str, u16), pod: Host, node: &str) -> SliceManifest {
    SliceManifest::new("web")
        .named(name)
        .port(port.0, port.1)
        .endpoint_on(&pod.v4.to_string(), node, "a")
}

fn put(cluster: &Cluster<'_>, service: &ServiceManifest, slices: &[&SliceManifest]) -> Result<()> {
    let slices = slices.iter().map(|slice| slice.document());
    let all = join(std::iter::once(service.document()).chain(slices));
    cluster.world.manifests().save("web.yaml", &all).map(drop)
}

/// Waits until a new flow has this answer, or [`Outcome::word`](seaway_testing::Outcome::word).
pub(crate) fn expect_udp(cluster: &Cluster<'_>, from: &str, to: &str, wanted: &str) -> Result<()> {
    eventually(format!("{wanted} at {to}, asked from {from}"), || {
        let outcome = Flow::open(cluster.at(from)?, to)?.ask()?;
        ensure!(outcome.word() == wanted, "{outcome}");
        Ok(())
    })
}

/// Service rules 4, 40 to 42, 49, 76. Mirrors "serve a basic endpoint from pods", "serve multiport
/// endpoints from pods", "be updated after adding or deleting ports", "connect to the named
/// targetPorts that resolve to different ports on different pods", "serve endpoints on same port
/// and different protocols".
fn ports_and_pods_of_a_service_come_and_go(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let first = cluster.backend("first", "n1")?;
        let second = cluster.backend("second", "n2")?;
        let at = (second.v4, 9090).into();
        let _other = Backend::start(cluster.at("second")?, "other", at)?;
        let two_ports = service("web", "10.96.0.10").port("admin", 81);
        let http = slice("web-1", ("http", 8080), first, "n1");
        let admin = slice("web-2", ("admin", 9090), second, "n2");
        let rounds: [(&[&SliceManifest], _, _); 4] = [
            (&[&http], "first", "refused"),
            (&[&http, &admin], "first", "other"),
            (&[&admin], "refused", "other"),
            (&[], "refused", "refused"),
        ];
        for (slices, by_http, by_admin) in rounds {
            put(cluster, &two_ports, slices)?;
            for from in ["client", "n1", "n2"] {
                cluster.expect(from, WEB, &[by_http])?;
                cluster.expect(from, "10.96.0.10:81", &[by_admin])?;
            }
        }
        // A port by name is another number in each pod.
        let named = slice("web-2", ("http", 9090), second, "n2");
        put(cluster, &two_ports, &[&http, &named])?;
        cluster.expect("client", WEB, &["first", "other"])?;
        // Of one number and two protocols each goes by itself.
        let udp = |service: ServiceManifest| service.port("dns", 80).on_port("protocol", "UDP");
        let both = http.port("dns", 8080).on_port("protocol", "UDP");
        put(cluster, &udp(service("web", "10.96.0.10")), &[&both])?;
        expect_udp(cluster, "client", WEB, "first")?;
        cluster.expect("client", WEB, &["first"])?;
        let web = ServiceManifest::new("web").cluster_ip("10.96.0.10");
        put(cluster, &udp(web.clone()), &[&both])?;
        cluster.expect("client", WEB, &["refused"])?;
        expect_udp(cluster, "client", WEB, "first")?;
        put(cluster, &web.port("http", 82), &[&both])?;
        cluster.expect("client", "10.96.0.10:82", &["first"])?;
        expect_udp(cluster, "client", WEB, "refused")
    })
}

/// Service rules 16, 22, 49. Mirrors "be able to up and down services", "work after the service has
/// been recreated", "release NodePorts on delete", and of Networking "function for multiple
/// endpoint-Services with same selector" and "update nodePort".
fn services_of_the_same_pods_come_and_go_beside_each_other(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("first", "n1")?;
        cluster.backend("second", "n2")?;
        let pods = ["first", "second"];
        let up = |cluster: &Cluster<'_>, name: &str, ip: &str, port: u16| {
            let service = service(name, ip).on_port("nodePort", port);
            let all = with(&service, &cluster.slice(name, &pods)?);
            let file = format!("{name}.yaml");
            cluster.world.manifests().save(&file, &all).map(drop)
        };
        let node = cluster.host("n1")?.v4;
        let [one_port, two_port] = [30081, 30082].map(|port| endpoint(node, port));
        up(cluster, "one", "10.96.0.11", 30081)?;
        up(cluster, "two", "10.96.0.12", 30082)?;
        for to in ["10.96.0.11:80", "10.96.0.12:80", &one_port, &two_port] {
            for from in ["client", "n1", "first"] {
                cluster.expect(from, to, &pods)?;
            }
        }
        let target: std::net::SocketAddr = "10.96.0.12:80".parse()?;
        let load = Load::start(cluster.at("client")?, Client::new(target), 50)?;
        cluster.world.manifests().delete("one.yaml")?;
        for from in ["client", "n1", "first"] {
            cluster.expect(from, "10.96.0.11:80", &["refused"])?;
            cluster.expect(from, &one_port, &["refused"])?;
        }
        // Its node port is free for its successor, and then its address for one more.
        up(cluster, "three", "10.96.0.13", 30081)?;
        cluster.expect("client", "10.96.0.13:80", &pods)?;
        cluster.expect("client", &one_port, &pods)?;
        up(cluster, "one", "10.96.0.11", 30083)?;
        cluster.expect("client", "10.96.0.11:80", &pods)?;
        cluster.expect("n1", &endpoint(node, 30083), &pods)?;
        for record in load.stop()? {
            ensure!(record.outcome.backend().is_some(), "{:?}", record.outcome);
        }
        Ok(())
    })
}

/// Service rules 44, 50, 76. Mirrors "be able to connect to terminating and unready endpoints if
/// PublishNotReadyAddresses is true", "not be able to .. if PublishNotReadyAddresses is false",
/// "create endpoints for unready pods", "be rejected for evicted pods".
fn a_published_endpoint_serves_whatever_its_pod_says(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.client("far", "n2")?;
        let there = cluster.backend("there", "n2")?;
        let service = service("web", "10.96.0.10").on_port("nodePort", PORT);
        let ports = ["n1", "n2"].map(|node| Ok(endpoint(cluster.host(node)?.v4, PORT)));
        let [on_n1, on_n2]: [Result<String>; 2] = ports;
        let (on_n1, on_n2) = (on_n1?, on_n2?);
        for (published, wanted) in [(true, "there"), (false, "refused"), (true, "there")] {
            let conditions = json!({"ready": published, "serving": false, "terminating": true});
            let slice = slice("web-1", ("http", 8080), there, "n2");
            put(
                cluster,
                &service,
                &[&slice.on_endpoint("conditions", conditions)],
            )?;
            for to in [WEB, &on_n1, &on_n2] {
                for from in ["client", "far", "n1"] {
                    cluster.expect(from, to, &[wanted])?;
                }
            }
        }
        Ok(())
    })
}

/// Service rules 4, 9, 16. Mirrors "be able to change the type from ExternalName to NodePort", "..
/// to ClusterIP" and back, "be able to update service type to NodePort listening on same port
/// number but different protocols", "use same NodePort with same port but different protocols".
fn a_service_changes_its_type_and_shares_a_node_port_between_protocols(
    setup: &Setup<'_>,
) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let here = cluster.backend("here", "n1")?;
        let slice = slice("web-1", ("http", 8080), here, "n1")
            .port("dns", 8080)
            .on_port("protocol", "UDP");
        let port = endpoint(cluster.host("n1")?.v4, PORT);
        let of_type = |name: &str| ServiceManifest::new("web").spec("type", name);
        let alias = of_type("ExternalName").spec("externalName", "www.example.com");
        let with_ports = |of: &str, tcp: Option<u16>, udp: Option<u16>| {
            let service = of_type(of).cluster_ip("10.96.0.10").port("http", 80);
            let service = service.on_port("nodePort", json!(tcp)).port("dns", 80);
            let service = service.on_port("protocol", "UDP");
            service.on_port("nodePort", json!(udp))
        };
        let own = Some(PORT);
        for (service, tcp, udp, tcp_port, udp_port) in [
            (alias.clone(), false, false, false, false),
            (with_ports("NodePort", own, None), true, true, true, false),
            (with_ports("NodePort", own, own), true, true, true, true),
            (with_ports("NodePort", None, own), true, true, false, true),
            (
                with_ports("ClusterIP", None, None),
                true,
                true,
                false,
                false,
            ),
            (alias, false, false, false, false),
        ] {
            put(cluster, &service, &[&slice])?;
            let word = |served: bool| if served { "here" } else { "refused" };
            for from in ["client", "n1"] {
                cluster.expect(from, WEB, &[word(tcp)])?;
                cluster.expect(from, &port, &[word(tcp_port)])?;
                expect_udp(cluster, from, WEB, word(udp))?;
                expect_udp(cluster, from, &port, word(udp_port))?;
            }
        }
        Ok(())
    })
}

/// Service rules 51, 58, 71, 74. Mirrors "respect internalTrafficPolicy=Local Pod and Node, to Pod
/// (hostNetwork: true)", ".. Pod to Pod", ".. Pod (hostNetwork: true) to Pod", "fallback to local
/// terminating endpoints .. with internalTrafficPolicy=Local".
fn an_internal_local_policy_finds_processes_of_its_own_node(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.client("far", "n2")?;
        let pod = cluster.backend("pod", "n1")?;
        let node = cluster.host("n1")?;
        let at = (node.v4, 8080).into();
        let _process = Backend::start(cluster.at("n1")?, "process", at)?;
        let local = service("web", "10.96.0.10").spec("internalTrafficPolicy", "Local");
        let going = json!({"ready": false, "serving": true, "terminating": true});
        for (host, name) in [(node, "process"), (pod, "pod")] {
            let ready = slice("web-1", ("http", 8080), host, "n1");
            let going = ready.clone().on_endpoint("conditions", going.clone());
            for slice in [ready, going] {
                put(cluster, &local, &[&slice])?;
                for (from, wanted) in [
                    ("client", name),
                    ("n1", name),
                    ("far", "closed"),
                    ("n2", "closed"),
                ] {
                    cluster.expect(from, WEB, &[wanted])?;
                }
            }
        }
        Ok(())
    })
}

/// Service rules 59, 60, 72, 77, 92. Mirrors "fallback to local terminating endpoints .. with
/// externalTrafficPolicy=Local" and "fallback to terminating endpoints .. with
/// externallTrafficPolicy=Cluster": a pod at another node's port is outside.
fn an_external_local_policy_falls_back_on_its_own_node(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.client("far", "n2")?;
        let here = cluster.backend("here", "n1")?;
        let on_n1 = endpoint(cluster.host("n1")?.v4, PORT);
        let on_n2 = endpoint(cluster.host("n2")?.v4, PORT);
        let ready = slice("web-1", ("http", 8080), here, "n1");
        let going = json!({"ready": false, "serving": true, "terminating": true});
        let going = ready.clone().on_endpoint("conditions", going);
        for (policy, at_the_other) in [("Local", "closed"), ("Cluster", "here")] {
            let service = service("web", "10.96.0.10")
                .spec("externalTrafficPolicy", policy)
                .on_port("nodePort", PORT);
            for slice in [&ready, &going] {
                put(cluster, &service, &[slice])?;
                for from in ["client", "far", "outside", "n2"] {
                    cluster.expect(from, &on_n1, &["here"])?;
                }
                for from in ["client", "outside", "n1"] {
                    cluster.expect(from, &on_n2, &[at_the_other])?;
                }
                // Pods and processes of the node itself are never outside.
                for from in ["far", "n2"] {
                    cluster.expect(from, &on_n2, &["here"])?;
                }
            }
        }
        Ok(())
    })
}

/// Service rule 105. Mirrors Conntrack's "be able to preserve UDP traffic when server pod cycles
/// for a ClusterIP service", ".. for a NodePort service", ".. when initial unready endpoints get
/// ready", "be able to cleanup conntrack entries when UDP service target port changes for a
/// NodePort service": the client keeps its port all the time.
fn a_udp_client_is_served_while_its_pods_change(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let pods = [
            cluster.backend("pod-1", "n2")?,
            cluster.backend("pod-2", "n2")?,
        ];
        let at = (pods[1].v4, 9090).into();
        let _other = seaway_testing::Echo::start(cluster.at("pod-2")?, "other", at)?;
        let service = ServiceManifest::new("web")
            .cluster_ip("10.96.0.10")
            .port("udp", 80)
            .on_port("protocol", "UDP")
            .on_port("nodePort", PORT);
        let of = |pod: Host, port: u16, ready: bool| {
            let conditions: Value = json!({"ready": ready, "serving": ready});
            SliceManifest::new("web")
                .port("udp", port)
                .on_port("protocol", "UDP")
                .endpoint_on(&pod.v4.to_string(), "n2", "a")
                .on_endpoint("conditions", conditions)
        };
        let port = endpoint(cluster.host("n1")?.v4, PORT);
        put(cluster, &service, &[&of(pods[0], 8080, false)])?;
        let flows = [
            ("client", WEB),
            ("client", &port),
            ("n2", &port),
            ("outside", &port),
        ];
        let flows = flows.map(|(from, to)| Flow::open(cluster.at(from)?, to));
        for (slice, wanted) in [
            (None, "refused"),
            (Some(of(pods[0], 8080, true)), "pod-1"),
            (Some(of(pods[1], 8080, true)), "pod-2"),
            (Some(of(pods[1], 9090, true)), "other"),
            (Some(of(pods[1], 9090, false)), "refused"),
            (Some(of(pods[1], 8080, true)), "pod-2"),
        ] {
            if let Some(slice) = slice {
                put(cluster, &service, &[&slice])?;
            }
            for (number, flow) in flows.iter().enumerate() {
                let flow = flow
                    .as_ref()
                    .map_err(|error| anyhow::anyhow!("{error:#}"))?;
                eventually(format!("{wanted} to answer flow {number}"), || {
                    let outcome = flow.ask()?;
                    ensure!(outcome.word() == wanted, "{outcome}");
                    Ok(())
                })?;
            }
        }
        Ok(())
    })
}
