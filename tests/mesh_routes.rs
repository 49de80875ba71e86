//! The routes of mesh proxies: which names are found and which are not, and what a Service that
//! comes or goes costs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Ask, Client, Connection, Envoy, EnvoyOptions, Load, MESH, Outcome, Record, ServiceManifest,
    SliceManifest, World, eventually, join,
};
use serde_json::json;

/// A Service with these ports, all of which these endpoints serve at 8080.
fn manifests(name: &str, ports: &[u16], endpoints: &[&str]) -> (ServiceManifest, SliceManifest) {
    let (mut service, mut slice) = (ServiceManifest::new(name), SliceManifest::new(name));
    for port in ports {
        service = service.port(&format!("p{port}"), *port);
        slice = slice.port(&format!("p{port}"), 8080);
    }
    let slice = endpoints.iter().fold(slice, |slice, ip| slice.endpoint(ip));
    (service, slice)
}

fn service(name: &str, ports: &[u16], endpoints: &[&str]) -> String {
    let (service, slice) = manifests(name, ports, endpoints);
    join([service.document(), slice.document()])
}

fn client(host: &str) -> Client {
    Client::new(MESH).host(host)
}

fn start(world: &mut World, sotw: bool) -> Result<Arc<Envoy>> {
    let mut more = vec!["--pod-namespace", "default"];
    more.extend(sotw.then_some("--sotw"));
    let options = EnvoyOptions {
        patience: Some(Duration::from_secs(60)),
        ..World::mesh_options(&more)
    };
    world.start_envoy("mesh", &options)
}

/// Waits until this is the outcome of a request.
fn settle(envoy: &Envoy, host: &str, wanted: &str) -> Result<()> {
    let what = format!("{host} to be {wanted}");
    let is = |outcome: &Outcome| word(outcome) == wanted;
    envoy.await_outcome(&client(host), &what, is).map(drop)
}

/// The backend that answered, or the status.
fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(answer) if answer.status != 200 => answer.status.to_string(),
        other => other.word().to_owned(),
    }
}

/// Names of the Services below.
const FOUND: [&str; 31] = [
    "web.default",
    "web.default:8080",
    "web.default.svc",
    "web.default.svc:80",
    "web.default.svc.cluster.local:8080",
    "WEB.default",
    "web.Default:8080",
    "Web.Default.Svc.Cluster.Local",
    "web.default.SVC:80",
    "web.default.",
    "web.default.:8080",
    "WEB.DEFAULT.",
    "web.default.svc.cluster.local.",
    "web.default.svc.cluster.local.:80",
    "one.default",
    "one.default:9000",
    "ONE.default.svc:9000",
    // Short ones, of the proxy's own namespace.
    "web",
    "web:8080",
    "WEB",
    "web.",
    "one:9000",
    // Cluster IPs.
    "10.96.0.10",
    "10.96.0.10:80",
    "10.96.0.10:8080",
    "10.96.0.11",
    "10.96.0.11:9000",
    "[fd00:10:96::10]",
    "[FD00:10:96::10]:8080",
    "10.96",
    "10.96:96",
];

/// Names of nobody.
const NOT_FOUND: [&str; 27] = [
    "other",
    "web:81",
    "nobody",
    "web.other",
    "web.default:81",
    "web.default:",
    "web.default:080",
    "WEB.default:81",
    "web.default.svc:81",
    "web.default.evil.com",
    "WEB.default.evil.com",
    "web.default.svc.cluster.local.evil.com",
    "evil.web.default",
    "evil.web.default.svc.cluster.local:80",
    "web..default",
    "one.default:80",
    "two.default",
    "nobody.default",
    "10.96.0.99",
    "10.96.0.10:81",
    "10.96.0.11:80",
    "10.96.0.12",
    "10.96.0.10.default",
    "10-96-0-10.ip",
    "[::1]:80",
    "[fd00:10:96::11]",
    ".",
];

/// Service rule 149. Names that have their letters and dots in another form are the same names; all
/// others are nobody's.
fn names(sotw: bool) -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let pod = &["10.244.1.10"];
        let with = |name: &str, namespace: &str, ips: &[&str], ports: &[u16]| {
            let (service, slice) = manifests(name, ports, pod);
            let service = service.metadata("namespace", namespace);
            let service = service.cluster_ip(ips[0]).spec("clusterIPs", json!(ips));
            join([service.document(), slice.namespace(namespace).document()])
        };
        let all = join([
            with(
                "web",
                "default",
                &["10.96.0.10", "fd00:10:96::10"],
                &[80, 8080],
            ),
            with("one", "default", &["10.96.0.11"], &[9000]),
            // Without a port the name stands for none of them.
            with("two", "default", &["10.96.0.12"], &[81, 82]),
            // Two labels as an address begins with.
            with("10", "96", &["10.96.0.13"], &[96]),
        ]);
        world.manifests().save("all.yaml", &all)?;
        world.start_seaway(&[])?;
        let envoy = start(world, sotw)?;
        settle(&envoy, "two.default:82", "web-1")?;
        let wanted = FOUND.map(|name| (name, "web-1")).into_iter();
        for (host, wanted) in wanted.chain(NOT_FOUND.map(|name| (name, "404"))) {
            for client in [client(host), client(host).http2()] {
                let outcome = envoy.send(&client)?;
                ensure!(word(&outcome) == wanted, "{client}: {outcome}");
            }
        }
        // The backend is asked for the name as it was written.
        for host in ["Web.Default:8080", "web.default.SVC"] {
            let Outcome::Answered(answer) = envoy.send(&client(host))? else {
                anyhow::bail!("{host} is not answered");
            };
            ensure!(answer.host == host, "{host}: asked for {}", answer.host);
        }
        Ok(())
    })
}

#[test]
fn names_are_found_in_any_spelling_and_no_others() -> Result<()> {
    names(false)
}

#[test]
fn names_are_found_in_one_table_as_in_scopes() -> Result<()> {
    names(true)
}

#[test]
fn one_more_service_of_five_thousand_is_its_own_scopes() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let each = |n: usize| {
            let (service, slice) = manifests(&format!("web-{n}"), &[80], &["10.244.1.10"]);
            let service = service.cluster_ip(&format!("10.96.{}.{}", n / 250, n % 250 + 1));
            join([service.document(), slice.document()])
        };
        for file in 0..50 {
            let hundred = (file * 100..(file + 1) * 100).map(each);
            let name = format!("{file}.yaml");
            world.manifests().save(&name, &join(hundred))?;
        }
        world.start_seaway(&[])?;
        let envoy = start(world, false)?;
        settle(&envoy, "web-0.default", "web-1")?;
        settle(&envoy, "web-4999.default", "web-1")?;
        // The scopes of all of them come in several responses.
        eventually("all scopes", || {
            let sent = world.sent()?;
            let scopes = sent.get("ScopedRouteConfiguration").copied();
            ensure!(scopes == Some(15_000), "{scopes:?}");
            Ok(())
        })?;
        let received = || {
            let received = "cluster.seaway_xds.upstream_cx_rx_bytes_total";
            let bytes = envoy.stat(received)?;
            ensure!(bytes > 0, "no {received}");
            Ok(bytes)
        };
        let (before, bytes) = (world.sent()?, received()?);
        world.manifests().save("more.yaml", &each(5000))?;
        settle(&envoy, "web-5000.default:80", "web-1")?;
        settle(&envoy, "web-5000.default", "web-1")?;
        settle(&envoy, "10.96.20.1", "web-1")?;
        let since = world.sent_since(&before)?;
        let expected = [
            ("Cluster", 1),
            ("ClusterLoadAssignment", 1),
            ("ScopedRouteConfiguration", 3),
        ];
        ensure!(since == expected.into(), "{since:?}");
        let bytes = received()? - bytes;
        ensure!(bytes < 2500, "{bytes} bytes");
        Ok(())
    })
}

/// A request that comes too early, a rollout of another Service, and a removal: each concerns that
/// Service alone.
#[test]
fn a_service_comes_changes_and_goes_beside_others() -> Result<()> {
    World::run(|world| {
        let _backends = [("web-1", "10.244.1.10"), ("web-2", "10.244.1.11")]
            .map(|(name, ip)| world.backend(name, ip));
        let manifests = world.manifests().clone();
        manifests.save("stays.yaml", &service("stays", &[80], &["10.244.1.10"]))?;
        world.start_seaway(&[])?;
        let envoy = start(world, false)?;
        settle(&envoy, "stays.default", "web-1")?;
        let by_name = client("stays.default");
        let load = Load::start(envoy.namespace(), by_name.clone(), 100)?;
        let kept = Load::keep_alive(envoy.namespace(), by_name, Duration::from_millis(5))?;
        for _ in 0..5 {
            settle(&envoy, "comes.default", "404")?;
            manifests.save("comes.yaml", &service("comes", &[80], &["10.244.1.10"]))?;
            settle(&envoy, "comes.default", "web-1")?;

            let before = world.sent()?;
            manifests.save("comes.yaml", &service("comes", &[80], &["10.244.1.11"]))?;
            settle(&envoy, "comes.default", "web-2")?;
            let since = world.sent_since(&before)?;
            ensure!(since == [("ClusterLoadAssignment", 1)].into(), "{since:?}");

            // Another port is another name, and the one that is left stands for all.
            manifests.save("comes.yaml", &service("comes", &[81], &["10.244.1.11"]))?;
            settle(&envoy, "comes.default:81", "web-2")?;
            settle(&envoy, "comes.default:80", "404")?;
            settle(&envoy, "comes.default", "web-2")?;

            // On an open connection the next request for it is for nobody, and others go on.
            let mut open = Connection::open(envoy.namespace(), MESH, true)?;
            let status = |open: &mut Connection, host: &str| {
                anyhow::Ok(open.ask(&Ask::get(host, "/"))?.status)
            };
            ensure!(status(&mut open, "comes.default")? == 200);
            manifests.delete("comes.yaml")?;
            eventually("the name to be nobody's", || {
                let found = status(&mut open, "comes.default")?;
                ensure!(found == 404, "{found}");
                Ok(())
            })?;
            ensure!(status(&mut open, "stays.default")? == 200);
            settle(&envoy, "comes.default:81", "404")?;
        }
        for load in [load, kept] {
            let records = load.stop()?;
            let failures = Record::failures(&records);
            ensure!(failures.is_none(), "{failures:?}");
            ensure!(records.len() > 20, "only {}", records.len());
        }
        let changes = envoy.changes()?;
        let modified = changes.get("listener_modified").context("no count")?;
        ensure!(*modified == 0, "{changes:?}");
        Ok(())
    })
}
