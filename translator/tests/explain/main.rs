//! What is explained is everything, and nothing but what is published: for random worlds, places
//! and clients the endpoints, listeners and chains of an answer are those of the resources that a
//! proxy there is sent.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod connected;
mod meshes;
mod requests;
mod resources;
#[path = "../support/mod.rs"]
mod support;
mod unread;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use requests::takes;
use seaway_proto::{Resource, TypeUrl, json};
use seaway_translator::model::ServiceKey;
use seaway_translator::names::{ClusterName, FrontendName};
use seaway_translator::{
    Answer, Basis, Client, EndpointRow, IpNet, Layer, Object, ObjectKind, Options, Question, Role,
    Section, Served, Taken, View, Viewpoint,
};
use serde_json::Value;
use support::random::{an_op, options, rest, run};
use support::{World, asked, service, slice, view};

type Seen = BTreeMap<(TypeUrl, Arc<str>), Resource>;

/// The answer to a question about a Service, for connections of this client.
fn explain(world: &World, key: &ServiceKey, view: &View, client: Client) -> Answer {
    let question = Question::Service(key.clone(), None);
    let view = view.clone();
    world.translator.explain(
        &question,
        &Viewpoint {
            client,
            ..Viewpoint::of(view)
        },
    )
}

fn decoded(resource: &Resource) -> Value {
    json::to_value(resource.type_url.as_str(), &resource.value).unwrap()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The endpoints of an assignment, by priority.
fn published(seen: &Seen, cluster: &str) -> BTreeSet<(u64, String)> {
    let Some(resource) = seen.get(&(TypeUrl::ENDPOINT, cluster.into())) else {
        panic!("no assignment {cluster}");
    };
    let value = decoded(resource);
    let mut all = BTreeSet::new();
    for locality in array(&value["endpoints"]) {
        let priority = locality["priority"].as_u64().unwrap_or(0);
        for endpoint in array(&locality["lb_endpoints"]) {
            let socket = &endpoint["endpoint"]["address"]["socket_address"];
            let address = socket["address"].as_str().unwrap();
            let bracketed = address.contains(':');
            let address = if bracketed {
                format!("[{address}]")
            } else {
                address.to_owned()
            };
            all.insert((priority, format!("{address}:{}", socket["port_value"])));
        }
    }
    all
}

/// The endpoints that are said to be in the assignment of a cluster, by priority.
fn said(section: &Section, cluster: &ClusterName) -> BTreeSet<(u64, String)> {
    let is_v6 = cluster.to_string().ends_with("~v6");
    let rows = section.endpoints.iter();
    let of_family = rows.filter(|row| row.ip.is_ipv6() == is_v6);
    let with = of_family.filter_map(|row| Some((row.priority? as u64, row)));
    with.flat_map(|(priority, row)| {
        let addresses = row.addresses.iter();
        addresses.map(move |address| (priority, address.to_string()))
    })
    .collect()
}

/// The endpoints of all slices of a Service, by slice and position.
fn endpoints(objects: &[Object], key: &ServiceKey) -> BTreeSet<(Arc<str>, u32)> {
    let mut all = BTreeSet::new();
    for object in objects {
        if let Object::EndpointSlice(slice) = object
            && slice.service.as_ref() == Some(key)
        {
            all.extend(
                slice
                    .endpoints
                    .iter()
                    .map(|e| (slice.name.clone(), e.index)),
            );
        }
    }
    all
}

/// Every endpoint is there once, with a reason; the verdict on it is the one of its priority.
fn check_rows(section: &Section, expected: &BTreeSet<(Arc<str>, u32)>) {
    let rows = section.endpoints.iter();
    let said: Vec<_> = rows.map(|row| (row.slice.clone(), row.index)).collect();
    assert_eq!(said.len(), expected.len(), "{}", section.title);
    assert_eq!(
        said.into_iter().collect::<BTreeSet<_>>(),
        *expected,
        "{}",
        section.title
    );
    for row in &section.endpoints {
        let EndpointRow {
            taken,
            priority,
            because,
            field,
            state,
            ..
        } = row;
        assert!(
            !because.is_empty() && !field.is_empty() && !state.is_empty(),
            "{row:?}"
        );
        let agrees = match taken {
            Taken::Yes => *priority == Some(0),
            Taken::StandBy => priority.is_some_and(|priority| priority > 0),
            Taken::OldFlows => priority.is_some(),
            Taken::Local | Taken::No => priority.is_none(),
        };
        assert!(agrees, "{row:?}");
    }
}

/// The listeners of Service addresses that a view has.
fn listeners(seen: &Seen) -> BTreeSet<String> {
    let names = seen.keys().filter(|(of, _)| *of == TypeUrl::LISTENER);
    let names = names.map(|(_, name)| name.to_string());
    names
        .filter(|name| name.parse::<FrontendName>().is_ok())
        .collect()
}

/// The cluster that the first section names.
fn cluster_of(answer: &Answer) -> Option<&str> {
    let mut facts = answer.sections[0].facts.iter();
    facts
        .find(|fact| fact.label == "cluster")
        .map(|fact| &*fact.text)
}

/// Asks for each name that a mesh proxy knows.
fn check_names(world: &World, seen: &Seen, view: &View) {
    // Those that take one table ask for no scopes.
    let (type_url, field) = match view.whole_table {
        true => (TypeUrl::ROUTE, ""),
        false => (TypeUrl::SCOPED_ROUTE, "/route_configuration"),
    };
    // What is at addresses has no names.
    let by_name = |name: &str| !name.starts_with("svc/");
    for (_, resource) in seen
        .iter()
        .filter(|((of, name), _)| *of == type_url && by_name(name))
    {
        let value = decoded(resource);
        let routes = value.pointer(field).unwrap();
        for host in array(&routes["virtual_hosts"]) {
            let cluster = host["routes"][0]["route"]["cluster"].as_str();
            for name in array(&host["domains"]).filter_map(Value::as_str) {
                let name = asked(name);
                let question = Question::read(&format!("http://{name}/"), "d").unwrap();
                let answer = world
                    .translator
                    .explain(&question, &Viewpoint::of(view.clone()));
                let section = &answer.sections[0];
                if !section.facts.iter().any(|fact| fact.label == "rule") {
                    assert_eq!(cluster_of(&answer), cluster, "{name}: {answer:#?}");
                    continue;
                }
                // Rules decide, as Envoy tries them.
                let mut taken = array(&host["routes"])
                    .filter_map(|route| Some((takes(route, "/")?, &route["route"])));
                let (wanted, route) = taken.next().unwrap();
                let wanted = match &route["host_rewrite_literal"] {
                    // An ExternalName is told by that.
                    Value::String(name) if route["cluster"].is_string() => {
                        format!("goes to {name}")
                    }
                    _ => wanted,
                };
                assert!(
                    section.verdict[0].contains(&wanted),
                    "{wanted}: {answer:#?}"
                );
            }
        }
    }
}

fn check(world: &World, objects: &[Object], view: &View) {
    let place = world.translator.place(view);
    let imports = place.contains(&Layer::Importers);
    let seen = world.published.seen(&place);
    if view.role == Role::Mesh {
        check_names(world, &seen, view);
    }
    let mut named = BTreeSet::new();
    let services = objects
        .iter()
        .filter(|object| object.id().kind == ObjectKind::Service);
    for id in services.map(Object::id) {
        let key = ServiceKey {
            namespace: id.namespace,
            name: id.name,
        };
        let answer = explain(world, &key, view, Client::Anybody);
        for section in &answer.sections {
            // Behind an alias comes the section of its target.
            if let Some(port) = &section.port {
                let (namespace, name) = port.service.split_once('/').unwrap();
                let (namespace, name) = (namespace.into(), name.into());
                let of = ServiceKey { namespace, name };
                check_rows(section, &endpoints(objects, &of));
            }
            for cluster in section.port.iter().flat_map(|port| &port.clusters) {
                let name: ClusterName = cluster.parse().unwrap();
                // Of the target of an alias that alone is imported there is what is led to.
                let is_led_to = seen.contains_key(&(TypeUrl::ENDPOINT, Arc::from(&**cluster)));
                if name.port.service != key && imports && !is_led_to {
                    continue;
                }
                assert_eq!(
                    said(section, &name),
                    published(&seen, cluster),
                    "{answer:#?}"
                );
            }
            let listeners = section.addresses.iter().filter_map(|a| a.listener.clone());
            named.extend(listeners);
            let taken = section.endpoints.iter().any(|row| row.taken == Taken::Yes);
            let any = section
                .endpoints
                .iter()
                .any(|row| row.taken == Taken::Local);
            if section.served == Served::Yes && view.role == Role::Node {
                let answered = section.verdict.iter().any(|v| v.contains("listens there"));
                assert!(taken || any || answered, "{section:#?}");
            }
        }
        // The basis is not for programs.
        let shown = Answer {
            basis: Basis::default(),
            ..answer.clone()
        };
        assert_eq!(
            shown,
            serde_json::from_value(serde_json::to_value(&answer).unwrap()).unwrap()
        );
    }
    assert_eq!(named, listeners(&seen), "{view:?}");
}

/// The cluster of the chain of a TCP listener that Envoy takes for a source, by its own rules.
fn chain(listener: &Value, ip: IpAddr, source: IpAddr) -> Option<String> {
    let mut best: Option<(u16, u16, Option<String>)> = None;
    for chain in array(&listener["filter_chains"]).chain([&listener["default_filter_chain"]]) {
        let matches = &chain["filter_chain_match"];
        let longest = |ranges: &Value, of: IpAddr| -> Option<u16> {
            if ranges.as_array().is_none_or(Vec::is_empty) {
                return Some(0);
            }
            let within = array(ranges).filter_map(|range| {
                let prefix = range["address_prefix"].as_str()?;
                let length = range["prefix_len"].as_u64().unwrap_or(0);
                let range: IpNet = format!("{prefix}/{length}").parse().ok()?;
                range
                    .contains(&of)
                    .then(|| u16::from(range.prefix_len()) + 1)
            });
            within.max()
        };
        if chain.is_null() {
            continue;
        }
        let (Some(to), Some(from)) = (
            longest(&matches["prefix_ranges"], ip),
            longest(&matches["source_prefix_ranges"], source),
        ) else {
            continue;
        };
        let is_node = source == ip || source.is_loopback();
        let from = match matches["source_type"].as_str() {
            None => from,
            Some(_) if is_node => 1000,
            Some(_) => continue,
        };
        let filter = array(&chain["filters"]).last();
        let cluster = filter.and_then(|filter| filter["typed_config"]["cluster"].as_str());
        if best.as_ref().is_none_or(|(a, b, _)| (*a, *b) < (to, from)) {
            best = Some((to, from, cluster.map(str::to_owned)));
        }
    }
    best.and_then(|(_, _, cluster)| cluster)
}

/// Asks for each listener of a view where a client's connections go, and asks Envoy's rules, too.
fn check_client(world: &World, view: &View, source: IpAddr) {
    let seen = world.published.seen(&world.translator.place(view));
    for name in listeners(&seen) {
        let resource = &seen[&(TypeUrl::LISTENER, Arc::from(&*name))];
        let value = decoded(resource);
        let listener: FrontendName = name.parse().unwrap();
        let ip = listener.address.ip();
        if value["udp_listener_config"].is_object()
            || ip.is_unspecified()
            || ip.is_ipv6() != source.is_ipv6()
            // An address may say on which node its proxy is.
            || view.node.is_none()
        {
            continue;
        }
        let key = &listener.port.service;
        let answer = explain(world, key, view, Client::Address(source));
        let sections = answer.sections.iter().filter(|section| {
            let mut addresses = section.addresses.iter();
            addresses.any(|address| address.listener.as_ref() == Some(&name))
        });
        let sections: Vec<&Section> = sections.collect();
        assert_eq!(sections.len(), 1, "{name}: {answer:#?}");
        let routes = value.pointer("/filter_chains/0/filters/0/typed_config/rds");
        if routes.is_some() {
            let mut verdict = sections[0].verdict.iter();
            let is_said = verdict.any(|sentence| sentence.contains("is taken as HTTP"));
            assert!(is_said, "{name} {source}: {answer:#?}");
            continue;
        }
        let clusters = &sections[0].port.as_ref().unwrap().clusters;
        match chain(&value, ip, source) {
            Some(cluster) => assert!(clusters.contains(&cluster), "{name} {source}: {answer:#?}"),
            None => {
                let closed = sections[0].verdict.iter();
                let closed = closed.filter(|sentence| sentence.contains("accepted and closed"));
                assert!(closed.count() > 0, "{name} {source}: {answer:#?}");
            }
        }
    }
}

fn a_source() -> impl Strategy<Value = IpAddr> {
    let all = [
        "10.1.0.7",
        "10.2.0.7",
        "192.0.2.1",
        "192.0.2.5",
        "10.9.9.9",
        "127.0.0.1",
        "fd01::9",
    ];
    select(all.map(|text| text.parse().unwrap()).to_vec())
}

fn cases() -> u32 {
    let asked = std::env::var("SEAWAY_WORLDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_explained_is_everything_and_what_is_published(
        options in options(),
        ops in prop::collection::vec(an_op(), 10..60),
        source in a_source(),
    ) {
        let world = run(options, &ops);
        let (objects, views) = rest(&ops);
        for view in &views {
            check(&world, &objects, view);
            check_client(&world, view, source);
        }
    }

    #[test]
    fn no_question_panics(
        options in options(),
        ops in prop::collection::vec(an_op(), 10..40),
        text in "[a-z0-9./:\\[\\]@-]{0,20}|d/[ab](:(http|80|53/udp))?|(10\\.96\\.0\\.[1-3]|192\\.0\\.2\\.1|0\\.0\\.0\\.0):(80|30080|22)(/udp)?|https?://[ab]\\.d(:80)?/x|(ingress|gateway|httproute)/d/a",
        from in select(&["node/n1", "node/n9", "zone/za", "10.1.0.1", "::1"][..]),
        role in select(&[Role::Node, Role::Mesh, Role::Ingress][..]),
    ) {
        let world = run(options, &ops);
        if let Ok(question) = Question::read(&text, "d") {
            let viewpoint = Viewpoint::of(View::of(role)).from(from).unwrap();
            let answer = world.translator.explain(&question, &viewpoint);
            prop_assert!(!answer.sections.is_empty(), "{answer:#?}");
            prop_assert!(answer.sections.iter().any(|section| !section.verdict.is_empty()), "{answer:#?}");
            let again = Question::read(&answer.asked, "other").unwrap();
            prop_assert_eq!(again, question);
        }
    }
}

/// Service rule 60: an endpoint without a node is on no proxy's own, at an address and by name
/// alike.
#[test]
fn without_any_node_a_local_policy_serves_nobody() {
    let mut world = World::new(Options::default());
    world.apply([
        service("web", "10.96.0.1", ", internalTrafficPolicy: Local"),
        slice("web-1", "web", "[{addresses: [10.1.0.1]}]"),
    ]);
    let key = ServiceKey {
        namespace: "d".into(),
        name: "web".into(),
    };
    for (role, what) in [
        (
            Role::Node,
            "A connection to 10.96.0.1:80 is accepted and closed",
        ),
        (Role::Mesh, "A new request to web.d:80 is answered with 503"),
    ] {
        let answer = explain(&world, &key, &View::of(role), Client::Anybody);
        let expected = format!("{what}: no node has an endpoint.");
        assert_eq!(answer.sections[0].verdict, [expected]);
        assert_eq!(answer.served, Served::No);
    }
}

/// In a debug build, on a busy machine: to look at all endpoints for each would take far longer.
#[test]
fn an_answer_with_ten_thousand_endpoints_is_there_soon() {
    let mut world = World::new(Options::default());
    let each = (0..10_000).map(|i| {
        let (a, b) = (i / 250, i % 250);
        format!(
            "{{addresses: [10.0.{a}.{b}], nodeName: n{b}, hints: {{forZones: [{{name: za}}]}}}}"
        )
    });
    let list = each.collect::<Vec<_>>().join(", ");
    world.apply([
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", &format!("[{list}]")),
    ]);
    let (namespace, name) = ("d".into(), "web".into());
    let key = ServiceKey { namespace, name };
    let here = view(Role::Node, "n1", "za");
    let begin = std::time::Instant::now();
    let answer = explain(&world, &key, &here, Client::Anybody);
    let taken = begin.elapsed();
    assert_eq!(answer.sections[0].endpoints.len(), 10_000);
    assert!(taken.as_secs() < 5, "{taken:?}");
}
