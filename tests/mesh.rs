//! Services by host name through a mesh Envoy.

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Client, EnvoyOptions, Outcome, Place, Scene, ServiceManifest, SliceManifest, World, eventually,
    join, steps,
};

#[test]
fn every_form_of_a_host_name_is_answered() -> Result<()> {
    Scene::play(&[Place::Mesh], |scene| {
        steps::host_names(scene)?;
        steps::h2c(scene)
    })
}

#[test]
fn external_names_follow_dns_and_aliases_and_changes() -> Result<()> {
    Scene::play(&[Place::Mesh], |scene| {
        steps::external_name(scene)?;
        steps::external_alias(scene)?;
        steps::retarget(scene)
    })
}

/// Beside its HTTP listener a mesh Envoy has those of cluster IPs; one that nobody has is refused.
#[test]
fn with_a_capture_cluster_ips_are_served_too() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let service = ServiceManifest::new("web")
            .cluster_ip("10.96.0.10")
            .port("http", 80);
        let slice = SliceManifest::new("web")
            .port("http", 8080)
            .endpoint("10.244.1.10");
        let all = join([service.document(), slice.document()]);
        world.manifests().save("web.yaml", &all)?;
        world.start_seaway(&["--capture", "bind"])?;
        let bootstrap = ["--role", "mesh", "--capture", "bind"].map(str::to_owned);
        let options = EnvoyOptions {
            bootstrap: bootstrap.to_vec(),
            ..EnvoyOptions::default()
        };
        let mesh = world.start_envoy("mesh", &options)?;
        mesh.await_backend("10.96.0.10:80", "web-1")?;
        ensure!(mesh.get("10.96.0.11:80")? == Outcome::Refused);
        let by_name = Client::new((std::net::Ipv4Addr::LOCALHOST, 15001)).host("web.default");
        let outcome = mesh.send(&by_name)?;
        ensure!(outcome.backend() == Some("web-1"), "{outcome}");
        world.manifests().delete("web.yaml")?;
        mesh.await_refused("10.96.0.10:80")
    })
}

/// Service rule 97: with session affinity the requests of a client go to one endpoint, also by name.
#[test]
fn requests_by_name_keep_session_affinity() -> Result<()> {
    World::run(|world| {
        let pods = ["10.244.1.10", "10.244.1.11", "10.244.1.12", "10.244.1.13"];
        let backends = pods.iter().map(|ip| world.backend(ip, ip));
        let _backends: Vec<_> = backends.collect::<Result<_>>()?;
        let slice = SliceManifest::new("web").port("http", 8080);
        let slice = pods.iter().fold(slice, |slice, ip| slice.endpoint(ip));
        world.start_seaway(&[])?;
        let bootstrap = ["--role", "mesh"].map(str::to_owned).to_vec();
        let options = EnvoyOptions {
            bootstrap,
            ..EnvoyOptions::default()
        };
        let mesh = world.start_envoy("mesh", &options)?;
        let save = |affinity: &str| {
            let service = ServiceManifest::new("web")
                .cluster_ip("10.96.0.10")
                .spec("sessionAffinity", affinity)
                .port("http", 80);
            let all = join([service.document(), slice.document()]);
            world.manifests().save("web.yaml", &all)
        };
        save("None")?;
        let by_name = Client::new((std::net::Ipv4Addr::LOCALHOST, 15001)).host("web.default");
        let met = || -> Result<std::collections::BTreeSet<String>> {
            let answers = by_name.get_often(mesh.namespace(), 40)?.into_iter();
            answers
                .map(|outcome| outcome.backend().map(str::to_owned).context("no answer"))
                .collect()
        };
        eventually("all endpoints to answer", || {
            let met = met()?;
            ensure!(met.len() == pods.len(), "{met:?}");
            Ok(())
        })?;
        save("ClientIP")?;
        eventually("one endpoint to answer", || {
            let met = met()?;
            ensure!(met.len() == 1, "{met:?}");
            Ok(())
        })
    })
}
