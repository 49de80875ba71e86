//! One client that begins all it can, or an Envoy that leads to itself: the node's Envoy lives,
//! everybody else is served, and what was limited is counted.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Cluster, Flow, Namespace, ServiceManifest, Setup, SliceManifest, eventually, join,
};

crate::all_captures!(
    new_flows_without_end_leave_the_others_served,
    flows_that_are_kept_leave_the_others_served,
    held_connections_leave_the_others_served,
    the_sum_of_all_clients_stays_within_envoys_files,
    a_circle_that_no_rule_forbids_comes_undone,
);

/// How many files each Envoy may have open: little, so that a moment is enough to use them up.
const FILES: u32 = 3_000;
/// How many UDP Services there are beside the one that is asked.
const SERVICES: u8 = 20;
const FLOOD: Duration = Duration::from_secs(4);

/// A node with few files, a backend, a pod that floods and one that only asks.
fn run(setup: &Setup<'_>, test: impl FnOnce(&mut Cluster<'_>) -> Result<()>) -> Result<()> {
    let setup = Setup {
        max_files: Some(FILES),
        ..setup.clone()
    };
    Cluster::run(&["a"], &setup, |cluster| {
        cluster.client("offender", "n1")?;
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        // The first one is DNS, by its port; each has a twin port for TCP.
        let services = (0..=SERVICES).map(|number| {
            let port = if number == 0 { 53 } else { 5000 };
            let name = format!("s{number}");
            ServiceManifest::new(&name)
                .cluster_ip(&address(number).to_string())
                .port("u", port)
                .on_port("protocol", "UDP")
                .port("t", port)
        });
        let here = cluster.host("here")?.v4.to_string();
        let slices = (0..=SERVICES).map(|number| {
            SliceManifest::new(&format!("s{number}"))
                .port("u", 8080)
                .on_port("protocol", "UDP")
                .port("t", 8080)
                .endpoint_on(&here, "n1", "a")
        });
        let services: Vec<String> = services.map(|service| service.document()).collect();
        let slices = slices.map(|slice| slice.document());
        let all = join(services.into_iter().chain(slices));
        cluster.world.manifests().save("all.yaml", &all)?;
        for number in 0..=SERVICES {
            answered(cluster, "client", target(number))?;
        }
        test(cluster)
    })
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 96, 1, number + 1)
}

fn target(number: u8) -> SocketAddr {
    SocketAddr::from((address(number), if number == 0 { 53 } else { 5000 }))
}

/// Waits until a new flow has its answer.
fn answered(cluster: &Cluster<'_>, from: &str, to: SocketAddr) -> Result<()> {
    eventually(format!("an answer from {to}"), || {
        let outcome = Flow::open(cluster.at(from)?, &to.to_string())?.ask()?;
        ensure!(outcome.word() == "here", "{outcome}");
        Ok(())
    })
}

/// Sends datagrams from ever new ports to all of these until the time is over, and says how many.
fn send(namespace: &Namespace, targets: Vec<SocketAddr>) -> Result<u64> {
    let sent = namespace.run(move || {
        let (end, mut sent) = (Instant::now() + FLOOD, 0);
        for target in targets.iter().cycle() {
            if Instant::now() > end {
                break;
            }
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            sent += u64::from(socket.send_to(b"who?", target).is_ok());
        }
        std::io::Result::Ok(sent)
    })?;
    Ok(sent?)
}

/// How many files the node's Envoy has open.
fn files(cluster: &Cluster<'_>) -> Result<usize> {
    let envoy = cluster.envoy("n1")?;
    envoy.check_running()?;
    let folder = format!("/proc/{}/fd", envoy.id());
    Ok(fs::read_dir(folder)?.count())
}

/// What a counter of the node's packet rules says.
fn counted(cluster: &Cluster<'_>, counter: &str) -> Result<u64> {
    let mut nft = Command::new("nft");
    nft.args(["list", "counter", "inet", "seaway", counter]);
    let told = cluster.at("n1")?.command(nft)?;
    let mut words = told.split_whitespace();
    let packets = words
        .find(|word| *word == "packets")
        .and_then(|_| words.next());
    Ok(packets.context("no packets")?.parse()?)
}

/// Asks from the pod that does not flood, in new connections and new flows, until `flood` has
/// ended; each has its answer.
fn ask_meanwhile(cluster: &Cluster<'_>, flood: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    let (udp, tcp) = (target(0).to_string(), target(1).to_string());
    std::thread::scope(|scope| {
        let flood = scope.spawn(flood);
        let (mut asked, mut lost) = (0, 0);
        while !flood.is_finished() || asked == 0 {
            let outcome = cluster.get("client", &tcp)?;
            ensure!(outcome.backend() == Some("here"), "{outcome}");
            // A datagram may be lost where a socket's queue is full of another's.
            let outcome = Flow::open(cluster.at("client")?, &udp)?.ask()?;
            lost += usize::from(outcome.backend().is_none());
            asked += 1;
        }
        ensure!(lost * 10 <= asked, "{lost} of {asked} flows had no answer");
        flood
            .join()
            .map_err(|_| anyhow::anyhow!("the flood panicked"))?
    })
}

/// A pod that sends from ever new ports to one Service and then to many gets its share of flows;
/// another pod's new flows and connections have their answers all the time, of that very Service
/// too.
fn new_flows_without_end_leave_the_others_served(setup: &Setup<'_>) -> Result<()> {
    run(setup, |cluster| {
        let all: Vec<SocketAddr> = (0..=SERVICES).map(target).collect();
        for targets in [&all[..1], &all[1..2], &all[..]] {
            let before = counted(cluster, "flows_of_one_client")?;
            let (namespace, targets) = (cluster.at("offender")?, targets.to_vec());
            ask_meanwhile(cluster, || {
                let sent = send(namespace, targets)?;
                ensure!(sent > u64::from(FILES) * 2, "only {sent} datagrams");
                Ok(())
            })?;
            let open = files(cluster)?;
            ensure!(open < FILES as usize - 500, "{open} files");
            let limited = counted(cluster, "flows_of_one_client")? - before;
            ensure!(limited > 1_000, "{limited} were limited");
        }
        Ok(())
    })
}

/// A pod that goes on with all flows it gets, and asks for more, never has all there are: another
/// pod's new flows have their answers.
fn flows_that_are_kept_leave_the_others_served(setup: &Setup<'_>) -> Result<()> {
    run(setup, |cluster| {
        let namespace = cluster.at("offender")?;
        ask_meanwhile(cluster, || keep(namespace, target(0)))?;
        let limited = counted(cluster, "flows_of_one_client")?;
        ensure!(limited > 1_000, "{limited} were limited");
        let full = counted(cluster, "flows_of_all")?;
        ensure!(full == 0, "{full} found as many flows as there may be");
        Ok(())
    })
}

/// Sends from as many ports as Envoy has files for flows, and again before any of their flows is
/// forgotten, for so long that the pod would have them all if what it has were free.
fn keep(namespace: &Namespace, to: SocketAddr) -> Result<()> {
    let kept = namespace.run(move || {
        let any = (Ipv4Addr::UNSPECIFIED, 0);
        let sockets = (0..FILES / 3).map(|_| UdpSocket::bind(any));
        let sockets = sockets.collect::<std::io::Result<Vec<_>>>()?;
        let end = Instant::now() + FLOOD * 3;
        while Instant::now() < end {
            for socket in &sockets {
                // What is dropped is what the test is about.
                let _ = socket.send_to(b"who?", to);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        std::io::Result::Ok(())
    })?;
    Ok(kept?)
}

/// A pod that holds all connections it gets is refused more than its share, which is counted;
/// another pod is served.
fn held_connections_leave_the_others_served(setup: &Setup<'_>) -> Result<()> {
    run(setup, |cluster| {
        let namespace = cluster.at("offender")?;
        let held = hold(namespace, target(1), 400)?;
        ensure!(held.len() < 150, "{} connections", held.len());
        ensure!(counted(cluster, "connections_of_one_client")? > 200);
        ask_meanwhile(cluster, || Ok(()))?;
        // What is closed counts no more.
        drop(held);
        eventually("the pod to be served again", || {
            let outcome = cluster.get("offender", &target(1).to_string())?;
            ensure!(outcome.backend() == Some("here"), "{outcome}");
            Ok(())
        })
    })
}

/// Opens connections and says which of them were accepted and not closed again.
fn hold(namespace: &Namespace, to: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let opened = namespace.run(move || {
        let open = (0..count).filter_map(|_| TcpStream::connect(to).ok());
        open.collect::<Vec<_>>()
    })?;
    Ok(opened)
}

/// Without the node's limits for each client, Envoy's own are left: one Service cannot have more
/// flows than it may, connections beyond the share of all are closed, and Envoy lives and serves
/// who comes later.
fn the_sum_of_all_clients_stays_within_envoys_files(setup: &Setup<'_>) -> Result<()> {
    let setup = Setup {
        seaway: &["--max-udp-flows", "400"],
        ..setup.clone()
    };
    run(&setup, |cluster| {
        let mut nft = Command::new("nft");
        nft.args(["flush", "chain", "inet", "seaway", "limit4"]);
        cluster.at("n1")?.command(nft)?;
        let envoy = cluster.envoy("n1")?;
        let sent = send(cluster.at("offender")?, vec![target(0), target(1)])?;
        ensure!(sent > u64::from(FILES) * 2, "only {sent} datagrams");
        let overflow: u64 = [0, 1]
            .map(|number| overflow(cluster, number))
            .into_iter()
            .sum::<Result<u64>>()?;
        ensure!(overflow > 1_000, "{overflow} flows were dropped");
        answered(cluster, "client", target(2))?;

        let held = hold(cluster.at("offender")?, target(1), 1_500)?;
        eventually("connections to be closed at once", || {
            let over = closed_at_once(cluster)?;
            ensure!(over > 500, "{over}");
            Ok(())
        })?;
        let open = files(cluster)?;
        ensure!(open < FILES as usize, "{open} files");
        envoy.admin("/ready")?;
        drop(held);
        eventually("everybody to be served again", || {
            let outcome = cluster.get("client", &target(1).to_string())?;
            ensure!(outcome.backend() == Some("here"), "{outcome}");
            Ok(())
        })
    })
}

/// How many connections Envoy closed because there were as many as there may be.
fn closed_at_once(cluster: &Cluster<'_>) -> Result<u64> {
    let stats = cluster.envoy("n1")?.stats()?;
    let over = stats
        .iter()
        .filter(|(name, _)| name.ends_with("downstream_global_cx_overflow"));
    Ok(over.map(|(_, count)| count).sum())
}

/// How many flows of a Service were dropped because it had as many as it may.
fn overflow(cluster: &Cluster<'_>, number: u8) -> Result<u64> {
    let stats = cluster.envoy("n1")?.stats()?;
    let of = format!("_s{number}_");
    let overflow = stats
        .iter()
        .filter(|(name, _)| name.contains(&of) && name.ends_with("upstream_cx_overflow"));
    Ok(overflow.map(|(_, count)| count).sum())
}

/// An endpoint is an address of the node that no object names, at the Service's own node ports, and
/// the node has neither the rule that refuses what Envoy sends to itself nor limits for clients.
/// What is left are Envoy's own limits: one connection and one datagram go in circles until there
/// are as many as there may be, and then no further. Envoy lives, has its files back, and serves
/// the others.
fn a_circle_that_no_rule_forbids_comes_undone(setup: &Setup<'_>) -> Result<()> {
    let setup = Setup {
        seaway: &["--max-udp-flows", "400"],
        max_files: Some(FILES),
        prepare: &["--group", "none", "--max-files", "none"],
        ..setup.clone()
    };
    Cluster::run(&["a"], &setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let second = "addr add 172.19.0.11/32 dev eth0\n";
        cluster.at("n1")?.configure(second)?;
        let circle = both("s0", "10.96.0.66", [30066, 30053]).document();
        let slice = slice_of_both("s0", [30066, 30053], "172.19.0.11");
        let good = both("s1", "10.96.0.10", [30067, 30054]).document();
        let here = cluster.host("here")?.v4.to_string();
        let good_slice = slice_of_both("s1", [8080, 8080], &here);
        let all = join([circle, slice.document(), good, good_slice.document()]);
        cluster.world.manifests().save("all.yaml", &all)?;
        served(cluster)?;
        let before = files(cluster)?;

        for _ in 0..5 {
            let closed = closed_at_once(cluster)?;
            let outcome = cluster.get("client", "10.96.0.66:80")?;
            ensure!(outcome.word() == "closed", "{outcome}");
            eventually("the circle of connections to be full", || {
                let now = closed_at_once(cluster)?;
                ensure!(now > closed, "{now} were closed");
                Ok(())
            })?;
            served(cluster)?;
        }
        for _ in 0..3 {
            let dropped = overflow(cluster, 0)?;
            let outcome = Flow::open(cluster.at("client")?, "10.96.0.66:53")?.ask()?;
            ensure!(outcome.backend().is_none(), "{outcome}");
            eventually("the circle of datagrams to be full", || {
                let now = overflow(cluster, 0)?;
                ensure!(now > dropped, "{now} were dropped");
                Ok(())
            })?;
            served(cluster)?;
            let open = files(cluster)?;
            ensure!(open < FILES as usize, "{open} files");
            eventually("all files to be back", || {
                let now = files(cluster)?;
                ensure!(now < before + 20, "{now} files, {before} before");
                Ok(())
            })?;
        }
        served(cluster)
    })
}

/// A Service with a port for TCP and one for UDP, which DNS is, and these node ports.
fn both(name: &str, address: &str, node_ports: [u16; 2]) -> ServiceManifest {
    ServiceManifest::new(name)
        .cluster_ip(address)
        .port("http", 80)
        .on_port("nodePort", node_ports[0])
        .port("dns", 53)
        .on_port("protocol", "UDP")
        .on_port("nodePort", node_ports[1])
}

fn slice_of_both(name: &str, ports: [u16; 2], endpoint: &str) -> SliceManifest {
    SliceManifest::new(name)
        .port("http", ports[0])
        .port("dns", ports[1])
        .on_port("protocol", "UDP")
        .endpoint(endpoint)
}

/// Waits until the Service that leads to a backend is served, by TCP and UDP.
fn served(cluster: &Cluster<'_>) -> Result<()> {
    cluster.expect("client", "10.96.0.10:80", &["here"])?;
    answered(cluster, "client", SocketAddr::from(([10, 96, 0, 10], 53)))
}
