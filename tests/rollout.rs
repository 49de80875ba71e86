//! An Envoy takes the place of another one on the same node, as `deploy/overlays/node` has it: the new one serves beside the old one, which
//! then takes no more connections and ends when those it has had their time.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Backend, Client, Echo, Flow, Load, Namespace, Outcome, ProxyPod, Record, ServiceManifest,
    SliceManifest, World, eventually, join, repository, within,
};

const WEB: &str = "10.96.0.10:80";
const DNS: &str = "10.96.0.11:53";
/// New connections a second.
const RATE: u32 = 200;
/// Connections that are kept.
const KEPT: usize = 5;
/// Seconds that connections have once the old Envoy takes no more.
const TIME: Duration = Duration::from_secs(8);
/// What the pods' `drain` is told.
const DRAIN: [&str; 4] = ["--hold", "500ms", "--drain-time", "8s"];

/// One node with a Service of two endpoints over TCP and one over UDP.
struct Node<'w> {
    world: &'w mut World,
    namespace: Namespace,
    pods: usize,
    _backends: [Backend; 2],
    _echoes: [Echo; 2],
}

impl<'w> Node<'w> {
    fn new(world: &'w mut World) -> Result<Self> {
        let addresses = ["10.244.1.10", "10.244.1.11"];
        let web = ServiceManifest::new("web").cluster_ip("10.96.0.10");
        let dns = ServiceManifest::new("dns").cluster_ip("10.96.0.11");
        let dns = dns.port("dns", 53).on_port("protocol", "UDP");
        let slices = addresses.iter().fold(
            [
                SliceManifest::new("web").port("http", 8080),
                SliceManifest::new("dns")
                    .port("dns", 8080)
                    .on_port("protocol", "UDP"),
            ],
            |slices, address| slices.map(|slice| slice.endpoint(address)),
        );
        let mut documents = vec![web.port("http", 80).document(), dns.document()];
        documents.extend(slices.map(|slice| slice.document()));
        world.manifests().save("services.yaml", &join(documents))?;
        let [one, two] = addresses;
        let backends = [world.backend("web-1", one)?, world.backend("web-2", two)?];
        let echo = |name, ip: &str| {
            let address = format!("{ip}:8080").parse()?;
            Echo::start(world.fabric(), name, address)
        };
        let echoes = [echo("dns-1", one)?, echo("dns-2", two)?];
        world.start_seaway(&["--service-cidr", "10.96.0.0/16"])?;
        let namespace = world.new_node("n1")?;
        let mut setup = Command::new(repository().join("deploy/node/setup.sh"));
        setup.args(["up", "--service-cidr", "10.96.0.0/16", "--node-address"]);
        setup.arg(World::node_address(1).to_string());
        namespace.command(setup)?;
        Ok(Self {
            world,
            namespace,
            pods: 0,
            _backends: backends,
            _echoes: echoes,
        })
    }

    /// The next pod of the DaemonSet. It is not ready yet.
    fn surge(&mut self) -> Result<ProxyPod> {
        self.pods += 1;
        let name = format!("proxy-{}", self.pods);
        ProxyPod::start(
            self.world,
            &self.namespace,
            &name,
            &["--node-name", "n1"],
            &DRAIN,
        )
    }

    fn first(&mut self) -> Result<ProxyPod> {
        let mut pod = self.surge()?;
        pod.await_ready()?;
        Ok(pod)
    }

    fn load(&self) -> Result<Load> {
        Load::start(&self.namespace, client()?, RATE)
    }

    fn kept(&self) -> Result<Vec<Load>> {
        let pause = Duration::from_millis(20);
        (0..KEPT)
            .map(|_| Load::keep_alive(&self.namespace, client()?, pause))
            .collect()
    }
}

fn client() -> Result<Client> {
    Ok(Client::new(WEB.parse::<std::net::SocketAddr>()?))
}

/// All connections of a load were answered, and it was one.
fn none_failed(load: Load) -> Result<()> {
    let records = load.stop()?;
    let failures = Record::failures(&records);
    ensure!(
        failures.is_none(),
        "of {} connections: {failures:?}",
        records.len()
    );
    ensure!(
        records.len() > RATE as usize,
        "{} connections",
        records.len()
    );
    Ok(())
}

#[test]
fn a_rollout_fails_no_connection_and_cuts_none_before_its_time() -> Result<()> {
    World::run(|world| {
        let mut node = Node::new(world)?;
        let mut old = node.first()?;
        let load = node.load()?;
        let mut kept = Vec::new();
        for _ in 0..3 {
            let mut new = node.surge()?;
            kept.push((node.kept()?, None));
            new.await_ready()?;
            old.delete()?;
            old.await_drain("takes no more connections")?;
            let stopped = Instant::now();
            let ended = old.ended()?;
            ensure!(ended.duration_since(stopped) + Duration::from_millis(500) > TIME);
            if let Some((_, end)) = kept.last_mut() {
                *end = Some(ended);
            }
            old = new;
        }
        none_failed(load)?;
        for (loads, ended) in kept {
            let ended = ended.context("no end")?;
            for load in loads {
                let records = load.stop()?;
                let early = records
                    .iter()
                    .find(|record| record.outcome.backend().is_none() && record.end < ended);
                ensure!(early.is_none(), "{early:?}, before {ended:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn an_old_envoy_with_nothing_open_ends_before_its_time() -> Result<()> {
    World::run(|world| {
        let mut node = Node::new(world)?;
        let old = node.first()?;
        let mut new = node.surge()?;
        new.await_ready()?;
        old.delete()?;
        old.await_drain("nothing is open any more")?;
        old.ended().map(drop)
    })
}

#[test]
fn kill_9_of_a_draining_envoy_fails_no_connection() -> Result<()> {
    World::run(|world| {
        let mut node = Node::new(world)?;
        let mut old = node.first()?;
        let load = node.load()?;
        let mut new = node.surge()?;
        new.await_ready()?;
        old.delete()?;
        old.await_drain("takes no more connections")?;
        // What it had taken by then takes a moment, and that moment is what is waited for.
        std::thread::sleep(Duration::from_millis(500));
        old.kill()?;
        std::thread::sleep(Duration::from_millis(500));
        none_failed(load)
    })
}

/// What has not been accepted yet goes to the other one; what has been is lost with its Envoy.
#[test]
fn kill_9_of_an_envoy_beside_a_ready_one_breaks_only_what_it_had_accepted() -> Result<()> {
    World::run(|world| {
        let mut node = Node::new(world)?;
        let mut old = node.first()?;
        let load = node.load()?;
        let mut new = node.surge()?;
        new.await_ready()?;
        let killed = Instant::now();
        old.kill()?;
        let dead = Instant::now();
        std::thread::sleep(Duration::from_millis(500));
        let records = load.stop()?;
        for record in records
            .iter()
            .filter(|record| record.outcome.backend().is_none())
        {
            let open = record.start < dead && record.end > killed;
            let outcome = &record.outcome;
            let never_connected = matches!(outcome, Outcome::Refused | Outcome::TimedOut);
            ensure!(open && !never_connected, "{record:?}, killed at {killed:?}");
        }
        Ok(())
    })
}

#[test]
fn seaway_and_envoy_replaced_at_once_fail_no_connection() -> Result<()> {
    World::run(|world| {
        let mut node = Node::new(world)?;
        let old = node.first()?;
        let load = node.load()?;
        node.world.seaway()?.kill()?;
        let mut new = node.surge()?;
        // Live or not: without a control plane it has no listeners, and the old one stays.
        std::thread::sleep(Duration::from_secs(1));
        ensure!(new.is_ready().is_err(), "ready without listeners");
        node.world.restart_seaway()?;
        new.await_ready()?;
        old.delete()?;
        old.await_drain("takes no more connections")?;
        let _ended = old.ended()?;
        none_failed(load)
    })
}

#[test]
fn a_crashed_envoy_is_back_at_once() -> Result<()> {
    World::run(|world| {
        let mut node = Node::new(world)?;
        let mut pod = node.first()?;
        pod.kill()?;
        let began = Instant::now();
        pod.restart(&node.namespace)?;
        let client = client()?;
        // A second on a quiet machine.
        within(Duration::from_secs(5), "an answer", || {
            let outcome = client.get(&node.namespace)?;
            ensure!(outcome.backend().is_some(), "{outcome}");
            Ok(())
        })?;
        println!("back after {:?}", began.elapsed());
        pod.await_ready()
    })
}

/// A flow moves to the new Envoy when the kernel gives it to one of its sockets, or when the old one ends. Answers through the old one
/// arrive until then, and every question is answered, but for one that is inside the old Envoy when it ends.
#[test]
fn udp_flows_are_answered_all_along() -> Result<()> {
    World::run(|world| {
        let mut node = Node::new(world)?;
        let old = node.first()?;
        let flows = (0..8)
            .map(|_| Flow::open(&node.namespace, DNS))
            .collect::<Result<Vec<_>>>()?;
        let (mut asked, mut lost) = (0, 0);
        let mut ask = || -> Result<()> {
            for flow in &flows {
                asked += 1;
                lost += usize::from(flow.ask()?.backend().is_none());
            }
            Ok(())
        };
        ask()?;
        let mut new = node.surge()?;
        while new.is_ready().is_err() {
            ask()?;
        }
        old.delete()?;
        let end = Instant::now() + TIME + Duration::from_secs(1);
        let ending = std::thread::spawn(move || old.ended());
        while Instant::now() < end || !ending.is_finished() {
            ask()?;
        }
        ask()?;
        let ended = ending.join().map_err(|_| anyhow::anyhow!("panicked"))?;
        ended?;
        ensure!(
            asked > 100 && lost <= 1,
            "{lost} of {asked} were not answered"
        );
        Ok(())
    })
}

/// An endpoint that answers late, through the Envoy that was asked.
#[test]
fn late_answers_of_an_old_udp_flow_arrive_during_the_drain() -> Result<()> {
    World::run(|world| {
        let mut node = Node::new(world)?;
        let late = ServiceManifest::new("late").cluster_ip("10.96.0.12");
        let late = late.port("late", 53).on_port("protocol", "UDP");
        let slice = SliceManifest::new("late").port("late", 9090);
        let slice = slice.on_port("protocol", "UDP").endpoint("10.244.1.12");
        let manifests = node.world.manifests();
        manifests.save("late.yaml", &join([late.document(), slice.document()]))?;
        let server = node
            .world
            .fabric()
            .run(|| UdpSocket::bind("10.244.1.12:9090"))??;
        server.set_read_timeout(Some(Duration::from_millis(100)))?;
        let old = node.first()?;
        let client = node.namespace.run(|| -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect("10.96.0.12:53")?;
            Ok(socket)
        })??;
        client.set_read_timeout(Some(Duration::from_secs(2)))?;
        let from = eventually("a question", || {
            client.send(b"?")?;
            Ok(server.recv_from(&mut [0; 9])?.1)
        })?;
        let mut new = node.surge()?;
        new.await_ready()?;
        old.delete()?;
        old.await_drain("takes no more connections")?;
        server.send_to(b"!", from)?;
        client.recv(&mut [0; 9]).context("the answer")?;
        Ok(())
    })
}

/// Envoy says that it is live after the first of several responses with listeners.
#[test]
fn a_pod_is_ready_when_the_last_of_its_listeners_is_in_place() -> Result<()> {
    const SERVICES: usize = 60;
    const PORTS: u16 = 100;
    World::run(|world| {
        let mut node = Node::new(world)?;
        let name = "x".repeat(63);
        for number in 0..SERVICES {
            let service = format!("{}{number}", &name[..50]);
            let mut manifest =
                ServiceManifest::new(&service).cluster_ip(&format!("10.96.1.{number}"));
            let mut slice = SliceManifest::new(&service).endpoint("10.244.1.10");
            for port in 0..PORTS {
                let name = format!("port-{port}");
                manifest = manifest.port(&name, 1000 + port);
                slice = slice.port(&name, 8080);
            }
            let documents = join([manifest.document(), slice.document()]);
            let file = format!("{number}.yaml");
            node.world.manifests().save(&file, &documents)?;
        }
        // Ready means that it has read all of them.
        node.world.seaway()?.kill()?;
        if node.world.restart_seaway().is_err() {
            within(Duration::from_secs(120), "Seaway to be ready", || {
                let answer = node.world.readyz()?;
                ensure!(answer.status == 200, "{}", answer.body);
                Ok(())
            })?;
        }
        let all = SERVICES * usize::from(PORTS);
        let mut pod = node.surge()?;
        pod.await_ready()?;
        let mut ss = Command::new("ss");
        ss.args(["-Hltn", "src", "10.96.1.0/24"]);
        let sockets = node.namespace.command(ss)?;
        let bound: BTreeSet<_> = sockets
            .lines()
            .filter_map(|line| line.split_whitespace().nth(3))
            .collect();
        ensure!(bound.len() == all, "{} of {all} listeners", bound.len());
        Ok(())
    })
}
