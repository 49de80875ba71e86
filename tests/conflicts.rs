//! Two claims on one address and port (Service rule 18), and a foreign process that has one already (Service rule 25).

use anyhow::{Context, Result, ensure};
use seaway_testing::{Backend, ServiceManifest, SliceManifest, World, eventually, join};

/// A Service with one endpoint.
fn service(name: &str, cluster_ip: &str, created: &str, endpoint: &str) -> String {
    let service = ServiceManifest::new(name)
        .cluster_ip(cluster_ip)
        .port("http", 80);
    let service = service.metadata("creationTimestamp", created);
    join([
        service.document(),
        SliceManifest::new(name)
            .port("http", 8080)
            .endpoint(endpoint)
            .document(),
    ])
}

#[test]
fn the_older_claim_wins_and_the_other_takes_over_when_it_goes() -> Result<()> {
    World::run(|world| {
        let _backends = [
            world.backend("old", "10.244.1.10")?,
            world.backend("young", "10.244.1.11")?,
        ];
        let manifests = world.manifests();
        manifests.save(
            "young.yaml",
            &service("young", "10.96.0.10", "2025-02-01T00:00:00Z", "10.244.1.11"),
        )?;
        manifests.save(
            "old.yaml",
            &service("old", "10.96.0.10", "2025-01-01T00:00:00Z", "10.244.1.10"),
        )?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        n1.await_backend("10.96.0.10:80", "old")?;
        ensure!(
            world.metric("seaway_problems", "")? >= 1.0,
            "no problem was counted"
        );
        world.manifests().delete("old.yaml")?;
        n1.await_backend("10.96.0.10:80", "young")?;
        eventually("the problem to be over", || {
            let problems = world.metric("seaway_problems", "")?;
            ensure!(problems == 0.0, "{problems} problems");
            Ok(())
        })
    })
}

#[test]
fn a_bind_clash_is_logged_with_its_service_and_the_rest_is_served() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let created = "2025-01-01T00:00:00Z";
        world.manifests().save(
            "clash.yaml",
            &service("clash", "10.96.0.50", created, "10.244.1.10"),
        )?;
        world.manifests().save(
            "web.yaml",
            &service("web", "10.96.0.10", created, "10.244.1.10"),
        )?;
        world.start_seaway(&[])?;
        // The foreign process is there before Envoy, on the address that the Service `clash` asks for.
        let mut foreign = None;
        let options = World::node_options("n1", "a");
        let n1 = world.start_envoy_after("n1", &options, |namespace| {
            foreign = Some(Backend::start(
                namespace,
                "foreign",
                "10.96.0.50:80".parse()?,
            )?);
            Ok(())
        })?;
        world.excuse(&n1);
        n1.await_backend("10.96.0.10:80", "web-1")?;
        ensure!(n1.get("10.96.0.50:80")?.backend() == Some("foreign"));
        let line = eventually("the clash in Seaway's log", || {
            let log = world.seaway()?.log();
            let mut lines = log.lines().filter(|line| line.contains("default/clash"));
            lines.next().map(str::to_owned).context(log.clone())
        })?;
        ensure!(line.contains("10.96.0.50"), "{line}");
        ensure!(
            world.metric("seaway_xds_nacks_total", "")? >= 1.0,
            "no NACK was counted"
        );
        // What is added later is served, too.
        world.manifests().save(
            "late.yaml",
            &service("late", "10.96.0.11", created, "10.244.1.10"),
        )?;
        n1.await_backend("10.96.0.11:80", "web-1")
    })
}
