//! A world with the network of a real cluster: nodes that route for their pods, pods and an outside
//! client with namespaces of their own.
//!
//! Nodes are prepared by `deploy/node/setup.sh`, as a user's are. The control plane stays in the
//! fabric, which every node reaches.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::namespace::has_ipv6;
use crate::world::skip;
use crate::{
    Backend, Client, Echo, Envoy, EnvoyOptions, Host, Namespace, Outcome, SliceManifest, World,
    eventually, repository,
};

/// The ranges of cluster IPs.
const SERVICES: &str = "10.96.0.0/16,fd00:10:96::/112";
/// The ranges of external and load-balancer addresses.
const VIPS: &str = "203.0.113.0/24,fd00:203::/112";
/// The ranges of pod addresses.
const PODS: &str = "10.245.0.0/16,fd00:10:245::/48";
/// The client that belongs to no cluster.
const OUTSIDE: Host = Host {
    v4: Ipv4Addr::new(192, 0, 2, 10),
    v6: Ipv6Addr::new(0xfd00, 0x192, 0, 0, 0, 0, 0, 0x10),
};

/// The group of Envoys, where this process may give them one: not as the root of a user namespace
/// that has only its own.
pub(crate) fn envoy_group() -> Option<u32> {
    const GROUP: u32 = 8383;
    let map = std::fs::read_to_string("/proc/self/gid_map").ok()?;
    let known = map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (Some(Ok(first)), _, Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        GROUP >= first && GROUP - first < count
    });
    known.then_some(GROUP)
}

/// The port of a pod's backends.
const PORT: u16 = 8080;
/// Requests for every backend that is expected: one is missed by chance once in a thousand rounds
/// of two, and a round is repeated.
const ASKED: usize = 10;

/// How a cluster is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup<'a> {
    /// Arguments of `seaway serve` beyond the ranges, which it is always told.
    pub seaway: &'a [&'a str],
    /// `capture: redirect` instead of `bind`.
    pub redirect: bool,
    /// Listeners in a network namespace of their own instead of the node's.
    pub namespace: bool,
    /// Whether nobody says which addresses pods have: neither Seaway's arguments nor the Nodes.
    pub pods_unknown: bool,
    /// Whether Seaway keeps clients' addresses where it can, and nodes lead the answers to Envoy.
    pub keep_source: bool,
    /// How many files each node's Envoy may have open, if not as many as the tests.
    pub max_files: Option<u32>,
    /// Arguments of `setup.sh up` after all others, which they may replace.
    pub prepare: &'a [&'a str],
    /// How Envoys are started, beyond what makes them a node's.
    pub envoy: EnvoyOptions,
}

impl Setup<'_> {
    /// What `--capture` is given.
    pub fn capture(&self) -> &'static str {
        match (self.namespace, self.redirect) {
            (false, false) => "bind",
            (false, true) => "redirect",
            (true, false) => "namespace",
            (true, true) => "namespace-redirect",
        }
    }
}

/// A pod: a namespace behind its node, and what listens in it.
#[derive(Debug)]
pub struct Pod {
    backend: Option<Backend>,
    echo: Option<Echo>,
    namespace: Namespace,
    node: String,
    host: Host,
}

impl Pod {
    /// Its network namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its addresses.
    pub fn host(&self) -> Host {
        self.host
    }

    /// Its HTTP backend.
    pub fn backend(&self) -> Result<&Backend> {
        self.backend.as_ref().context("nothing listens in this pod")
    }

    /// Ends what listens; the pod's ports refuse from then on.
    pub fn stop(&mut self) {
        self.backend = None;
        self.echo = None;
    }
}

/// A node's network, and who serves there.
#[derive(Debug)]
enum Machine {
    /// An Envoy of the world.
    Proxied(Arc<Envoy>),
    /// Whoever the test starts.
    Bare(Namespace),
}

impl Machine {
    fn namespace(&self) -> &Namespace {
        match self {
            Self::Proxied(envoy) => envoy.namespace(),
            Self::Bare(namespace) => namespace,
        }
    }
}

/// A node and how many pods it has had.
#[derive(Debug)]
struct Node {
    machine: Machine,
    zone: String,
    number: u8,
    pods: u8,
}

/// A cluster of nodes `n1`, `n2`, .. and a client `outside`. Pods are made by name; every place is
/// called by its name.
#[derive(Debug)]
pub struct Cluster<'w> {
    // Pods go before the nodes that they hang on.
    pods: BTreeMap<String, Pod>,
    outside: Namespace,
    nodes: BTreeMap<String, Node>,
    redirect: bool,
    marks: u16,
    /// The world with Seaway and the nodes' Envoys.
    pub world: &'w mut World,
}

impl<'w> Cluster<'w> {
    /// Makes a cluster with a node in each of `zones`, has `test` play in it, and checks at the end
    /// that no Envoy rejected anything.
    pub fn run(
        zones: &[&str],
        setup: &Setup<'_>,
        test: impl FnOnce(&mut Cluster<'_>) -> Result<()>,
    ) -> Result<()> {
        let rules = setup.redirect || setup.namespace || setup.keep_source;
        if rules && Command::new("nft").arg("-v").output().is_err() {
            return skip("needs nft (package nftables)");
        }
        World::run(|world| test(&mut Cluster::new(world, zones, setup)?))
    }

    /// Makes a cluster in a world that has none, nor a Seaway.
    pub fn new(world: &'w mut World, zones: &[&str], setup: &Setup<'_>) -> Result<Self> {
        let nodes = (1..)
            .zip(zones)
            .map(|(number, zone)| manifest(number, zone, setup));
        world.manifests().save("nodes.yaml", &crate::join(nodes))?;
        let mut arguments = vec!["--service-cidr", SERVICES, "--vip-cidr", VIPS];
        if !setup.pods_unknown {
            arguments.extend(["--pod-cidr", PODS]);
        }
        arguments.extend(["--capture", setup.capture()]);
        if setup.keep_source {
            arguments.push("--keep-source");
        }
        arguments.extend(setup.seaway);
        world.start_seaway(&arguments)?;
        world.fabric().forward()?;
        let outside =
            world
                .network()
                .attach("outside", world.fabric(), Host::FABRIC, "outside", OUTSIDE)?;
        let mut cluster = Self {
            pods: BTreeMap::new(),
            outside,
            nodes: BTreeMap::new(),
            redirect: setup.redirect,
            marks: 0,
            world,
        };
        for (number, zone) in (1..).zip(zones) {
            cluster.add_node(number, zone, setup)?;
        }
        Ok(cluster)
    }

    /// Makes the node with this number, which the Services' ranges are routed to if it is the
    /// first.
    pub fn add_node(&mut self, number: u8, zone: &str, setup: &Setup<'_>) -> Result<()> {
        self.add_node_after(number, zone, setup, |_| Ok(()))
    }

    /// [`Cluster::add_node`], with something done in the node's namespace when it is ready for its
    /// Envoy.
    pub fn add_node_after(
        &mut self,
        number: u8,
        zone: &str,
        setup: &Setup<'_>,
        prepared: impl FnOnce(&Namespace) -> Result<()>,
    ) -> Result<()> {
        let name = format!("n{number}");
        let namespace = self.prepared(number, setup)?;
        prepared(&namespace)?;
        let own = World::node_options(&name, zone);
        let mut options = EnvoyOptions {
            bootstrap: own.bootstrap,
            drain_seconds: own.drain_seconds,
            group: envoy_group(),
            ..setup.envoy.clone()
        };
        let capture = ["--capture", setup.capture()].map(str::to_owned);
        options.bootstrap.extend(capture);
        if let Some(files) = setup.max_files {
            options.file_limit = Some(files);
            let files = ["--max-files".to_owned(), files.to_string()];
            options.bootstrap.extend(files);
        }
        let envoy = self.world.start_envoy_in(namespace, &name, &options)?;
        self.insert(number, zone, Machine::Proxied(envoy))
    }

    /// [`Cluster::add_node`] without its Envoy, for which everything is ready.
    pub fn add_bare_node(&mut self, number: u8, zone: &str, setup: &Setup<'_>) -> Result<()> {
        let namespace = self.prepared(number, setup)?;
        self.insert(number, zone, Machine::Bare(namespace))
    }

    /// The network of a node that is ready for its Envoy.
    fn prepared(&self, number: u8, setup: &Setup<'_>) -> Result<Namespace> {
        let (name, host) = (format!("n{number}"), Host::node(number));
        let mut namespace = self.world.network().bare_node(&name, number)?;
        if setup.namespace {
            namespace.own_mounts()?;
        }
        namespace.forward()?;
        let [pods, pods_v6] = pod_ranges(number);
        let mut routes = format!("route add {pods} via {} dev to-{name} onlink\n", host.v4);
        if has_ipv6() {
            routes += &format!("route add {pods_v6} via {} dev to-{name} onlink\n", host.v6);
        }
        self.world.fabric().configure(&routes)?;
        namespace.command(prepare(host, setup))?;
        Ok(namespace)
    }

    fn insert(&mut self, number: u8, zone: &str, machine: Machine) -> Result<()> {
        let name = format!("n{number}");
        let node = Node {
            machine,
            zone: zone.to_owned(),
            number,
            pods: 0,
        };
        self.nodes.insert(name.clone(), node);
        if number == 1 {
            self.route(&name, SERVICES)?;
            self.route(&name, VIPS)?;
        }
        Ok(())
    }

    /// Makes the fabric send what is for these ranges (a comma between them) to a node, as a load
    /// balancer or a route would.
    pub fn route(&self, node: &str, ranges: &str) -> Result<()> {
        let host = Host::node(self.node(node)?.number);
        for range in ranges.split(',') {
            let v6 = range.contains(':');
            if v6 && !has_ipv6() {
                continue;
            }
            let via: IpAddr = if v6 { host.v6.into() } else { host.v4.into() };
            let line = format!("route replace {range} via {via} dev to-{node} onlink\n");
            self.world.fabric().configure(&line)?;
        }
        Ok(())
    }

    fn node(&self, name: &str) -> Result<&Node> {
        self.nodes
            .get(name)
            .with_context(|| format!("there is no node {name}"))
    }

    /// The Envoy of a node.
    pub fn envoy(&self, node: &str) -> Result<&Arc<Envoy>> {
        match &self.node(node)?.machine {
            Machine::Proxied(envoy) => Ok(envoy),
            Machine::Bare(_) => bail!("{node} has no Envoy of the world"),
        }
    }

    /// The Envoys of all nodes that have one of the world.
    pub(crate) fn envoys(&self) -> impl Iterator<Item = &Arc<Envoy>> {
        self.nodes.values().filter_map(|node| match &node.machine {
            Machine::Proxied(envoy) => Some(envoy),
            Machine::Bare(_) => None,
        })
    }

    /// A port from 1, another one each time.
    pub(crate) fn next_mark(&mut self) -> u16 {
        self.marks += 1;
        self.marks
    }

    /// Makes a pod on a node in which nothing listens.
    pub fn client(&mut self, name: &str, node: &str) -> Result<Host> {
        let on = self
            .nodes
            .get_mut(node)
            .with_context(|| format!("there is no node {node}"))?;
        on.pods += 1;
        let (number, pod) = (on.number, 9 + on.pods);
        let host = Host {
            v4: Ipv4Addr::new(10, 245, number, pod),
            v6: Ipv6Addr::new(0xfd00, 0x10, 0x245, number.into(), 0, 0, 0, pod.into()),
        };
        let link = format!("pod-{pod}");
        let parent = on.machine.namespace();
        let gateway = Host::node(number);
        let network = self.world.network();
        let namespace = network.attach(name, parent, gateway, &link, host)?;
        let pod = Pod {
            backend: None,
            echo: None,
            namespace,
            node: node.to_owned(),
            host,
        };
        self.pods.insert(name.to_owned(), pod);
        Ok(host)
    }

    /// Makes a pod on a node that answers HTTP and UDP with its name, on port 8080 of both
    /// families.
    pub fn backend(&mut self, name: &str, node: &str) -> Result<Host> {
        let host = self.client(name, node)?;
        let any: IpAddr = if has_ipv6() {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        let address = SocketAddr::new(any, PORT);
        let pod = self.pod_mut(name)?;
        pod.backend = Some(Backend::start(&pod.namespace, name, address)?);
        pod.echo = Some(Echo::start(&pod.namespace, name, address)?);
        Ok(host)
    }

    /// A pod by its name.
    pub fn pod(&self, name: &str) -> Result<&Pod> {
        self.pods
            .get(name)
            .with_context(|| format!("there is no pod {name}"))
    }

    /// A pod by its name, to change it.
    pub fn pod_mut(&mut self, name: &str) -> Result<&mut Pod> {
        self.pods
            .get_mut(name)
            .with_context(|| format!("there is no pod {name}"))
    }

    /// The namespace of a place: `outside`, a node or a pod.
    pub fn at(&self, place: &str) -> Result<&Namespace> {
        if place == "outside" {
            return Ok(&self.outside);
        }
        match self.nodes.get(place) {
            Some(node) => Ok(node.machine.namespace()),
            None => Ok(self.pod(place)?.namespace()),
        }
    }

    /// The addresses of a place: `outside`, a node or a pod.
    pub fn host(&self, place: &str) -> Result<Host> {
        if place == "outside" {
            return Ok(OUTSIDE);
        }
        match self.nodes.get(place) {
            Some(node) => Ok(Host::node(node.number)),
            None => Ok(self.pod(place)?.host),
        }
    }

    /// Gives a place packet rules of its own, in the words of nft.
    pub fn nft(&self, place: &str, rules: &str) -> Result<()> {
        let mut command = Command::new("nft");
        command.arg(rules);
        self.at(place)?.command(command).map(drop)
    }

    /// A slice of a Service whose endpoints are these pods, ready, on their nodes and in their
    /// zones, port `http` 8080.
    pub fn slice(&self, service: &str, pods: &[&str]) -> Result<SliceManifest> {
        let slice = SliceManifest::new(service).port("http", PORT);
        pods.iter().try_fold(slice, |slice, pod| {
            let pod = self.pod(pod)?;
            let zone = &self.node(&pod.node)?.zone;
            Ok(slice.endpoint_on(&pod.host.v4.to_string(), &pod.node, zone))
        })
    }

    /// One request over a new connection.
    pub fn get(&self, from: &str, to: &str) -> Result<Outcome> {
        client(to)?.get(self.at(from)?)
    }

    /// What `count` requests came to, by backend or by [`Outcome::word`].
    pub fn ask(&self, from: &str, to: &str, count: usize) -> Result<BTreeMap<String, usize>> {
        let mut seen = BTreeMap::new();
        for outcome in client(to)?.get_often(self.at(from)?, count)? {
            *seen.entry(outcome.word().to_owned()).or_default() += 1;
        }
        Ok(seen)
    }

    /// Waits until requests are answered by all of these and by nobody else; a single word of
    /// [`Outcome::word`] is meant likewise.
    ///
    /// With redirected connections `refused` means closed, since it is Envoy who takes them all;
    /// `refused by the kernel` does not.
    pub fn expect(&self, from: &str, to: &str, wanted: &[&str]) -> Result<()> {
        let wanted = match wanted {
            ["refused"] if self.redirect => &["closed"],
            ["refused by the kernel"] => &["refused"],
            wanted => wanted,
        };
        let what = format!("{wanted:?} at {to}, asked from {from}");
        eventually(what, || {
            let seen = self.ask(from, to, ASKED * wanted.len())?;
            ensure!(seen.keys().eq(wanted), "{seen:?}");
            Ok(())
        })
    }

    /// [`Cluster::expect`] one backend, and waits until it sees the client as `source`: who answers
    /// may be the same before and after a change.
    pub fn expect_from(&self, from: &str, to: &str, wanted: &str, source: IpAddr) -> Result<()> {
        self.expect(from, to, &[wanted])?;
        let what = format!("{wanted} at {to} to see {from} as {source}");
        eventually(what, || {
            let outcome = self.get(from, to)?;
            ensure!(
                outcome.backend() == Some(wanted) && outcome.client() == Some(source),
                "{outcome:?}"
            );
            Ok(())
        })
    }
}

/// A client of an address as tests write it.
fn client(to: &str) -> Result<Client> {
    let address: SocketAddr = to.parse().with_context(|| format!("{to} is no address"))?;
    Ok(Client::new(address))
}

/// An address and a port as tests write it, IPv6 in brackets.
pub fn endpoint(ip: impl Into<IpAddr>, port: u16) -> String {
    SocketAddr::new(ip.into(), port).to_string()
}

/// The pod ranges of a node.
fn pod_ranges(number: u8) -> [String; 2] {
    [
        format!("10.245.{number}.0/24"),
        format!("fd00:10:245:{number}::/64"),
    ]
}

/// The Node object of the node with this number.
fn manifest(number: u8, zone: &str, setup: &Setup<'_>) -> String {
    let (name, host) = (format!("n{number}"), Host::node(number));
    let pods = (!setup.pods_unknown).then(|| pod_ranges(number));
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name}},
        "spec": {"podCIDRs": pods},
        "status": {"addresses": [
            {"type": "InternalIP", "address": host.v4}, {"type": "InternalIP", "address": host.v6},
        ]},
    })
    .to_string()
}

/// `deploy/node/setup.sh` for a node.
fn prepare(host: Host, setup: &Setup<'_>) -> Command {
    let mut command = Command::new(repository().join("deploy/node/setup.sh"));
    command.args(["up", "--service-cidr", SERVICES, "--vip-cidr", VIPS]);
    command.args(["--node-address", &host.v4.to_string()]);
    command.args(["--node-address", &host.v6.to_string()]);
    command.args(["--capture", setup.capture()]);
    let mut shared = setup.seaway.windows(2);
    if let Some([flag, addresses]) = shared.find(|pair| pair[0] == "--nodeport-addresses") {
        command.args([*flag, *addresses]);
    }
    if setup.keep_source {
        command.arg("--keep-source");
        if !setup.pods_unknown {
            command.args(["--pod-cidr", PODS]);
        }
    }
    if let Some(files) = setup.max_files {
        command.args(["--max-files", &files.to_string()]);
    }
    command.args(setup.prepare);
    command
}
