//! The API server goes away for a while.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    ApiServer, Fault, Record, ServiceManifest, SliceManifest, World, eventually, join, say,
};

use crate::discovery::Proxy;
use crate::{OTHER, TWO, assignment, await_watches, scene};

const WEB: &str = "10.96.0.10:80";
/// The longest that a change may take after the API server is back.
const SOON: Duration = Duration::from_secs(2);

/// How long it is away: `SEAWAY_OUTAGE` seconds.
fn outage() -> Result<Duration> {
    let seconds = std::env::var("SEAWAY_OUTAGE").unwrap_or_else(|_| "5".to_owned());
    let seconds = seconds.parse().context("SEAWAY_OUTAGE")?;
    Ok(Duration::from_secs(seconds))
}

fn slice(address: &str) -> String {
    let slice = SliceManifest::new("web").port("", 8080);
    slice.endpoint(address).document()
}

#[test]
fn without_the_api_server_everybody_is_served_and_its_return_is_noticed_within_two_seconds()
-> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        let _backends = [
            world.backend("web-1", "10.244.1.10")?,
            world.backend("web-2", "10.244.1.11")?,
        ];
        let web = ServiceManifest::new("web").cluster_ip("10.96.0.10");
        let web = web.port("", 80).document();
        server.apply_yaml(&join([web, slice("10.244.1.10")]))?;
        world.start_seaway_on(&server, &[])?;
        let proxy = Proxy::complete(world, 0, "node", 1)?;
        let n1 = world.start_node("n1", "a")?;
        let load = n1.load(WEB, 50)?;

        let (began, mark) = (Instant::now(), proxy.mark());
        server.refuse()?;
        server.kill()?;
        eventually("/readyz to name the watches", || {
            let ready = world.readyz()?;
            ensure!(ready.status == 200, "{ready:?}");
            let failing = ready.body.matches(": failing").count();
            ensure!(failing == crate::WATCHED.len(), "{ready:?}");
            Ok(())
        })?;
        // Who comes now is served what was last seen.
        let n2 = world.start_node("n2", "b")?;
        n2.await_backend(WEB, "web-1")?;
        server.apply_yaml(&slice("10.244.1.11"))?;
        std::thread::sleep(outage()?.saturating_sub(began.elapsed()));
        Proxy::complete(world, 0, "node", 1)?;
        ensure!(proxy.since(mark).is_empty(), "{:?}", proxy.since(mark));

        let back = Instant::now();
        server.listen()?;
        let came = proxy.await_endpoints(SOON, "default/web/80", &["10.244.1.11"])?;
        let took = came.saturating_duration_since(back);
        say(&format!("the change arrived {took:?} after the return"));
        ensure!(took < SOON, "it took {took:?}");
        n1.await_backend(WEB, "web-2")?;
        n2.await_backend(WEB, "web-2")?;
        let records = load.stop()?;
        let failures = Record::failures(&records);
        ensure!(
            failures.is_none(),
            "of {} requests: {failures:?}",
            records.len()
        );
        Ok(())
    })
}

/// The server goes away for so long; when it is back it refuses everything in this way for a while,
/// then says that what it is asked for is too old, and then works. Returns when it works.
fn restart(server: &ApiServer, away: Duration, refusal: Fault) -> Result<Instant> {
    server.refuse()?;
    server.kill()?;
    std::thread::sleep(away);
    server.inject(refusal);
    server.listen()?;
    std::thread::sleep(Duration::from_secs(3));
    server.heal();
    for resource in ["services", "endpointslices", "nodes"] {
        server.inject(Fault::answer(410).verb("watch").on(resource).times(1));
    }
    Ok(Instant::now())
}

#[test]
fn a_server_that_refuses_everything_while_it_starts_is_noticed_within_two_seconds() -> Result<()> {
    let short = Duration::from_secs(2);
    let outages = [
        (Fault::answer(403), outage()?),
        (Fault::answer(401), short),
        (Fault::busy(1), short),
        (Fault::answer(500), short),
        (Fault::answer(503), short),
        (Fault::page(502, 100), short),
    ];
    for (refusal, away) in outages {
        let what = format!("{refusal:?}");
        scene(&[], |world, server, proxy| {
            await_watches(world, server)?;
            let back = restart(server, away, refusal)?;
            server.apply_yaml(&crate::slice(3, &OTHER).document())?;
            let came = proxy.await_endpoints(10 * SOON, &assignment(3), &OTHER)?;
            let took = came.saturating_duration_since(back);
            say(&format!("after {what} the change arrived within {took:?}"));
            ensure!(took < SOON, "after {what} it took {took:?}");
            let log = world.seaway()?.log();
            ensure!(!log.contains("restart Seaway"), "{log}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_server_that_is_restored_from_a_backup_and_refuses_while_it_starts_is_followed() -> Result<()> {
    scene(&[], |world, server, proxy| {
        await_watches(world, server)?;
        let earlier = server.revision();
        server.apply_yaml(&crate::slice(5, &OTHER).document())?;
        proxy.await_endpoints(SOON, &assignment(5), &OTHER)?;
        server.refuse()?;
        server.kill()?;
        server.restore(earlier)?;
        server.inject(Fault::answer(403));
        std::thread::sleep(Duration::from_secs(2));
        server.listen()?;
        std::thread::sleep(Duration::from_secs(3));
        server.heal();
        proxy.await_endpoints(SOON, &assignment(5), &TWO)?;
        let log = world.seaway()?.log();
        ensure!(!log.contains("restart Seaway"), "{log}");
        Ok(())
    })
}
