//! Cluster IPs through a real Envoy: who answers, and who does not.

use anyhow::{Result, ensure};
use seaway_testing::{Outcome, Place, Scene, ServiceManifest, SliceManifest, World, join, steps};

const WEB: &str = "10.96.0.10:80";

fn service() -> ServiceManifest {
    ServiceManifest::new("web")
        .cluster_ip("10.96.0.10")
        .port("http", 80)
}

fn slice() -> SliceManifest {
    SliceManifest::new("web").port("http", 8080)
}

#[test]
fn connections_are_spread_over_all_endpoints_on_both_nodes() -> Result<()> {
    Scene::play(&[Place::N1, Place::N2], steps::spread)
}

#[test]
fn a_deleted_service_refuses_connections() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let slice = slice().endpoint("10.244.1.10").document();
        world.manifests().save("web.yaml", &service().document())?;
        world.manifests().save("slice.yaml", &slice)?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        n1.await_backend(WEB, "web-1")?;
        world.manifests().delete("web.yaml")?;
        n1.await_refused(WEB)?;
        world.manifests().save("web.yaml", &service().document())?;
        n1.await_backend(WEB, "web-1")
    })
}

#[test]
fn a_service_without_endpoints_refuses_and_serves_as_soon_as_one_appears() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        world.manifests().save("web.yaml", &service().document())?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        ensure!(n1.get(WEB)? == Outcome::Refused);
        // An endpoint that is not ready is none.
        let unready = slice().endpoint("10.244.1.10");
        let unready = unready.on_endpoint("conditions", serde_json::json!({"ready": false}));
        let other = ServiceManifest::new("other")
            .cluster_ip("10.96.0.11")
            .port("http", 80);
        let seen = SliceManifest::new("other")
            .port("http", 8080)
            .endpoint("10.244.1.10");
        world
            .manifests()
            .save("web-slice.yaml", &unready.document())?;
        world
            .manifests()
            .save("other.yaml", &join([other.document(), seen.document()]))?;
        n1.await_backend("10.96.0.11:80", "web-1")?;
        ensure!(n1.get(WEB)? == Outcome::Refused);
        world.manifests().save(
            "web-slice.yaml",
            &slice().endpoint("10.244.1.10").document(),
        )?;
        n1.await_backend(WEB, "web-1")
    })
}
