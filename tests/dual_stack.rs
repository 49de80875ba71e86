//! A dual-stack Service: each family has its own frontend and its own endpoints (Service rules 5,
//! 6, 38).

use anyhow::{Result, ensure};
use seaway_testing::{Outcome, ServiceManifest, SliceManifest, World, join};
use serde_json::json;

#[test]
fn each_family_has_its_own_frontend_and_endpoints() -> Result<()> {
    if !World::has_ipv6() {
        println!("skipped: this machine has no IPv6");
        return Ok(());
    }
    World::run(|world| {
        let _backends = [
            world.backend("four", "10.244.1.10")?,
            world.backend("six", "fd00:10:244::10")?,
        ];
        let service = ServiceManifest::new("web")
            .cluster_ip("10.96.0.10")
            .spec("clusterIPs", json!(["10.96.0.10", "fd00:10:96::10"]))
            .spec("ipFamilies", json!(["IPv4", "IPv6"]))
            .port("http", 80);
        let four = SliceManifest::new("web")
            .port("http", 8080)
            .endpoint("10.244.1.10");
        let six = SliceManifest::new("web")
            .named("web-2")
            .address_type("IPv6")
            .port("http", 8080)
            .endpoint("fd00:10:244::10");
        let all = join([service.document(), four.document(), six.document()]);
        world.manifests().save("web.yaml", &all)?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        n1.await_backend("10.96.0.10:80", "four")?;
        n1.await_backend("[fd00:10:96::10]:80", "six")?;
        world
            .manifests()
            .save("web.yaml", &join([service.document(), four.document()]))?;
        n1.await_refused("[fd00:10:96::10]:80")?;
        let outcome: Outcome = n1.get("10.96.0.10:80")?;
        ensure!(outcome.backend() == Some("four"), "{outcome}");
        Ok(())
    })
}
