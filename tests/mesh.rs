//! Services by host name through a mesh Envoy.

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Client, EnvoyOptions, MESH, Outcome, Place, Scene, ServiceManifest, SliceManifest, World,
    eventually, join, steps,
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
        let options = World::mesh_options(&["--capture", "bind"]);
        let mesh = world.start_envoy("mesh", &options)?;
        mesh.await_backend("10.96.0.10:80", "web-1")?;
        ensure!(mesh.get("10.96.0.11:80")? == Outcome::Refused);
        let by_name = Client::new(MESH).host("web.default");
        let outcome = mesh.send(&by_name)?;
        ensure!(outcome.backend() == Some("web-1"), "{outcome}");
        world.manifests().delete("web.yaml")?;
        mesh.await_refused("10.96.0.10:80")
    })
}

/// Service rule 97: with session affinity the requests of a client go to one endpoint, also by
/// name.
#[test]
fn requests_by_name_keep_session_affinity() -> Result<()> {
    World::run(|world| {
        let pods = ["10.244.1.10", "10.244.1.11", "10.244.1.12", "10.244.1.13"];
        let backends = pods.iter().map(|ip| world.backend(ip, ip));
        let _backends: Vec<_> = backends.collect::<Result<_>>()?;
        let slice = SliceManifest::new("web").port("http", 8080);
        let slice = pods.iter().fold(slice, |slice, ip| slice.endpoint(ip));
        world.start_seaway(&[])?;
        let options = World::mesh_options(&[]);
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
        let by_name = Client::new(MESH).host("web.default");
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

/// Service rule 122: an ExternalName is absolute, as the target of a CNAME is. The search list of
/// Envoy's own pod completes it no more than that of a client would, be it one label or several: it
/// would lead to any Service of that namespace.
#[test]
fn an_external_name_is_not_completed_by_a_search_list() -> Result<()> {
    World::run(|world| {
        let _outside = world.backend("outside", "10.244.1.10")?;
        let _ledger = world.backend("ledger", "10.244.1.11")?;
        let dns = world.dns()?;
        dns.set("partner.example.com", [10, 244, 1, 10].into());
        for of_search_list in ["ledger.bank.svc.cluster.local", "ledger.svc.cluster.local"] {
            dns.set(of_search_list, [10, 244, 1, 11].into());
        }
        let alias = |name: &str, target: &str| {
            ServiceManifest::new(name)
                .spec("type", "ExternalName")
                .spec("externalName", target)
                .port("http", 8080)
                .document()
        };
        let targets = [
            ("partner", "partner.example.com"),
            ("two", "ledger.bank"),
            ("one", "ledger"),
        ];
        let all = join(targets.map(|(name, target)| alias(name, target)));
        world.manifests().save("aliases.yaml", &all)?;
        world.start_seaway(&[])?;
        let searching = World::resolver().replace("domain: true", "domain: false");
        let options = EnvoyOptions {
            overlay: Some(searching),
            search: Some("svc.cluster.local bank.svc.cluster.local"),
            ..World::mesh_options(&[])
        };
        let mesh = world.start_envoy("mesh", &options)?;
        let client = |name: &str| {
            let host = format!("{name}.default:8080");
            Client::new(MESH).host(&host)
        };
        eventually(
            "the outside to answer, and the others to be looked up",
            || {
                let outcome = mesh.send(&client("partner"))?;
                ensure!(outcome.backend() == Some("outside"), "{outcome}");
                let asked = dns.asked();
                ensure!(
                    asked.contains("ledger.bank") && asked.contains("ledger"),
                    "{asked:?}"
                );
                Ok(())
            },
        )?;
        for name in ["one", "two"] {
            let outcome = mesh.send(&client(name))?;
            ensure!(outcome.backend().is_none(), "{name}: {outcome}");
        }
        let asked = dns.asked();
        ensure!(!asked.iter().any(|name| name.contains("svc")), "{asked:?}");
        Ok(())
    })
}

/// A name with a final dot is the same name.
#[test]
fn a_host_name_may_end_in_a_dot() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let service = ServiceManifest::new("web")
            .port("http", 80)
            .port("alt", 8080);
        let slice = SliceManifest::new("web")
            .port("http", 8080)
            .port("alt", 8080);
        let slice = slice.endpoint("10.244.1.10");
        let all = join([service.document(), slice.document()]);
        world.manifests().save("web.yaml", &all)?;
        world.start_seaway(&[])?;
        let options = World::mesh_options(&[]);
        let mesh = world.start_envoy("mesh", &options)?;
        for name in [
            "web.default",
            "web.default.svc",
            "web.default.svc.cluster.local",
        ] {
            for host in
                ["", ":80", ":8080", ".", ".:80", ".:8080"].map(|end| format!("{name}{end}"))
            {
                let client = Client::new(MESH).host(&host);
                mesh.await_outcome(&client, "an answer", |outcome| {
                    outcome.backend() == Some("web-1")
                })?;
            }
        }
        Ok(())
    })
}
