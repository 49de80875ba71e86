//! UDP: the same addresses, and flows that find another endpoint when theirs goes.

use anyhow::{Result, ensure};
use seaway_testing::{
    Cluster, Flow, ServiceManifest, Setup, SliceManifest, endpoint, eventually, join,
};
use serde_json::json;

use crate::{load_balancer, with};

crate::all_captures!(
    udp_is_served_beside_tcp_at_every_address,
    a_udp_flow_moves_when_its_endpoint_goes,
    a_udp_flow_stays_while_its_endpoint_serves,
    a_local_policy_swallows_datagrams_without_a_local_endpoint,
    source_ranges_hold_for_udp,
    an_sctp_port_harms_no_other,
);

const DNS: &str = "10.96.0.53:53";
const VIP: &str = "203.0.113.53:53";
const PORT: u16 = 30053;

/// A Service with port 53 for both protocols.
fn dns() -> ServiceManifest {
    ServiceManifest::new("dns")
        .cluster_ip("10.96.0.53")
        .spec("type", "LoadBalancer")
        .top("status", load_balancer("203.0.113.53"))
        .port("dns", 53)
        .on_port("protocol", "UDP")
        .on_port("nodePort", PORT)
        .port("dns-tcp", 53)
        .on_port("nodePort", PORT)
}

/// A slice with both protocols on port 8080 of these pods.
fn slice(cluster: &Cluster<'_>, pods: &[(&str, &str)]) -> Result<SliceManifest> {
    let slice = SliceManifest::new("dns")
        .port("dns", 8080)
        .on_port("protocol", "UDP")
        .port("dns-tcp", 8080);
    pods.iter().try_fold(slice, |slice, (pod, node)| {
        Ok(slice.endpoint_on(&cluster.host(pod)?.v4.to_string(), node, "a"))
    })
}

fn save(cluster: &Cluster<'_>, service: &ServiceManifest, pods: &[(&str, &str)]) -> Result<()> {
    let all = with(service, &slice(cluster, pods)?);
    cluster.world.manifests().save("dns.yaml", &all).map(drop)
}

/// Waits until a flow has this answer, or [`Outcome::word`].
fn expect(flow: &Flow, wanted: &str) -> Result<()> {
    eventually(format!("{wanted} to answer"), || {
        let outcome = flow.ask()?;
        ensure!(outcome.word() == wanted, "{outcome}");
        Ok(())
    })
}

/// Waits until a new flow has this answer.
fn expect_from(cluster: &Cluster<'_>, from: &str, to: &str, wanted: &str) -> Result<()> {
    eventually(format!("{wanted} at {to}, asked from {from}"), || {
        let outcome = Flow::open(cluster.at(from)?, to)?.ask()?;
        ensure!(outcome.word() == wanted, "{outcome}");
        Ok(())
    })
}

/// Service rules 4, 7, 23, 24, 104: twin ports of both protocols, at every address and from
/// everywhere; a node port answers from the address it was asked at, and leaves loopback and
/// Service addresses alone.
fn udp_is_served_beside_tcp_at_every_address(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("there", "n2")?;
        cluster
            .at("n1")?
            .configure("addr add 172.19.0.11/32 dev eth0\n")?;
        cluster.route("n1", "172.19.0.11/32")?;
        save(cluster, &dns(), &[("there", "n2")])?;
        let own = endpoint(cluster.host("n1")?.v4, PORT);
        let second = format!("172.19.0.11:{PORT}");
        for from in ["client", "n1", "outside"] {
            for to in [DNS, VIP, &own, &second] {
                expect_from(cluster, from, to, "there")?;
                cluster.expect(from, to, &["there"])?;
            }
            expect_from(cluster, from, "10.96.0.53:54", "refused")?;
        }
        for ip in ["10.96.0.53", "203.0.113.53"] {
            expect_from(cluster, "n1", &format!("{ip}:{PORT}"), "refused")?;
        }
        // A wildcard listener takes it, to drop it.
        let loopback = if setup.namespace {
            "refused"
        } else {
            "timed out"
        };
        expect_from(cluster, "n1", &format!("127.0.0.1:{PORT}"), loopback)?;
        Ok(())
    })
}

/// Service rules 79, 105: a client that keeps its source port reaches another endpoint when its own
/// goes, has its port refused when there is none, and is served again by itself as soon as there is
/// one.
fn a_udp_flow_moves_when_its_endpoint_goes(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("first", "n1")?;
        cluster.backend("second", "n2")?;
        let (first, second) = (("first", "n1"), ("second", "n2"));
        save(cluster, &dns(), &[first])?;
        let flow = Flow::open(cluster.at("client")?, DNS)?;
        expect(&flow, "first")?;
        save(cluster, &dns(), &[first, second])?;
        expect_from(cluster, "client", DNS, "second")?;
        // A new endpoint does not move a flow.
        ensure!(flow.ask()?.word() == "first");
        save(cluster, &dns(), &[second])?;
        expect(&flow, "second")?;
        save(cluster, &dns(), &[])?;
        expect(&flow, "refused")?;
        save(cluster, &dns(), &[first])?;
        expect(&flow, "first")
    })
}

/// Service rule 105: an endpoint that serves while it terminates keeps the flows it has and gets no
/// other, until it serves no more; that holds again for what it gets while nothing is ready.
fn a_udp_flow_stays_while_its_endpoint_serves(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("first", "n1")?;
        cluster.backend("second", "n2")?;
        let conditions = |ready: bool, serving: bool| json!({"ready": ready, "serving": serving, "terminating": !ready});
        let put = |first: serde_json::Value, second: serde_json::Value| {
            let slice = slice(cluster, &[("first", "n1")])?.on_endpoint("conditions", first);
            let ip = cluster.host("second")?.v4.to_string();
            let slice = slice
                .endpoint_on(&ip, "n2", "a")
                .on_endpoint("conditions", second);
            let all = with(&dns(), &slice);
            cluster.world.manifests().save("dns.yaml", &all).map(drop)
        };
        let (ready, leaving) = (conditions(true, true), conditions(false, true));
        let gone = conditions(false, false);
        put(ready.clone(), gone.clone())?;
        let flow = Flow::open(cluster.at("client")?, DNS)?;
        expect(&flow, "first")?;
        put(leaving.clone(), ready.clone())?;
        // Each of Envoy's workers takes a change over in its own time.
        eventually("every new flow to reach the other endpoint", || {
            for _ in 0..20 {
                let new = Flow::open(cluster.at("client")?, DNS)?.ask()?;
                ensure!(new.word() == "second", "{new}");
            }
            Ok(())
        })?;
        for _ in 0..20 {
            ensure!(flow.ask()?.word() == "first");
        }
        // Nothing is ready: both are used, and the flow has no reason to move.
        put(leaving.clone(), leaving.clone())?;
        expect_from(cluster, "client", DNS, "first")?;
        ensure!(flow.ask()?.word() == "first");
        put(leaving, ready.clone())?;
        expect_from(cluster, "client", DNS, "second")?;
        ensure!(flow.ask()?.word() == "first");
        put(gone, ready)?;
        expect(&flow, "second")
    })
}

/// Service rules 72, 77, 79: a Local policy without local endpoints swallows datagrams from
/// outside, while pods are served.
fn a_local_policy_swallows_datagrams_without_a_local_endpoint(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        cluster.backend("there", "n2")?;
        let local = dns().spec("externalTrafficPolicy", "Local");
        save(cluster, &local, &[("there", "n2")])?;
        let own = endpoint(cluster.host("n1")?.v4, PORT);
        for to in [VIP, &own] {
            expect_from(cluster, "client", to, "there")?;
            expect_from(cluster, "n1", to, "there")?;
            expect_from(cluster, "outside", to, "timed out")?;
        }
        let outside = Flow::open(cluster.at("outside")?, VIP)?;
        expect(&outside, "timed out")?;
        save(cluster, &local, &[("here", "n1"), ("there", "n2")])?;
        expect(&outside, "here")
    })
}

/// Service rules 26, 28, 30: datagrams from outside the source ranges are dropped at the load
/// balancer's address.
fn source_ranges_hold_for_udp(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let restricted = dns().spec("loadBalancerSourceRanges", json!(["192.0.2.0/24"]));
        save(cluster, &restricted, &[("here", "n1")])?;
        expect_from(cluster, "outside", VIP, "here")?;
        expect_from(cluster, "client", DNS, "here")?;
        expect_from(cluster, "client", VIP, "timed out")
    })
}

/// Service rule 104: an SCTP port is left out by itself.
fn an_sctp_port_harms_no_other(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("here", "n1")?;
        let service = dns().port("sctp", 99).on_port("protocol", "SCTP");
        let all = join([
            service.document(),
            slice(cluster, &[("here", "n1")])?
                .port("sctp", 9090)
                .on_port("protocol", "SCTP")
                .document(),
        ]);
        cluster.world.manifests().save("dns.yaml", &all)?;
        expect_from(cluster, "n1", DNS, "here")?;
        cluster.expect("n1", DNS, &["here"])?;
        cluster.expect("n1", "10.96.0.53:99", &["refused"])?;
        eventually("the SCTP port to be a problem", || {
            let world = &cluster.world;
            let problems = world.metric("seaway_problems", "UnsupportedProtocol")?;
            ensure!(problems >= 1.0, "{problems}");
            Ok(())
        })
    })
}
