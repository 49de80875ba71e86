//! Random worlds for the Envoys of two nodes: objects that meet, each world made of a number that
//! makes it again.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;
use seaway_testing::{World, join};
use serde_json::{Value, json};

/// The endpoints' addresses: each has a backend at both of [`TARGETS`].
pub(crate) const PODS: [&str; 6] = [
    "10.244.0.1",
    "10.244.0.2",
    "10.244.0.3",
    "10.244.0.4",
    "10.244.0.5",
    "10.244.0.6",
];
/// The ports of endpoints.
pub(crate) const TARGETS: [u16; 2] = [8080, 8081];
/// The nodes; those beyond the first two have no Envoy.
const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// The endpoint of the Service by which a world is told from the one before.
pub(crate) const MARK: &str = "10.244.9.9";

const SERVICES: [&str; 4] = ["a", "b", "c", "d"];
const CLUSTER_IPS: [&str; 5] = [
    "10.96.0.11",
    "10.96.0.12",
    "10.96.0.13",
    "10.96.0.14",
    "10.96.0.15",
];
const EXTERNAL: [&str; 2] = ["203.0.113.1", "203.0.113.2"];
const BALANCED: [&str; 2] = ["203.0.113.8", "203.0.113.9"];
const ZONES: [&str; 2] = ["a", "b"];
const PORTS: [(&str, u16); 2] = [("http", 80), ("admin", 81)];
/// The node ports that they want.
pub(crate) const NODE_PORTS: [u16; 2] = [30080, 30081];

/// A world, and what is to be asked about it.
pub(crate) struct Drawn {
    /// Its manifests.
    pub(crate) text: String,
    /// Every address at which a Service of it could be met on any node, and one that none has.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The address that no other world has, at which [`MARK`] answers.
    pub(crate) mark: SocketAddr,
}

/// Numbers that look random (SplitMix64), the same ones for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).unwrap_or_default()
    }

    /// Whether something happens that does so in so many of 100 cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of these, or none in so many of 100 cases.
    fn maybe<'a, T>(&mut self, none: usize, of: &'a [T]) -> Option<&'a T> {
        (!self.chance(none)).then(|| self.pick(of))
    }
}

/// The world of a seed.
pub(crate) fn draw(seed: u64) -> Result<Drawn> {
    let mut random = Random(seed);
    let mut documents: Vec<Value> = (1..).zip(NODES).map(|of| node(&mut random, of)).collect();
    let number = u8::try_from(seed % 250)? + 1;
    let mark = format!("10.96.9.{number}");
    documents.push(json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "shop", "name": "mark"},
        "spec": {"clusterIP": mark, "ports": [{"name": "http", "port": 80}]}}));
    documents.push(slice(
        "mark",
        1,
        &[json!({"name": "http", "port": 8080})],
        vec![json!({"addresses": [MARK]})],
    ));
    let count = 2 + random.below(SERVICES.len() - 1);
    for name in &SERVICES[..count] {
        documents.push(service(&mut random, name));
        // The hints that its endpoints have, as a rule.
        let hints = random.maybe(40, &["forZones", "forZones", "forNodes"]);
        for number in 1..=*random.pick(&[0, 1, 1, 2, 2, 2]) {
            documents.push(a_slice(&mut random, name, number, hints.copied()));
        }
        if random.chance(10) {
            // An endpoint at the address of a Service, to which nobody is led.
            let ports = [json!({"name": "http", "port": 80})];
            let endpoints = vec![json!({"addresses": [mark]})];
            documents.push(slice(name, 9, &ports, endpoints));
        }
    }
    Ok(Drawn {
        text: join(documents.iter().map(Value::to_string)),
        addresses: addresses(&documents)?,
        mark: SocketAddr::new(mark.parse()?, 80),
    })
}

fn node(random: &mut Random, (number, name): (u8, &str)) -> Value {
    let zone = random.maybe(15, &ZONES);
    let address = World::node_address(number).to_string();
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]}})
}

fn service(random: &mut Random, name: &str) -> Value {
    let policy = |random: &mut Random| *random.pick(&["Cluster", "Cluster", "Local"]);
    let mut ports = Vec::new();
    for (name, number) in &PORTS[..=random.below(2)] {
        let node_port = random.maybe(25, &NODE_PORTS);
        ports.push(json!({"name": name, "port": number, "nodePort": node_port}));
    }
    // Some are UDP alone: nobody takes a connection there.
    if random.chance(5) {
        ports[0]["protocol"] = "UDP".into();
    }
    let external: Vec<_> = random.maybe(30, &EXTERNAL).into_iter().collect();
    let balanced = random.maybe(30, &BALANCED);
    let balanced: Vec<Value> = balanced.iter().map(|ip| json!({"ip": ip})).collect();
    // A node that asks a load-balancer address comes from that address itself.
    let ranges = random.maybe(50, &["192.0.2.0/24", "203.0.113.8/32"]);
    let ranges: Vec<_> = ranges.into_iter().collect();
    let fallback = random
        .chance(20)
        .then(|| json!({"seaway.dev/local-fallback": "cluster"}));
    let day = 1 + random.below(3);
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "shop", "name": name, "annotations": fallback,
            "creationTimestamp": format!("2026-01-0{day}T00:00:00Z")},
        "spec": {"type": "LoadBalancer", "clusterIP": random.pick(&CLUSTER_IPS),
            "ports": ports, "externalIPs": external, "loadBalancerSourceRanges": ranges,
            "internalTrafficPolicy": policy(random), "externalTrafficPolicy": policy(random)},
        "status": {"loadBalancer": {"ingress": balanced}}})
}

fn a_slice(random: &mut Random, service: &str, number: usize, hints: Option<&str>) -> Value {
    let mut ports = Vec::new();
    for (name, _) in PORTS {
        // By its name, by a wrong one, or not at all.
        let name = *random.pick(&[name, name, name, name, name, "other"]);
        if random.chance(90) {
            ports.push(json!({"name": name, "port": random.pick(&TARGETS)}));
        }
    }
    ports.dedup_by(|one, other| one["name"] == other["name"]);
    let endpoints = (0..random.below(6)).map(|_| endpoint(random, hints));
    let endpoints = endpoints.collect();
    slice(service, number, &ports, endpoints)
}

fn slice(service: &str, number: usize, ports: &[Value], endpoints: Vec<Value>) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "shop", "name": format!("{service}-{number}"),
            "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints})
}

fn endpoint(random: &mut Random, hints: Option<&str>) -> Value {
    let conditions = [
        json!({}),
        json!({"ready": true}),
        json!({"ready": true}),
        json!({"ready": false}),
        json!({"ready": false, "serving": true, "terminating": true}),
        json!({"ready": false, "serving": false, "terminating": true}),
    ];
    let all: &[&str] = match hints {
        Some("forNodes") => &NODES[..2],
        _ => &ZONES,
    };
    let hinted = hints.filter(|_| !random.chance(4)).map(|kind| {
        let names: Vec<Value> = match random.below(3) {
            0 => all.iter().map(|name| json!({"name": name})).collect(),
            _ => vec![json!({"name": random.pick(all)})],
        };
        json!({kind: names})
    });
    json!({"addresses": [random.pick(&PODS)], "conditions": random.pick(&conditions),
        "nodeName": random.maybe(10, &NODES), "zone": random.maybe(10, &ZONES), "hints": hinted})
}

/// Where any node could meet the Services: each of their addresses at each port of any of them.
fn addresses(documents: &[Value]) -> Result<Vec<SocketAddr>> {
    let mut all = BTreeSet::new();
    let services = documents.iter().filter(|of| of["kind"] == "Service");
    for service in services.filter(|of| of["metadata"]["name"] != "mark") {
        let spec = &service["spec"];
        let one = [&spec["clusterIP"], &spec["externalIPs"][0]];
        let balanced = &service["status"]["loadBalancer"]["ingress"][0]["ip"];
        for ip in one.into_iter().chain([balanced]).filter_map(Value::as_str) {
            let ip: IpAddr = ip.parse()?;
            all.extend(PORTS.map(|(_, port)| SocketAddr::new(ip, port)));
        }
    }
    all.insert(SocketAddr::new(Ipv4Addr::new(10, 96, 0, 99).into(), 80));
    Ok(all.into_iter().collect())
}
