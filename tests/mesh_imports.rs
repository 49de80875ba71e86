//! Mesh proxies that name what they need: they have that, and 404 for all else.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seaway_testing::{
    Client, Envoy, Load, MESH, Outcome, Record, ServiceManifest, SliceManifest, World, has, join,
};

const POD: &str = "10.244.1.10";

/// A Service `namespace/name` with this last number of its cluster IP.
fn service(named: &str, number: u8) -> String {
    let (namespace, name) = named.split_once('/').unwrap_or(("default", named));
    let service = ServiceManifest::new(name).port("http", 80);
    let service = service.metadata("namespace", namespace);
    let service = service.cluster_ip(&format!("10.96.0.{number}"));
    let slice = SliceManifest::new(name).namespace(namespace);
    let slice = slice.port("http", 8080).endpoint(POD);
    join([service.document(), slice.document()])
}

fn namespace(name: &str, imports: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  annotations:\n    seaway.dev/import: \"{imports}\"\n"
    )
}

fn world(world: &mut World) -> Result<()> {
    let all = [
        ("shop/web", 10),
        ("shop/api", 11),
        ("infra/dns", 12),
        ("infra/log", 13),
    ];
    let all = join(all.map(|(name, number)| service(name, number)));
    world.manifests().save("all.yaml", &all)?;
    world.start_seaway(&[])
}

/// Waits until this is the status of a request.
fn settle(envoy: &Envoy, host: &str, status: u16) -> Result<()> {
    let what = format!("{host} to be answered with {status}");
    let is = |outcome: &Outcome| is(outcome, status);
    let client = Client::new(MESH).host(host);
    envoy.await_outcome(&client, &what, is).map(drop)
}

fn is(outcome: &Outcome, status: u16) -> bool {
    matches!(outcome, Outcome::Answered(answer) if answer.status == status)
}

fn check(envoy: &Envoy, found: &[&str], not_found: &[&str]) -> Result<()> {
    for (hosts, status) in [(found, 200), (not_found, 404)] {
        for host in hosts {
            let outcome = envoy.send(&Client::new(MESH).host(host))?;
            ensure!(is(&outcome, status), "{host}: {outcome}");
        }
    }
    Ok(())
}

/// How many clusters the Envoy has of Services.
fn clusters(envoy: &Arc<Envoy>) -> Result<u64> {
    // That of the control plane is one more.
    Ok(envoy.stat("cluster_manager.active_clusters")? - 1)
}

/// What `seaway` prints, whatever it finds.
fn says(world: &World, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
    command.args(arguments).env_clear();
    let output = world.fabric().run(move || command.output())??;
    Ok(String::from_utf8(output.stdout)?.replace('\n', " "))
}

fn start(world: &mut World, name: &str, more: &[&str]) -> Result<Arc<Envoy>> {
    world.start_envoy(name, &World::mesh_options(more))
}

fn imported(sotw: bool) -> Result<()> {
    World::run(|the_world| {
        let _backend = the_world.backend("web-1", POD)?;
        world(the_world)?;
        let mut more = vec!["--pod-namespace", "infra", "--import", "shop,infra/dns"];
        more.extend(sotw.then_some("--sotw"));
        let envoy = start(the_world, "mesh", &more)?;
        settle(&envoy, "dns.infra", 200)?;
        let found = [
            "web.shop",
            "API.shop.svc:80",
            "10.96.0.11",
            "dns.infra",
            "dns",
        ];
        let not_found = ["log.infra", "log", "10.96.0.13", "nobody.shop"];
        check(&envoy, &found, &not_found)?;
        ensure!(clusters(&envoy)? == 3, "{}", clusters(&envoy)?);

        let more = join([service("shop/new", 14), service("infra/new", 15)]);
        the_world.manifests().save("more.yaml", &more)?;
        settle(&envoy, "new.shop", 200)?;
        check(&envoy, &["web.shop"], &["new.infra"])?;
        ensure!(clusters(&envoy)? == 4, "{}", clusters(&envoy)?);
        the_world.manifests().delete("more.yaml")?;
        settle(&envoy, "new.shop", 404)?;

        let shown = says(the_world, &["get", "proxies", "-o", "wide"])?;
        has(&shown, &["imports infra/dns,shop"])?;
        let question = ["explain", "http://log.infra/", "--from", "proxy/mesh"];
        let said = says(the_world, &question)?;
        has(&said, &["does not import Service infra/log", "404"])
    })
}

#[test]
fn a_proxy_has_what_it_imports_and_404_for_all_else() -> Result<()> {
    imported(false)
}

#[test]
fn a_proxy_with_one_table_has_that_of_what_it_imports() -> Result<()> {
    imported(true)
}

/// What both imports have stays where it is: no request for it fails meanwhile.
#[test]
fn the_annotation_of_the_namespace_moves_its_proxies() -> Result<()> {
    World::run(|the_world| {
        let _backend = the_world.backend("web-1", POD)?;
        let save = |world: &World, imports: &str| {
            let text = namespace("shop", imports);
            world.manifests().save("namespace.yaml", &text).map(drop)
        };
        save(the_world, "shop")?;
        world(the_world)?;
        let silent = start(the_world, "silent", &["--pod-namespace", "shop"])?;
        let own = ["--pod-namespace", "shop", "--import", "infra/log"];
        let own = start(the_world, "own", &own)?;
        settle(&silent, "web", 200)?;
        settle(&own, "log.infra", 200)?;
        check(&silent, &["web", "api.shop"], &["dns.infra"])?;
        check(&own, &["log.infra"], &["web", "dns.infra"])?;

        let client = Client::new(MESH).host("web.shop");
        let load = Load::start(silent.namespace(), client, 100)?;
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            save(the_world, "shop/web,infra/dns")?;
            settle(&silent, "dns.infra", 200)?;
            settle(&silent, "api.shop", 404)?;
            save(the_world, "")?;
            settle(&silent, "log.infra", 200)?;
            save(the_world, "shop/web")?;
            settle(&silent, "log.infra", 404)?;
        }
        let records = load.stop()?;
        ensure!(records.len() > 20, "only {} requests", records.len());
        let failures = Record::failures(&records);
        ensure!(failures.is_none(), "{}", failures.unwrap_or_default());
        check(&own, &["log.infra"], &["web"])
    })
}
