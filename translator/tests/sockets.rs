//! How many listeners a proxy of role `node` has to bind, and when that becomes a problem.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use seaway_translator::{Capture, Object, Options, Reason, Role, Severity};
use support::{World, one, service, slice, view};

const HERE: &str = "[{addresses: [10.1.0.1], nodeName: n1}]";

/// A Service with five bound listeners: two kinds of addresses for two ports, and a health check.
fn balanced() -> [Object; 2] {
    let service = "{kind: Service, metadata: {namespace: d, name: web}, spec: {type: LoadBalancer, clusterIP: 10.96.0.1, \
         externalTrafficPolicy: Local, healthCheckNodePort: 31000, \
         ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, port: 53, nodePort: 30053, protocol: UDP}]}}";
    let slice = "{kind: EndpointSlice, metadata: {namespace: d, name: web-1, labels: {kubernetes.io/service-name: web}}, \
         addressType: IPv4, ports: [{name: http, port: 8080}, {name: dns, port: 5353, protocol: UDP}], endpoints: \
         [{addresses: [10.1.0.1], nodeName: n1}]}";
    [one(service), one(slice)]
}

fn node(name: &str, addresses: &[&str]) -> Object {
    let own = addresses
        .iter()
        .map(|ip| format!("{{type: InternalIP, address: {ip}}}"));
    let own: Vec<String> = own.collect();
    one(&format!(
        "{{kind: Node, metadata: {{name: {name}}}, status: {{addresses: [{}]}}}}",
        own.join(", ")
    ))
}

fn limited(max_bound_listeners: usize) -> Options {
    Options {
        max_bound_listeners,
        ..Options::default()
    }
}

/// The messages that stand, shortened to what they say of the limit.
fn warnings(world: &World) -> Vec<String> {
    let problems = world.translator.problems().into_iter();
    let of_limit = problems.filter(|problem| problem.reason == Reason::TooManyListeners);
    let share = |problem: seaway_translator::Problem| {
        assert_eq!(problem.severity, Severity::Warning);
        assert_eq!(problem.object.to_string(), "Role node");
        let (share, _) = problem.message.split_once(" --max").unwrap();
        share.trim_start_matches("a proxy binds ").to_owned()
    };
    of_limit.map(share).collect()
}

/// How many listeners a proxy on n1 has to bind, found by the limit at which the warning about more
/// of them ends.
fn bound(options: &Options, objects: &[Object]) -> usize {
    let beyond = |limit: &usize| {
        let mut world = World::new(Options {
            max_bound_listeners: *limit,
            ..options.clone()
        });
        for name in ["n1", "n2"] {
            world.translator.activate(&view(Role::Node, name, ""));
        }
        world.apply(objects.to_vec());
        warnings(&world) == ["more than"]
    };
    (1..100).find(|limit| !beyond(limit)).unwrap()
}

#[test]
fn nearing_the_limit_is_a_problem_and_so_is_passing_it_until_services_go() {
    let mut world = World::new(limited(5));
    let mut add = |number: usize, endpoints: &str| {
        let (name, ip) = (format!("s{number}"), format!("10.96.0.{number}"));
        let object = service(&name, &ip, "");
        world.apply([
            object.clone(),
            slice(&format!("{name}-1"), &name, endpoints),
        ]);
        (object, warnings(&world))
    };
    for number in 1..5 {
        assert_eq!(add(number, HERE).1, [""; 0], "{number} of 5");
    }
    assert_eq!(
        add(9, "[]").1,
        [""; 0],
        "without endpoints nothing is bound"
    );
    let (fifth, near) = add(5, HERE);
    assert_eq!(near, ["more than 80 % of"]);
    let (sixth, beyond) = add(6, HERE);
    assert_eq!(beyond, ["more than"]);
    assert_eq!(
        world.translator.problem_counts()[&Reason::TooManyListeners],
        1
    );
    world.delete(&sixth);
    assert_eq!(warnings(&world), ["more than 80 % of"]);
    world.apply([slice("s5-1", "s5", "[]")]);
    assert_eq!(warnings(&world), [""; 0], "a listener less");
    world.apply([slice("s5-1", "s5", HERE)]);
    world.delete(&fifth);
    assert_eq!(warnings(&world), [""; 0]);
}

#[test]
fn a_limit_of_nothing_means_no_warning() {
    let mut world = World::new(limited(0));
    world.apply(balanced());
    assert_eq!(warnings(&world), [""; 0]);
}

#[test]
fn what_is_counted_is_what_one_proxy_binds() {
    let nodes = [
        node("n1", &["192.0.2.1"]),
        node("n2", &["192.0.2.2", "192.0.2.3"]),
    ];
    let objects: Vec<Object> = balanced().into_iter().chain(nodes).collect();
    let with = |capture, nodeport_addresses: &str| Options {
        capture: Some(capture),
        nodeport_addresses: nodeport_addresses.parse().unwrap(),
        ..Options::default()
    };
    assert_eq!(
        bound(&with(Capture::Bind, "all"), &objects),
        5,
        "a node's own listener hides the role's"
    );
    assert_eq!(
        bound(&with(Capture::Redirect, "all"), &objects),
        3,
        "UDP and the health check"
    );
    assert_eq!(bound(&with(Capture::Bind, "primary"), &objects), 5);
    let most = "the node with the most addresses counts";
    assert_eq!(
        bound(&with(Capture::Bind, "192.0.2.0/24"), &objects),
        8,
        "{most}"
    );
}
