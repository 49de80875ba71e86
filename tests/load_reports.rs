//! The load that real Envoys report: what is shown is what they were asked.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{
    Ask, Client, Connection, Envoy, MESH, ServiceManifest, SliceManifest, World, eventually, join,
    within,
};

const ISSUED: &str = r#"service="default/web",zone="a",outcome="issued""#;
const SUCCESS: &str = r#"service="default/web",zone="a",outcome="success""#;

/// A Service with an endpoint in a zone, and so many mesh proxies that report every second.
fn start(world: &mut World, proxies: usize) -> Result<Vec<Arc<Envoy>>> {
    let service = ServiceManifest::new("web")
        .cluster_ip("10.96.0.10")
        .port("http", 80);
    let slice = SliceManifest::new("web")
        .port("http", 8080)
        .endpoint_on("10.244.1.10", "n1", "a");
    let all = join([service.document(), slice.document()]);
    world.manifests().save("web.yaml", &all)?;
    world.start_seaway(&["--lrs", "--lrs-interval", "1s"])?;
    let options = World::mesh_options(&["--lrs"]);
    let names = (1..=proxies).map(|number| format!("m{number}"));
    let names: Vec<String> = names.collect();
    let start = |name: &String| world.start_envoy(name, &options);
    names.iter().map(start).collect()
}

/// The sum of the requests that are shown.
fn shown(world: &World, label: &str) -> Result<f64> {
    let seaway = world.replica(0)?;
    seaway.metric(world.fabric(), "seaway_lrs_requests_total", label)
}

/// Waits until an Envoy has sent two reports more: then all that it was asked before is in one of
/// them, or was before it began to count, and it counts what it is asked from now on.
fn await_reports(envoy: &Envoy) -> Result<()> {
    let sent = envoy.stat("load_reporter.responses")?;
    // An Envoy that lost the control plane comes back within five seconds.
    within(Duration::from_secs(30), "two reports more", || {
        let now = envoy.stat("load_reporter.responses")?;
        ensure!(now >= sent + 2, "{now} reports, {sent} before");
        Ok(())
    })
}

fn ask(envoy: &Envoy, count: usize) -> Result<()> {
    let client = Client::new(MESH).host("web.default");
    for outcome in client.get_often(envoy.namespace(), count)? {
        ensure!(outcome.backend() == Some("web-1"), "{outcome}");
    }
    Ok(())
}

fn await_shown(world: &World, expected: f64) -> Result<()> {
    eventually("all requests to be shown", || {
        for label in [ISSUED, SUCCESS] {
            let shown = shown(world, label)?;
            ensure!(shown == expected, "{shown} of {expected}: {label}");
        }
        Ok(())
    })
}

/// xDS rule 204, and over a restart: what Envoy counts after it is back is counted once.
#[test]
fn as_many_requests_are_shown_as_were_sent_by_all_proxies() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let proxies = start(world, 2)?;
        let by_name = Client::new(MESH).host("web.default");
        for proxy in &proxies {
            eventually("an answer by name", || {
                let outcome = proxy.send(&by_name)?;
                ensure!(outcome.backend() == Some("web-1"), "{outcome}");
                Ok(())
            })?;
            await_reports(proxy)?;
        }
        let before = shown(world, ISSUED)?;
        ask(&proxies[0], 37)?;
        ask(&proxies[1], 20)?;
        await_shown(world, before + 57.0)?;
        for proxy in &proxies {
            await_reports(proxy)?;
        }
        // Nothing is counted twice, and of the other Services nothing is.
        await_shown(world, before + 57.0)?;
        let all = shown(world, "")?;
        ensure!(all == 2.0 * (before + 57.0), "{all} of {before} and 57");

        // What an Envoy counts while there is nobody to tell may be lost, and is never told twice.
        world.seaway()?.kill()?;
        ask(&proxies[0], 9)?;
        world.restart_seaway()?;
        for proxy in &proxies {
            await_reports(proxy)?;
        }
        let before = shown(world, ISSUED)?;
        ensure!(before <= 9.0, "{before} of 9");
        ask(&proxies[0], 11)?;
        ask(&proxies[1], 5)?;
        await_shown(world, before + 16.0)
    })
}

/// From a report to one after its end; an older Envoy speaks of it in the first report alone.
#[test]
fn a_request_that_has_not_ended_is_shown_until_it_has() -> Result<()> {
    World::run(|world| {
        let _backend = world.echo_at("web-1", "10.244.1.10:8080")?;
        let proxies = start(world, 1)?;
        let in_progress = |expected: f64| {
            within(Duration::from_secs(30), "the request to be shown", || {
                let (seaway, metric) = (world.replica(0)?, "seaway_lrs_requests_in_progress");
                let label = r#"service="default/web",zone="a""#;
                let shown = seaway.metric(world.fabric(), metric, label)?;
                ensure!(shown == expected, "{shown} instead of {expected}");
                Ok(())
            })
        };
        eventually("an answer by name", || {
            let mut connection = Connection::open(proxies[0].namespace(), MESH, false)?;
            let reply = connection.ask(&Ask::get("web.default", "/"))?;
            ensure!(reply.status == 200, "{}", reply.status);
            Ok(())
        })?;
        await_reports(&proxies[0])?;
        let mut asking = proxies[0].namespace().run(|| TcpStream::connect(MESH))??;
        let long = "GET / HTTP/1.1\r\nhost: web.default\r\necho-delay: 600000\r\n\r\n";
        asking.write_all(long.as_bytes())?;
        in_progress(1.0)?;
        drop(asking);
        in_progress(0.0)
    })
}
