//! How connections are carried, as it changes: session affinity and the annotations for endpoints.

mod support;

use seaway_translator::{Options, Role};
use support::{World, service, slice, view};

const A: &str = "[{addresses: [10.1.0.1], nodeName: n1}]";
const AB: &str = "[{addresses: [10.1.0.1], nodeName: n1}, {addresses: [10.1.0.2], nodeName: n2}]";

#[test]
fn t088_affinity_comes_and_goes_with_the_cluster_the_listeners_and_the_routes_alone() {
    let mut world = World::new(Options::default());
    world.translator.activate(&view(Role::Node, "n1", ""));
    let with = |extra: &str| service("web", "10.96.0.1", extra);
    world.apply([with(""), slice("web-1", "web", A)]);
    let switched = [
        "inside Cluster d/web/80",
        // What hashes has a form of its own for gRPC clients.
        "role:grpc Cluster d/web/80",
        "role:mesh ScopedRouteConfiguration d/web",
        "role:mesh ScopedRouteConfiguration d/web:80",
        "role:mesh ScopedRouteConfiguration d/web@10.96.0.1",
        "role:node Listener d/web/80@clusterip:10.96.0.1:80",
    ];
    assert_eq!(world.apply([with(", sessionAffinity: ClientIP")]), switched);
    assert_eq!(
        world.apply([slice("web-1", "web", AB)]),
        ["all ClusterLoadAssignment d/web/80"]
    );
    let timeout =
        ", sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}";
    assert_eq!(world.apply([with(timeout)]), switched[5..]);
    assert_eq!(world.apply([with("")]), switched);
}
