//! Service addresses and the processes of a node do not meet: neither answers for the other, and
//! neither keeps the other from its port. Only in a namespace of their own do listeners leave the
//! node's ports alone; in the other captures a Service whose port a process has is not served, and
//! says so.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Backend, Client, Cluster, Echo, Flow, Load, ServiceManifest, Setup, SliceManifest, World,
    endpoint, eventually, join, repository,
};
use serde_json::json;

use crate::{service, with};

crate::all_captures!(
    a_process_on_all_addresses_answers_on_no_service_address,
    an_envoy_connects_to_itself_once_at_most,
);

/// Listeners in a namespace of their own.
fn namespace() -> Setup<'static> {
    Setup {
        namespace: true,
        ..Setup::default()
    }
}

/// Processes of a node that listen on all of its addresses: TCP 22 and 443, UDP 53.
struct Daemons {
    _tcp: [Backend; 2],
    _udp: Echo,
}

impl Daemons {
    fn start(cluster: &Cluster<'_>) -> Result<Self> {
        let node = cluster.at("n1")?;
        let any: &str = if World::has_ipv6() { "[::]" } else { "0.0.0.0" };
        let at = |port: u16| format!("{any}:{port}").parse::<SocketAddr>();
        Ok(Self {
            _tcp: [
                Backend::start(node, "sshd", at(22)?)?,
                Backend::start(node, "ingress", at(443)?)?,
            ],
            _udp: Echo::start(node, "dnsmasq", at(53)?)?,
        })
    }
}

/// A Service with the ports of all daemons and one that no process has, and its slice.
fn git(cluster: &Cluster<'_>, pod: &str) -> Result<String> {
    let service = ServiceManifest::new("git")
        .cluster_ip("10.96.46.1")
        .port("ssh", 22)
        .port("https", 443)
        .port("http", 8080)
        .port("dns", 53)
        .on_port("protocol", "UDP");
    let slice = SliceManifest::new("git")
        .port("ssh", 8080)
        .port("https", 8080)
        .port("http", 8080)
        .port("dns", 8080)
        .on_port("protocol", "UDP")
        .endpoint(&cluster.host(pod)?.v4.to_string());
    Ok(with(&service, &slice))
}

/// What a new flow to `to` comes to.
fn ask_udp(cluster: &Cluster<'_>, from: &str, to: &str, wanted: &str) -> Result<()> {
    eventually(
        format!("{wanted} at {to}, asked from {from} by UDP"),
        || {
            let outcome = Flow::open(cluster.at(from)?, to)?.ask()?;
            ensure!(outcome.word() == wanted, "{outcome}");
            Ok(())
        },
    )
}

/// Service rules 22, 25: the process was there first. Its own addresses are its own; on Service
/// addresses it never answers, allocated or not. What it has the port of is served in a namespace,
/// and refused elsewhere.
fn a_process_on_all_addresses_answers_on_no_service_address(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let _daemons = Daemons::start(cluster)?;
        if !setup.namespace {
            // There its listeners on the ports of the daemons are refused.
            let envoy = cluster.envoy("n1")?.clone();
            cluster.world.excuse(&envoy);
        }
        let all = git(cluster, "here")?;
        cluster.world.manifests().save("git.yaml", &all)?;
        let node = cluster.host("n1")?.v4;
        for from in ["client", "n1"] {
            cluster.expect(from, "10.96.46.1:8080", &["here"])?;
            // With redirected connections nothing is bound but one port.
            let served = setup.namespace || setup.redirect;
            let tcp = if served { "here" } else { "refused" };
            let udp = if setup.namespace { "here" } else { "refused" };
            for port in [22, 443] {
                cluster.expect(from, &format!("10.96.46.1:{port}"), &[tcp])?;
                cluster.expect(from, &format!("10.96.99.99:{port}"), &["refused"])?;
                cluster.expect(from, &format!("203.0.113.99:{port}"), &["refused"])?;
            }
            ask_udp(cluster, from, "10.96.46.1:53", udp)?;
            ask_udp(cluster, from, "10.96.99.99:53", "refused")?;
            cluster.expect(from, &endpoint(node, 22), &["sshd"])?;
            cluster.expect(from, &endpoint(node, 443), &["ingress"])?;
            ask_udp(cluster, from, &endpoint(node, 53), "dnsmasq")?;
        }
        cluster.expect("outside", &endpoint(node, 22), &["sshd"])
    })
}

/// Service rule 25: Envoy was there first, and the node's processes start all the same.
#[test]
fn a_service_keeps_no_process_from_its_port() -> Result<()> {
    Cluster::run(&["a"], &namespace(), |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let all = git(cluster, "here")?;
        cluster.world.manifests().save("git.yaml", &all)?;
        cluster.expect("client", "10.96.46.1:22", &["here"])?;
        ask_udp(cluster, "client", "10.96.46.1:53", "here")?;
        let _daemons = Daemons::start(cluster)?;
        let node = cluster.host("n1")?.v4;
        for from in ["client", "n1", "outside"] {
            cluster.expect(from, &endpoint(node, 22), &["sshd"])?;
            ask_udp(cluster, from, &endpoint(node, 53), "dnsmasq")?;
            cluster.expect(from, "10.96.46.1:443", &["here"])?;
            ask_udp(cluster, from, "10.96.46.1:53", "here")?;
        }
        Ok(())
    })
}

/// Service rules 15, 20: an external address may be the node's own. A free port of it is the
/// Service's, for whoever comes from elsewhere; a port that a process listens on stays that
/// process's.
#[test]
fn an_external_address_that_is_the_nodes_own_leaves_its_processes_alone() -> Result<()> {
    Cluster::run(&["a"], &namespace(), |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let _daemons = Daemons::start(cluster)?;
        let own = cluster.host("n1")?.v4;
        let service = service("web", "10.96.0.10")
            .spec("externalIPs", json!([own.to_string()]))
            .port("https", 443);
        let slice = cluster.slice("web", &["here"])?.port("https", 8080);
        let all = with(&service, &slice);
        cluster.world.manifests().save("web.yaml", &all)?;
        for from in ["client", "outside"] {
            cluster.expect(from, &endpoint(own, 80), &["here"])?;
            cluster.expect(from, &endpoint(own, 443), &["ingress"])?;
            cluster.expect(from, &endpoint(own, 81), &["refused"])?;
        }
        cluster.expect("n1", "10.96.0.10:443", &["here"])?;
        cluster.expect("n1", &endpoint(own, 443), &["ingress"])
    })
}

/// An endpoint that leads back to Envoy's own listeners, by an address that nobody knows to be the
/// node's: refused at once, and no file of Envoy's stays taken.
fn an_envoy_connects_to_itself_once_at_most(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        if cluster.envoy("n1")?.group()? == 0 {
            return seaway_testing::skip("Envoy cannot have a group of its own here");
        }
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let second = "addr add 172.19.0.11/32 dev eth0\n";
        cluster.at("n1")?.configure(second)?;
        let looping = ServiceManifest::new("loop")
            .cluster_ip("10.96.0.66")
            .port("http", 80)
            .on_port("nodePort", 30066)
            .port("dns", 53)
            .on_port("protocol", "UDP")
            .on_port("nodePort", 30053);
        let slice = SliceManifest::new("loop")
            .port("http", 30066)
            .port("dns", 30053)
            .on_port("protocol", "UDP")
            .endpoint("172.19.0.11");
        let good = with(
            &service("web", "10.96.0.10"),
            &cluster.slice("web", &["here"])?,
        );
        let all = join([with(&looping, &slice), good]);
        cluster.world.manifests().save("all.yaml", &all)?;
        cluster.expect("client", "10.96.0.10:80", &["here"])?;
        let files = cluster.envoy("n1")?.files()?;
        for _ in 0..20 {
            let outcome = cluster.get("client", "10.96.0.66:80")?;
            ensure!(outcome.word() == "closed", "{outcome}");
            let outcome = Flow::open(cluster.at("client")?, "10.96.0.66:53")?.ask()?;
            ensure!(outcome.word() == "timed out", "{outcome}");
        }
        // Each flow of UDP is remembered for a while.
        let now = cluster.envoy("n1")?.files()?;
        ensure!(now < files + 40, "{files} files before, {now} after");
        cluster.expect("client", "10.96.0.10:80", &["here"])
    })
}

/// A network plugin that masquerades what its pods send outside of their range hides no client:
/// endpoints, source ranges and policies see the pod.
#[test]
fn a_masquerading_plugin_hides_no_pod() -> Result<()> {
    let setup = Setup {
        keep_source: true,
        ..namespace()
    };
    Cluster::run(&["a"], &setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let rules = "table ip plugin { chain out { type nat hook postrouting priority srcnat; \
                     ip saddr 10.245.0.0/16 ip daddr != 10.245.0.0/16 masquerade; }; }";
        cluster.nft("n1", rules)?;
        let all = with(
            &service("web", "10.96.0.10"),
            &cluster.slice("web", &["here"])?,
        );
        cluster.world.manifests().save("web.yaml", &all)?;
        let client = cluster.host("client")?.v4;
        cluster.expect_from("client", "10.96.0.10:80", "here", client.into())
    })
}

/// Without the capability to visit the namespace no listener is added, which the log says, and
/// Envoy lives.
#[test]
fn an_envoy_that_may_not_enter_the_namespace_says_so() -> Result<()> {
    let mut setup = namespace();
    setup.envoy.without = Some("sys_admin");
    Cluster::run(&["a"], &setup, |cluster| {
        let envoy = cluster.envoy("n1")?.clone();
        cluster.world.excuse(&envoy);
        cluster.backend("here", "n1")?;
        let all = with(
            &service("web", "10.96.0.10"),
            &cluster.slice("web", &["here"])?,
        );
        cluster.world.manifests().save("web.yaml", &all)?;
        let line = eventually("the reason in Seaway's log", || {
            let log = cluster.world.seaway()?.log();
            let mut lines = log.lines().filter(|line| line.contains("default/web"));
            lines.next().map(str::to_owned).context(log.clone())
        })?;
        ensure!(line.contains("Operation not permitted"), "{line}");
        envoy.check_running()
    })
}

/// A node goes from one capture to another and back under traffic: Envoy stays, its listeners move,
/// and what comes in between is refused at once. Only who waits for an answer at that moment may
/// wait in vain.
#[test]
fn a_node_changes_its_capture_and_back() -> Result<()> {
    Cluster::run(&["a"], &namespace(), |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let service = service("web", "10.96.0.10").on_port("nodePort", 30080);
        let all = with(&service, &cluster.slice("web", &["here"])?);
        cluster.world.manifests().save("web.yaml", &all)?;
        let port = endpoint(cluster.host("n1")?.v4, 30080);
        let both = ["10.96.0.10:80", &port];
        let served = |cluster: &Cluster<'_>| -> Result<()> {
            for to in both {
                for from in ["client", "n1", "outside"] {
                    cluster.expect(from, to, &["here"])?;
                }
            }
            Ok(())
        };
        served(cluster)?;
        let client = Client::new("10.96.0.10:80".parse::<SocketAddr>()?);
        let load = Load::start(cluster.at("client")?, client, 50)?;
        for capture in ["bind", "namespace", "bind"] {
            let own = cluster.host("n1")?.v4.to_string();
            let mut command = Command::new(repository().join("deploy/node/setup.sh"));
            command.args(["up", "--capture", capture, "--node-address", &own]);
            command.args(["--service-cidr", "10.96.0.0/16"]);
            cluster.at("n1")?.command(command)?;
            let arguments = ["--capture", capture, "--service-cidr", "10.96.0.0/16"];
            cluster.world.start_seaway(&arguments)?;
            served(cluster)?;
        }
        let records = load.stop()?;
        let in_vain = records.iter().filter(|r| r.outcome.word() == "timed out");
        let in_vain = in_vain.count();
        ensure!(in_vain <= 3, "{in_vain} of {} timed out", records.len());
        cluster.envoy("n1")?.check_running()
    })
}
