//! What a difference is told of: exactly what proxies would be sent. The words for it are tested
//! with the command (`tests/diff`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use seaway_proto::TypeUrl;
use seaway_translator::diff::{Difference, Harm, World, diff};
use seaway_translator::{Capture, Object, Options, Role, Snapshot, View, translate_once};
use support::{manifests, node, one, service, slice, view};

/// The objects of every golden test, by its name.
fn worlds() -> BTreeMap<String, Vec<Object>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let (objects, _) = manifests(&std::fs::read_to_string(&path).unwrap());
            all.insert(name, objects);
        }
    }
    assert!(all.len() > 20);
    all
}

fn views() -> Vec<View> {
    vec![
        view(Role::Node, "n1", "za"),
        view(Role::Node, "n2", "zb"),
        view(Role::Mesh, "n1", "za"),
        view(Role::Ingress, "n1", "za"),
        View::of(Role::Node),
    ]
}

fn options() -> Options {
    Options {
        allow_loopback_endpoints: true,
        ingress_without_class: true,
        ..Options::default()
    }
}

/// The resources that a proxy asks for: assignments those of its clusters alone.
fn sent(snapshot: &Snapshot) -> BTreeMap<(TypeUrl, &str), &[u8]> {
    let all = snapshot.resources.iter().filter(|((type_url, name), _)| {
        let cluster = (TypeUrl::CLUSTER, name.clone());
        *type_url != TypeUrl::ENDPOINT || snapshot.resources.contains_key(&cluster)
    });
    all.map(|((type_url, name), resource)| ((*type_url, &**name), &*resource.value))
        .collect()
}

/// What one proxy is sent, or has to remove, when one world takes the place of another.
fn differing(old: &[Object], new: &[Object], view: &View) -> BTreeSet<(String, String)> {
    let of = |objects: &[Object]| translate_once(options(), objects.to_vec(), view);
    let (old, new) = (of(old), of(new));
    let (old, new) = (sent(&old), sent(&new));
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differing = names
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key));
    differing
        .map(|(type_url, name)| (type_url.short().to_owned(), (*name).to_owned()))
        .collect()
}

fn compare(old: &[Object], new: &[Object], views: &[View]) -> Difference {
    let world = |objects: &[Object]| World::new(options(), objects.to_vec(), views);
    diff(&world(old), &world(new))
}

fn listed(difference: &Difference) -> BTreeSet<(String, String)> {
    let all = difference.resources.iter();
    all.map(|one| (one.kind.clone(), one.name.to_string()))
        .collect()
}

#[test]
fn a_world_does_not_differ_from_itself_in_whatever_order_it_comes() {
    for (name, objects) in worlds() {
        let reversed: Vec<Object> = objects.iter().rev().cloned().collect();
        let difference = compare(&objects, &reversed, &views());
        assert!(difference.is_silent(), "{name}");
        assert_eq!(difference.changed, [], "{name}");
    }
}

#[test]
fn what_is_told_is_what_is_sent() {
    let worlds: Vec<(String, Vec<Object>)> = worlds().into_iter().collect();
    let pairs = worlds.iter().zip(worlds.iter().skip(1));
    for ((one, old), (other, new)) in pairs {
        let mut all = BTreeSet::new();
        let mut most = 0;
        for view in views() {
            let expected = differing(old, new, &view);
            let alone = compare(old, new, std::slice::from_ref(&view));
            assert_eq!(listed(&alone), expected, "{one} to {other}, {view:?}");
            assert_eq!(alone.counts.most_resources, expected.len());
            most = most.max(expected.len());
            all.extend(expected);
        }
        let together = compare(old, new, &views());
        assert_eq!(listed(&together), all, "{one} to {other}");
        assert_eq!(together.counts.most_resources, most, "{one} to {other}");
        is_whole(&together);
    }
}

/// Whatever is sent is told of what it belongs to, in words, and reads back as it was written.
#[track_caller]
fn is_whole(difference: &Difference) {
    let told: BTreeSet<_> = difference.changed.iter().map(|c| &c.owner).collect();
    for resource in &difference.resources {
        assert!(told.contains(&resource.owner), "{resource:?}");
    }
    let mut before = Harm::Gone;
    for changed in &difference.changed {
        assert!(changed.harm() >= before, "the worst first: {changed:?}");
        before = changed.harm();
        for effect in &changed.effects {
            assert!(!effect.to_string().is_empty(), "{effect:?}");
        }
    }
    let text = serde_json::to_string(difference).unwrap();
    let read: Difference = serde_json::from_str(&text).unwrap();
    assert_eq!(read.changed, difference.changed);
    assert_eq!(read.counts, difference.counts);
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

/// A proxy in one zone has other endpoints than one in another: only those concerned are named.
#[test]
fn a_change_is_told_of_the_proxies_that_it_concerns() {
    let nodes = || {
        [
            node("n1", "a", ""),
            node("n2", "b", ""),
            node("n3", "b", ""),
        ]
    };
    let hinted = |ips: &[(&str, &str)]| {
        let each = ips.iter().map(|(ip, zone)| {
            format!("{{addresses: [{ip}], zone: {zone}, hints: {{forZones: [{{name: {zone}}}]}}}}")
        });
        slice(
            "web-1",
            "web",
            &format!("[{}]", each.collect::<Vec<_>>().join(", ")),
        )
    };
    let web = || service("web", "10.0.0.1", "");
    let world =
        |slice: Object| -> Vec<Object> { nodes().into_iter().chain([web(), slice]).collect() };
    let views = [
        view(Role::Node, "n1", ""),
        view(Role::Node, "n2", ""),
        view(Role::Node, "n3", ""),
    ];
    let old = world(hinted(&[
        ("10.1.0.1", "a"),
        ("10.1.0.2", "b"),
        ("10.1.0.3", "b"),
    ]));
    let new = world(hinted(&[("10.1.0.1", "a"), ("10.1.0.2", "b")]));
    let difference = compare(&old, &new, &views);
    let said: Vec<String> = difference.changed[0]
        .effects
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected =
        "zone b: 2 -> 1 preferred endpoints (10.1.0.3:8080 leaves); no connection is cut";
    assert_eq!(said, [expected]);

    let local = |slice: Object| -> Vec<Object> {
        let web = service("web", "10.0.0.1", ", internalTrafficPolicy: Local");
        nodes().into_iter().chain([web, slice]).collect()
    };
    let on = |names: &[&str]| {
        let each = (1..).zip(names);
        let each = each.map(|(n, name)| format!("{{addresses: [10.1.0.{n}], nodeName: {name}}}"));
        slice(
            "web-1",
            "web",
            &format!("[{}]", each.collect::<Vec<_>>().join(", ")),
        )
    };
    let difference = compare(&local(on(&["n1", "n2", "n3"])), &local(on(&["n1"])), &views);
    let effect = &difference.changed[0].effects[0];
    let expected = "! on n2, n3: no local endpoint is left (10.1.0.2:8080, 10.1.0.3:8080 leave); new connections are closed";
    assert_eq!(effect.to_string(), expected);
    assert!(effect.is_harm());
}

/// The sentences of all effects on the first owner that changes.
fn told(difference: &Difference) -> Vec<String> {
    let effects = difference.changed[0].effects.iter();
    effects.map(ToString::to_string).collect()
}

/// A port of datagrams and one of connections may have the same address and number: each has its
/// own fate, and the names theirs.
#[test]
fn what_becomes_of_an_address_that_is_gone_is_told_by_protocol() {
    let ports = |ports: &str| {
        one(&format!(
            "{{kind: Service, metadata: {{namespace: d, name: dns}}, \
             spec: {{clusterIP: 10.0.0.10, ports: [{ports}]}}}}"
        ))
    };
    let (udp, tcp) = (
        "{name: udp, port: 53, protocol: UDP}",
        "{name: tcp, port: 53}",
    );
    let endpoints = one(
        "{kind: EndpointSlice, metadata: {namespace: d, name: dns-1, \
         labels: {kubernetes.io/service-name: dns}}, addressType: IPv4, \
         ports: [{name: udp, port: 53, protocol: UDP}, {name: tcp, port: 53}], \
         endpoints: [{addresses: [10.1.0.1]}]}",
    );
    let whole = [ports(&format!("{udp}, {tcp}")), endpoints.clone()];
    let views = [View::of(Role::Node), View::of(Role::Mesh)];
    let under = |capture, new: &[Object]| {
        let options = Options {
            capture,
            ..options()
        };
        let world = |objects: &[Object]| World::new(options.clone(), objects.to_vec(), &views);
        told(&diff(&world(&whole), &world(new)))
    };
    let redirect = Some(Capture::Redirect);
    assert_eq!(
        under(redirect, &[]),
        [
            "! gone: 10.0.0.10:53 will be closed; open connections end with the drain time",
            "! gone: 10.0.0.10:53/udp will be refused; flows end",
            "! gone: dns.d will be answered with 404",
        ]
    );
    assert_eq!(
        under(redirect, &[ports(tcp), endpoints]),
        ["! 10.0.0.10:53 will be refused: the Service asks for it no more; flows end"]
    );
}

/// A Service of namespace `d` with this cluster IP; `extra` is more of its spec.
fn web(extra: &str) -> Object {
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: web}}, \
         spec: {{clusterIP: 10.0.0.1{extra}}}}}"
    ))
}

/// A slice with one endpoint for a Service.
fn endpoints(service: &str) -> Object {
    let name = format!("{service}-1");
    slice(&name, service, "[{addresses: [10.1.0.1]}]")
}

/// What takes the place of a listener takes its connections, which nobody refuses then: a Service
/// under another name, or another one with the address.
#[test]
fn an_address_that_another_service_has_is_not_refused() {
    let views = [view(Role::Node, "n1", "")];
    let renamed = compare(
        &[service("blue", "10.0.0.1", ""), endpoints("blue")],
        &[service("green", "10.0.0.1", ""), endpoints("green")],
        &views,
    );
    let expected =
        "! gone: 10.0.0.1:80 will be led elsewhere; open connections end with the drain time";
    assert_eq!(told(&renamed), [expected]);

    let given = |web_has: &str, other_has: &str| {
        let ports = ", ports: [{name: http, port: 80}]";
        let other = service("other", "10.0.0.2", other_has);
        let web = web(&format!("{ports}{web_has}"));
        [web, endpoints("web"), other, endpoints("other")]
    };
    let address = ", externalIPs: [192.0.2.1]";
    let lost = compare(&given(address, ""), &given("", address), &views);
    let mut changed = lost.changed.iter();
    let web = changed
        .find(|changed| &*changed.owner.name == "d/web")
        .unwrap();
    let said: Vec<String> = web.effects.iter().map(ToString::to_string).collect();
    let expected = "! 192.0.2.1:80 will be led elsewhere: Service d/other has it; open \
                    connections end with the drain time";
    assert_eq!(said, [expected]);
}

/// The same of another port of the Service itself, to which a node port moves: nobody loses it.
#[test]
fn a_node_port_that_moves_to_another_port_is_not_refused() {
    let views = [view(Role::Node, "n1", "")];
    let world = |number: u16| {
        let port = format!("{{name: http, port: {number}, nodePort: 30080}}");
        [web(&format!(", ports: [{port}]")), endpoints("web")]
    };
    let moved = compare(&world(80), &world(81), &views);
    let said = told(&moved);
    for expected in [
        "node port 30080 will be led elsewhere: it is that of port 81, as its nodeport; open \
         connections end with the drain time",
        "! 10.0.0.1:80 will be refused: the Service asks for it no more; open connections end \
         with the drain time",
    ] {
        assert!(said.iter().any(|text| text == expected), "{said:#?}");
    }
}

/// The port of a health check is lost to an older Service like any other address.
#[test]
fn a_health_check_says_who_has_its_port() {
    let views = [view(Role::Node, "n1", "")];
    let balanced = |name: &str, ip: &str, day: u8| {
        one(&format!(
            "{{kind: Service, metadata: {{namespace: d, name: {name}, \
             creationTimestamp: \"2026-01-0{day}T00:00:00Z\"}}, spec: {{type: LoadBalancer, \
             clusterIP: {ip}, externalTrafficPolicy: Local, healthCheckNodePort: 31000, \
             ports: [{{name: http, port: 80}}]}}}}"
        ))
    };
    let web = balanced("web", "10.0.0.1", 2);
    let endpoints = slice("web-1", "web", "[{addresses: [10.1.0.1], nodeName: n1}]");
    let old = [web.clone(), endpoints.clone()];
    let new = [web, endpoints, balanced("older", "10.0.0.2", 1)];
    let difference = compare(&old, &new, &views);
    let mut changed = difference.changed.iter();
    let web = changed
        .find(|changed| &*changed.owner.name == "d/web")
        .unwrap();
    let said = web.effects.iter().map(ToString::to_string);
    let said: Vec<String> = said.filter(|text| text.contains("31000")).collect();
    let expected = "! health check 31000 will be led elsewhere: Service d/older has it; open \
                    connections end with the drain time";
    assert_eq!(said, [expected]);
}
