//! A world of Kubernetes objects: Services and EndpointSlices over nodes in zones, half of them
//! different by place.
//!
//! The first endpoint of each zone carries the time of its change in its address, 11.x.y.z to
//! 13.x.y.z, as microseconds modulo 2^24; so whatever a place is shown of a slice, it shows the
//! time.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::Result;
use k8s_openapi::api::core::v1::{Node, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForZone,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::world::Size;

/// Zones of the world.
pub const ZONES: [&str; 3] = ["a", "b", "c"];
const ADDRESS: u32 = (1 << 24) - 1;

/// What makes a Service look different from place to place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Plain,
    /// What comes from outside stays on its node.
    Local,
    /// Every endpoint is meant for its own zone.
    Hints,
}

fn kind(service: u32) -> Kind {
    match service % 4 {
        0 => Kind::Local,
        2 => Kind::Hints,
        _ => Kind::Plain,
    }
}

/// The name of a node.
pub fn node_name(node: u32) -> String {
    format!("n{node}")
}

/// The zone of a node.
pub fn zone(node: u32) -> &'static str {
    ZONES[node as usize % ZONES.len()]
}

/// An object as a source has it: decoded from what an API server sends.
pub fn decoded<T: DeserializeOwned>(object: &impl Serialize) -> Result<T> {
    Ok(serde_json::from_slice(&serde_json::to_vec(object)?)?)
}

/// A node.
pub fn node(number: u32) -> Node {
    let labels = [("topology.kubernetes.io/zone", zone(number))];
    Node {
        metadata: ObjectMeta {
            name: Some(node_name(number)),
            labels: Some(pairs(labels)),
            ..ObjectMeta::default()
        },
        ..Node::default()
    }
}

/// A Service. Those with a Local policy have a node port.
pub fn service(number: u32) -> Service {
    let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 96, 0, 0)) + 10 + number).to_string();
    let local = kind(number) == Kind::Local;
    let port = ServicePort {
        name: Some("http".to_owned()),
        port: 80,
        protocol: Some("TCP".to_owned()),
        node_port: local.then(|| 30_000 + i32::try_from(number % 2000).unwrap_or_default()),
        ..ServicePort::default()
    };
    Service {
        metadata: metadata(number, ""),
        spec: Some(ServiceSpec {
            type_: local.then(|| "NodePort".to_owned()),
            external_traffic_policy: local.then(|| "Local".to_owned()),
            cluster_ip: Some(ip.clone()),
            cluster_ips: Some(vec![ip]),
            selector: Some(pairs([("app", "x")])),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The slice of a Service, changed at `stamp` nanoseconds; 0 is never.
pub fn slice(number: u32, size: Size, nodes: u32, stamp: u64) -> EndpointSlice {
    let mut metadata = metadata(number, "-x1");
    let name = format!("service-{number:05}");
    metadata.labels = Some(pairs([("kubernetes.io/service-name", name.as_str())]));
    EndpointSlice {
        address_type: "IPv4".to_owned(),
        metadata,
        ports: Some(vec![EndpointPort {
            name: Some("http".to_owned()),
            port: Some(8080),
            protocol: Some("TCP".to_owned()),
            ..EndpointPort::default()
        }]),
        endpoints: Some(
            (0..size.endpoints)
                .map(|index| endpoint(number, index, size, nodes, stamp))
                .collect(),
        ),
    }
}

fn endpoint(number: u32, index: u32, size: Size, nodes: u32, stamp: u64) -> Endpoint {
    let node = (number + index) % nodes;
    let stamped = stamp > 0 && (index as usize) < ZONES.len();
    let micros = (stamp / 1000) & u64::from(ADDRESS);
    let address = match stamped {
        true => ((11 + index) << 24) | u32::try_from(micros).unwrap_or_default(),
        false => u32::from(Ipv4Addr::new(10, 128, 0, 0)) + number * size.endpoints + index,
    };
    let zone = zone(node).to_owned();
    let hints = (kind(number) == Kind::Hints).then(|| EndpointHints {
        for_zones: Some(vec![ForZone { name: zone.clone() }]),
        ..EndpointHints::default()
    });
    Endpoint {
        addresses: vec![Ipv4Addr::from(address).to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(true),
            serving: Some(true),
            terminating: Some(false),
        }),
        hints,
        node_name: Some(node_name(node)),
        zone: Some(zone),
        ..Endpoint::default()
    }
}

fn metadata(number: u32, suffix: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(format!("service-{number:05}{suffix}")),
        namespace: Some(format!("team-{}", number % 100)),
        ..ObjectMeta::default()
    }
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    owned.into()
}
