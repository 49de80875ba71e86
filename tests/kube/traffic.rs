//! Services, slices and nodes of a cluster become traffic. These tests run against a real API
//! server, too.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{KubeApi, ServiceManifest, SliceManifest, World, join, node};
use serde_json::{Value, json};

use crate::discovery::Proxy;

const WEB: &str = "10.96.0.10:80";
const ZONE: &str = "topology.kubernetes.io/zone";

fn web() -> ServiceManifest {
    ServiceManifest::new("web")
        .cluster_ip("10.96.0.10")
        .port("http", 80)
}

fn slice(address: &str) -> SliceManifest {
    SliceManifest::new("web")
        .port("http", 8080)
        .endpoint(address)
}

/// The only endpoint of the slice is another one.
fn lead_to(cluster: &dyn KubeApi, address: &str) -> Result<()> {
    cluster.edit("endpointslices", "default", "web-1", &|slice| {
        slice["endpoints"] = json!([{"addresses": [address], "conditions": {"ready": true}}]);
    })
}

#[test]
fn what_a_cluster_holds_becomes_traffic_and_so_does_every_change() -> Result<()> {
    World::run(|world| {
        let _backends = [
            world.backend("web-1", "10.244.1.10")?,
            world.backend("web-2", "10.244.1.11")?,
        ];
        let cluster = world.cluster()?;
        cluster.apply(&join([node("n1", "a"), node("n2", "b")]))?;
        cluster.apply(&join([web().document(), slice("10.244.1.10").document()]))?;
        world.start_seaway_on(&*cluster, &[])?;
        let n1 = world.start_node("n1", "a")?;
        n1.await_backend(WEB, "web-1")?;
        lead_to(&*cluster, "10.244.1.11")?;
        n1.await_backend(WEB, "web-2")?;

        let port = |number: u16| {
            move |service: &mut Value| service["spec"]["ports"][0]["port"] = number.into()
        };
        cluster.edit("services", "default", "web", &port(81))?;
        n1.await_backend("10.96.0.10:81", "web-2")?;
        n1.await_refused(WEB)?;
        cluster.edit("services", "default", "web", &port(80))?;
        n1.await_backend(WEB, "web-2")?;

        cluster.delete("endpointslices", "default", "web-1")?;
        n1.await_refused(WEB)?;
        cluster.apply(&slice("10.244.1.10").document())?;
        n1.await_backend(WEB, "web-1")?;
        cluster.delete("services", "default", "web")?;
        n1.await_refused(WEB)?;
        cluster.apply(&web().document())?;
        n1.await_backend(WEB, "web-1")
    })
}

#[test]
fn the_zone_of_a_node_is_the_one_that_the_cluster_says() -> Result<()> {
    World::run(|world| {
        let _backends = [
            world.backend("in-a", "10.244.1.10")?,
            world.backend("in-b", "10.244.1.11")?,
        ];
        let cluster = world.cluster()?;
        let slice = SliceManifest::new("web").port("http", 8080);
        let hints = |zone: &str| json!({"forZones": [{"name": zone}]});
        let slice = slice
            .endpoint_on("10.244.1.10", "n1", "a")
            .on_endpoint("hints", hints("a"));
        let slice = slice
            .endpoint_on("10.244.1.11", "n2", "b")
            .on_endpoint("hints", hints("b"));
        cluster.apply(&join([node("n1", "b"), node("n2", "b")]))?;
        cluster.apply(&join([web().document(), slice.document()]))?;
        world.start_seaway_on(&*cluster, &[])?;
        // What the proxy itself says counts for less.
        let n1 = world.start_node("n1", "a")?;
        n1.await_backend(WEB, "in-b")?;
        cluster.edit("nodes", "", "n1", &|node| {
            node["metadata"]["labels"][ZONE] = "a".into()
        })?;
        n1.await_backend(WEB, "in-a")
    })
}

#[test]
fn only_the_namespaces_and_services_that_are_wanted_are_served() -> Result<()> {
    World::run(|world| {
        let cluster = world.cluster()?;
        served_of_three(world, &*cluster)
    })
}

/// Of Services in three namespaces, one of them with another label, one is wanted.
fn served_of_three(world: &mut World, cluster: &dyn KubeApi) -> Result<()> {
    let mut number = 0;
    for namespace in ["shop", "bank", "zoo"] {
        cluster.namespace(namespace)?;
        for (name, tier) in [("front", "front"), ("back", "back")] {
            number += 1;
            let labels = json!({"tier": tier});
            let service =
                ServiceManifest::new(name).cluster_ip(&format!("10.96.0.{}", 100 + number));
            let service = service
                .port("", 80)
                .metadata("namespace", namespace)
                .metadata("labels", labels);
            let slice = SliceManifest::new(name)
                .port("", 8080)
                .endpoint("10.244.1.10");
            let mut slice: Value = serde_json::from_str(&slice.document())?;
            slice["metadata"]["namespace"] = namespace.into();
            cluster.apply(&join([service.document(), slice.to_string()]))?;
        }
    }
    let wanted = [
        "--namespace",
        "shop,bank",
        "--service-selector",
        "tier=front",
    ];
    world.start_seaway_on(cluster, &wanted)?;
    let proxy = Proxy::complete(world, 0, "node", 2)?;
    for name in ["shop/front/80", "bank/front/80"] {
        proxy.await_endpoints(Duration::from_secs(5), name, &["10.244.1.10"])?;
    }
    // What begins to match is served, and what no longer does is not.
    let tier = |tier: &'static str| {
        move |service: &mut Value| service["metadata"]["labels"]["tier"] = tier.into()
    };
    cluster.edit("services", "shop", "back", &tier("front"))?;
    proxy.await_endpoints(Duration::from_secs(5), "shop/back/80", &["10.244.1.10"])?;
    cluster.edit("services", "shop", "front", &tier("back"))?;
    proxy.await_gone("shop/front/80")
}

#[test]
fn only_what_is_wanted_is_asked_for() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        for streaming in [true, false] {
            server.configure(|settings| settings.streaming_lists = streaming);
            if streaming {
                served_of_three(world, &server)?;
            } else {
                let wanted = [
                    "--namespace",
                    "shop,bank",
                    "--service-selector",
                    "tier=front",
                ];
                world.start_seaway_on(&server, &wanted)?;
            }
        }
        for verb in ["list", "watch"] {
            for (resource, selector) in [
                ("services", "tier=front"),
                ("endpointslices", ""),
                ("nodes", ""),
            ] {
                let seen = server.seen(verb, resource);
                ensure!(!seen.is_empty(), "nobody asked to {verb} {resource}");
                for request in seen {
                    let namespace = request.namespace.as_deref();
                    let expected = match resource {
                        "nodes" => namespace.is_none(),
                        _ => matches!(namespace, Some("shop" | "bank")),
                    };
                    ensure!(expected, "{request:?}");
                    ensure!(
                        request.parameter("labelSelector") == selector,
                        "{request:?}"
                    );
                    // A state of any age could be an old one.
                    ensure!(request.parameter("resourceVersion") != "0", "{request:?}");
                    ensure!(request.agent.starts_with("seaway/"), "{request:?}");
                }
            }
        }
        for verb in ["get", "create", "update", "patch", "delete"] {
            for resource in ["services", "endpointslices", "nodes"] {
                ensure!(server.seen(verb, resource).is_empty(), "{verb} {resource}");
            }
        }
        Ok(())
    })
}
