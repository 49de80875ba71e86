//! Whatever a manifest contains harms only itself.

use anyhow::{Result, ensure};
use seaway_testing::{
    Outcome, Place, Scene, ServiceManifest, SliceManifest, World, eventually, join, steps,
};
use serde_json::json;

#[test]
fn a_broken_manifest_loses_nothing() -> Result<()> {
    Scene::play(&[Place::N1], steps::broken_manifest)
}

/// A Service whose objects are changed by `spoil`, named after what is wrong with it.
fn spoiled(
    name: &str,
    spoil: impl FnOnce(ServiceManifest, SliceManifest) -> (ServiceManifest, SliceManifest),
) -> String {
    let service = ServiceManifest::new(name)
        .cluster_ip("10.96.0.10")
        .port("http", 80);
    let slice = SliceManifest::new(name)
        .port("http", 8080)
        .endpoint("10.244.1.10");
    let (service, slice) = spoil(service, slice);
    join([service.document(), slice.document()])
}

#[test]
fn bad_fields_are_left_out_and_everything_else_is_served() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let manifests = world.manifests();
        let address = |slice: SliceManifest, address: &str| slice.endpoint(address);
        let bad = [
            spoiled("bad-endpoints", |service, slice| {
                let slice = [
                    "nonsense",
                    "",
                    "999.1.1.1",
                    "::1",
                    "0.0.0.0",
                    "224.0.0.1",
                    "10.0.0.1/8",
                ]
                .iter()
                .fold(slice, |s, a| address(s, a));
                (service, slice)
            }),
            spoiled("bad-cluster-ip", |service, slice| {
                (service.cluster_ip("nonsense"), slice)
            }),
            spoiled("bad-port", |service, slice| {
                (
                    service.cluster_ip("10.96.0.12").on_port("port", 70000),
                    slice,
                )
            }),
            spoiled("zero-port", |service, slice| {
                (service.cluster_ip("10.96.0.13").on_port("port", 0), slice)
            }),
            spoiled("bad-protocol", |service, slice| {
                (
                    service.cluster_ip("10.96.0.14").on_port("protocol", "QUIC"),
                    slice,
                )
            }),
            spoiled("bad-slice-port", |service, slice| {
                (
                    service.cluster_ip("10.96.0.15").port("other", 81),
                    slice.port("other", 0),
                )
            }),
            spoiled("Bad_Name", |service, slice| {
                (service.cluster_ip("10.96.0.16"), slice)
            }),
            spoiled("odd-types", |service, slice| {
                (
                    service
                        .cluster_ip("10.96.0.17")
                        .spec("ports", json!("eighty")),
                    slice.on_endpoint("addresses", json!(7)),
                )
            }),
            spoiled("bad-external", |service, slice| {
                (
                    service
                        .cluster_ip("10.96.0.18")
                        .spec("externalIPs", json!(["127.0.0.1", "x"])),
                    slice,
                )
            }),
            ServiceManifest::new("bad-name")
                .spec("type", "ExternalName")
                .spec("externalName", "not_a host")
                .document(),
            ServiceManifest::new("local-name")
                .spec("type", "ExternalName")
                .spec("externalName", "localhost")
                .document(),
        ];
        for (number, document) in bad.iter().enumerate() {
            manifests.save(&format!("bad-{number:02}.yaml"), document)?;
        }
        let good = ServiceManifest::new("good")
            .cluster_ip("10.96.0.20")
            .port("http", 80);
        let slice = SliceManifest::new("good")
            .port("http", 8080)
            .endpoint("10.244.1.10");
        manifests.save("good.yaml", &join([good.document(), slice.document()]))?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        n1.await_backend("10.96.0.20:80", "web-1")?;
        // The good endpoint beside seven bad ones, the good port beside a bad one.
        for address in ["10.96.0.10:80", "10.96.0.15:80", "10.96.0.18:80"] {
            n1.await_backend(address, "web-1")?;
            for _ in 0..20 {
                let outcome = n1.get(address)?;
                ensure!(outcome.backend() == Some("web-1"), "{address}: {outcome}");
            }
        }
        for address in ["10.96.0.12:80", "10.96.0.13:80", "10.96.0.14:80"] {
            ensure!(n1.get(address)? == Outcome::Refused, "{address} is served");
        }
        eventually("problems to be counted", || {
            let problems = world.metric("seaway_problems", "")?;
            ensure!(problems >= 10.0, "{problems} problems");
            Ok(())
        })
    })
}
