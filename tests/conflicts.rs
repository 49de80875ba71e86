//! Two claims on one address and port (Service rule 18), and a foreign process that has one for a
//! while (Service rule 25); the namespace that listeners are bound in, when it comes after Envoy.

use std::process::Command;

use anyhow::{Result, ensure};
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
    World::run(|world| bind_clash(world, false))
}

#[test]
fn a_bind_clash_in_state_of_the_world_ends_with_the_other_process_too() -> Result<()> {
    World::run(|world| bind_clash(world, true))
}

/// A Service whose address another process has, until that ends.
fn bind_clash(world: &mut World, sotw: bool) -> Result<()> {
    let _backend = world.backend("web-1", "10.244.1.10")?;
    let created = "2025-01-01T00:00:00Z";
    let save = |world: &World, name: &str, cluster_ip: &str| {
        let manifest = service(name, cluster_ip, created, "10.244.1.10");
        world.manifests().save(&format!("{name}.yaml"), &manifest)
    };
    save(world, "clash", "10.96.0.50")?;
    save(world, "web", "10.96.0.10")?;
    world.start_seaway(&[])?;
    // The foreign process is there before Envoy, on the address that the Service `clash` asks for.
    let mut foreign = None;
    let mut options = World::node_options("n1", "a");
    if sotw {
        options.bootstrap.push("--sotw".to_owned());
    }
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
    clash_is_said(world)?;
    // What is added later is served, too, and that does not end the clash.
    save(world, "late", "10.96.0.11")?;
    n1.await_backend("10.96.0.11:80", "web-1")?;
    eventually("another try", || {
        let nacks = world.metric("seaway_xds_nacks_total", "Listener")?;
        ensure!(nacks >= 2.0, "{nacks} rejections");
        Ok(())
    })?;
    ensure!(world.metric("seaway_xds_rejecting_streams", "Listener")? == 1.0);
    let before = others(world)?;
    // Nothing changes but that the process ends.
    drop(foreign);
    n1.await_backend("10.96.0.50:80", "web-1")?;
    ensure!(before == others(world)?, "more than the listener was sent");
    clash_is_over(world)
}

/// What Seaway logs of a rejection.
const REJECTED: &str = "proxy rejected a resource";

fn clash_is_said(world: &mut World) -> Result<()> {
    let line = world.seaway()?.log_line(REJECTED)?;
    let names_it = line.contains("default/clash") && line.contains("10.96.0.50");
    ensure!(names_it, "{line}");
    ensure!(
        world.metric("seaway_xds_nacks_total", "")? >= 1.0,
        "no NACK was counted"
    );
    Ok(())
}

fn clash_is_over(world: &mut World) -> Result<()> {
    eventually("nothing to be rejected any more", || {
        let rejecting = world.metric("seaway_xds_rejecting_streams", "")?;
        ensure!(rejecting == 0.0, "{rejecting} streams reject");
        Ok(())
    })?;
    let line = world
        .seaway()?
        .log_line("proxy accepted a resource that it had rejected")?;
    ensure!(line.contains("default/clash"), "{line}");
    let log = world.seaway()?.log();
    let times = log.lines().filter(|line| line.contains(REJECTED)).count();
    ensure!(times == 1, "{times} lines for one clash");
    Ok(())
}

/// How often clusters and assignments have been sent.
fn others(world: &World) -> Result<(f64, f64)> {
    let sent = |of: &str| world.metric("seaway_xds_responses_total", &format!("{of}\""));
    Ok((sent("Cluster")?, sent("ClusterLoadAssignment")?))
}

#[test]
fn listeners_whose_namespace_comes_late_are_bound_then() -> Result<()> {
    World::run(|world| {
        let created = "2025-01-01T00:00:00Z";
        world.manifests().save(
            "web.yaml",
            &service("web", "10.96.0.10", created, "10.244.1.10"),
        )?;
        world.start_seaway(&["--capture", "namespace"])?;
        let n1 = world.start_node("n1", "a")?;
        world.excuse(&n1);
        let line = world.seaway()?.log_line("proxy rejected a resource")?;
        ensure!(line.contains("failed to open netns file"), "{line}");
        ensure!(world.metric("seaway_xds_rejecting_streams", "Listener")? == 1.0);
        // Between the two lines listeners find no address in there, which passes as well.
        for line in [
            "netns add seaway",
            "-n seaway addr add 10.96.0.10/32 dev lo",
            "-n seaway link set lo up",
        ] {
            let made = Command::new("ip").args(line.split(' ')).status()?;
            ensure!(made.success(), "ip {line}");
        }
        eventually("the Service's listener in there", || {
            let rejecting = world.metric("seaway_xds_rejecting_streams", "")?;
            ensure!(rejecting == 0.0, "{rejecting} streams reject");
            let mut sockets = Command::new("ip");
            sockets.args("netns exec seaway cat /proc/net/tcp".split(' '));
            let sockets = String::from_utf8(sockets.output()?.stdout)?;
            // 10.96.0.10:80, as the kernel writes it.
            ensure!(sockets.contains("0A00600A:0050"), "{sockets}");
            Ok(())
        })?;
        let removed = Command::new("ip")
            .args(["netns", "delete", "seaway"])
            .status()?;
        ensure!(removed.success());
        Ok(())
    })
}
