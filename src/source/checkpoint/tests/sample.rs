//! What `sample.jsonl` holds: every kind of object, and every field with something in it.

use std::sync::Arc;

use seaway_translator::model::{
    AppProtocol, Balance, Condition, Ejection, Endpoint, EndpointSlice, Exposure, Family, HashBy,
    Kind, Limits, Node, Policy, Protocol, ProxyProtocol, Retry, Service, ServiceKey, ServicePort,
    ServiceSettings, SlicePort, SourceRanges, Timeouts,
};
use seaway_translator::status::StatusAddress;
use seaway_translator::{Object, Problem, Reason};

use super::routes;
use crate::source::checkpoint::Entry;

/// A Service with as little as there can be.
fn bare() -> Service {
    Service {
        key: key("headless"),
        created: i64::MAX,
        kind: Kind::Headless,
        proxy_name: Some("".into()),
        selector: "".into(),
        of_gateway: None,
        managed: false,
        cluster_ips: Box::default(),
        primary_family: Family::V6,
        ports: Box::default(),
        external_ips: Box::default(),
        lb_ips: Box::default(),
        exposure: Exposure::ClusterIp,
        internal_policy: Policy::Cluster,
        external_policy: Policy::Cluster,
        local_fallback: false,
        source_ranges: SourceRanges::default(),
        health_check_port: None,
        affinity: None,
        proxy_protocol: None,
        outlier_detection: None,
        connect_timeout: None,
        udp_idle_timeout: None,
        accounts: None,
        settings: ServiceSettings::default(),
        problems: Box::default(),
    }
}

pub(super) fn sample() -> Vec<Entry> {
    let of = |file: &str, object: Object| Entry {
        file: Some(file.into()),
        object,
    };
    let bare = bare();
    let alias = |name: &str, target: Option<&str>| Service {
        key: key(name),
        kind: Kind::ExternalName(target.map(Arc::from)),
        settings: ServiceSettings {
            balance: Balance::Hash(HashBy::Header("x-user".into())),
            ..ServiceSettings::default()
        },
        exposure: Exposure::NodePort,
        proxy_protocol: Some(ProxyProtocol::V1),
        ..bare.clone()
    };
    let mut entries = vec![
        of("a.yaml", Object::Service(Arc::new(service()))),
        of("a.yaml", Object::EndpointSlice(Arc::new(slice()))),
        of(
            "b/c.json",
            Object::Service(Arc::new(alias("alias", Some("www.example.com")))),
        ),
        of("b/c.json", Object::Service(Arc::new(alias("broken", None)))),
        of("b/c.json", Object::Service(Arc::new(bare))),
        Entry {
            file: None,
            object: Object::Node(Arc::new(node())),
        },
    ];
    entries.extend(
        routes::objects()
            .into_iter()
            .map(|object| of("routes.yaml", object)),
    );
    entries
}

fn key(name: &str) -> ServiceKey {
    ServiceKey {
        namespace: "default".into(),
        name: name.into(),
    }
}

fn exposure() -> Exposure {
    let ip = StatusAddress::Ip("2001:db8::1".parse().unwrap());
    let name = StatusAddress::Hostname("lb.example.com".into());
    Exposure::LoadBalancer([ip, name].into())
}

/// Ports of every protocol.
fn ports() -> Box<[ServicePort]> {
    let port = |index: u16, name: &str, protocol| ServicePort {
        index: index.into(),
        name: name.into(),
        number: (80 + index).try_into().unwrap(),
        protocol,
        target: (8_000 + index).try_into().ok(),
        node_port: (30_000 + index).try_into().ok(),
        app_protocol: AppProtocol::Http1,
    };
    let h2c = ServicePort {
        node_port: None,
        app_protocol: AppProtocol::H2c,
        ..port(3, "h2c", Protocol::Tcp)
    };
    [
        port(0, "", Protocol::Tcp),
        port(1, "dns", Protocol::Udp),
        port(2, "x", Protocol::Sctp),
        h2c,
    ]
    .into()
}

fn settings() -> ServiceSettings {
    ServiceSettings {
        timeouts: Timeouts {
            request: Some(5000),
            backend_request: Some(500),
        },
        retry: Some(Retry {
            attempts: 2,
            codes: [502, 503].into(),
            pause: 100.try_into().ok(),
        }),
        balance: Balance::default(),
        limits: Limits {
            connections: 100.try_into().ok(),
            pending: 50.try_into().ok(),
            requests: 200.try_into().ok(),
        },
        ejection: Ejection {
            errors: 3.try_into().ok(),
            time: 30_000.try_into().ok(),
            most: 50.try_into().ok(),
        },
    }
}

fn service() -> Service {
    let problem = |make: fn(String, String, Reason, String) -> Problem, field: &str| {
        let object = "Service default/web".to_owned();
        make(
            object,
            field.to_owned(),
            Reason::InvalidValue,
            "\"?\" is\u{0} no välue\n".to_owned(),
        )
    };
    Service {
        key: key("web"),
        created: 1_700_000_000,
        kind: Kind::ClusterIp,
        proxy_name: None,
        selector: "app=web".into(),
        of_gateway: Some(("edge".into(), "g".into())),
        managed: true,
        cluster_ips: ["10.96.0.1", "fd00::1"]
            .map(|ip| ip.parse().unwrap())
            .into(),
        primary_family: Family::V4,
        ports: ports(),
        external_ips: [(1, "192.0.2.1".parse().unwrap())].into(),
        lb_ips: [(0, "2001:db8::1".parse().unwrap())].into(),
        exposure: exposure(),
        internal_policy: Policy::Local,
        external_policy: Policy::Local,
        local_fallback: true,
        source_ranges: SourceRanges {
            v4: Some(["10.0.0.0/8".parse().unwrap()].into()),
            v6: Some(Box::default()),
        },
        health_check_port: 31_000.try_into().ok(),
        affinity: 60.try_into().ok(),
        proxy_protocol: Some(ProxyProtocol::V2),
        outlier_detection: 3.try_into().ok(),
        connect_timeout: 3000.try_into().ok(),
        udp_idle_timeout: 60_000.try_into().ok(),
        accounts: Some(["api".into(), "web".into()].into()),
        settings: settings(),
        problems: [
            problem(Problem::error, "spec.a"),
            problem(Problem::warning, "spec.b"),
        ]
        .into(),
    }
}

fn slice() -> EndpointSlice {
    let endpoint = |index: u32, condition| Endpoint {
        index,
        ip: format!("10.1.0.{index}").parse().unwrap(),
        condition,
        terminating: condition == Condition::ServingTerminating,
        node: Some("n1".into()),
        zone: None,
        hostname: Some("web-0".into()),
        zone_hints: ["a", "b"].map(Arc::from).into(),
        node_hints: Box::default(),
    };
    EndpointSlice {
        namespace: "default".into(),
        name: "web-1".into(),
        service: Some(key("web")),
        headless: true,
        changed: i64::MIN,
        ports: [SlicePort {
            name: "dns".into(),
            protocol: Protocol::Udp,
            number: 53.try_into().unwrap(),
        }]
        .into(),
        endpoints: [
            Condition::Ready,
            Condition::ServingTerminating,
            Condition::Unusable,
        ]
        .into_iter()
        .zip(1..)
        .map(|(condition, index)| endpoint(index, condition))
        .collect(),
        problems: Box::default(),
    }
}

fn node() -> Node {
    Node {
        name: "n1".into(),
        zone: Some("a".into()),
        region: None,
        addresses: ["192.0.2.7".parse().unwrap()].into(),
        pod_cidrs: ["10.1.0.0/24".parse().unwrap(), "fd01::/64".parse().unwrap()].into(),
        leaving: true,
        problems: Box::default(),
    }
}
