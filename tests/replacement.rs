//! Endpoints come and go under load, and no request fails.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seaway_testing::{
    Backend, Client, EnvoyOptions, Load, Place, Record, Scene, ServiceManifest, SliceManifest,
    World, eventually, say, steps,
};

const REPLACEMENTS: usize = 200;
const RATE: u32 = 250;
/// How long a replaced backend lives on after the save.
const GRACE: Duration = Duration::from_secs(1);

#[test]
fn one_endpoint_is_replaced_without_a_failed_request() -> Result<()> {
    Scene::play(&[Place::N1], steps::replace_endpoint)
}

#[test]
fn two_hundred_replacements_of_one_in_three_fail_no_request() -> Result<()> {
    World::run(|world| replacements(world, World::node_options("n1", "a"), &node_client(), 3))
}

#[test]
fn two_hundred_replacements_of_the_only_endpoint_fail_no_request() -> Result<()> {
    World::run(|world| replacements(world, World::node_options("n1", "a"), &node_client(), 1))
}

#[test]
fn two_hundred_replacements_behind_a_mesh_proxy_fail_no_request() -> Result<()> {
    let mesh = EnvoyOptions {
        bootstrap: vec!["--role".to_owned(), "mesh".to_owned()],
        ..EnvoyOptions::default()
    };
    let client = Client::new(([127, 0, 0, 1], 15001)).host("web.default");
    World::run(|world| replacements(world, mesh, &client, 2))
}

/// A client of the cluster IP.
fn node_client() -> Client {
    Client::new(([10, 96, 0, 10], 80))
}

/// Replaces one of `endpoints` endpoints after the other, as soon as the last replacement is in
/// use, under load.
fn replacements(
    world: &mut World,
    proxy: EnvoyOptions,
    client: &Client,
    endpoints: usize,
) -> Result<()> {
    let service = ServiceManifest::new("web")
        .cluster_ip("10.96.0.10")
        .port("http", 80);
    world.manifests().save("web.yaml", &service.document())?;
    let live = (0..endpoints).map(|number| start(world, number));
    let mut live = live.collect::<Result<VecDeque<_>>>()?;
    save(world, &live)?;
    world.start_seaway(&[])?;
    let envoy = world.start_envoy("n1", &proxy)?;
    let load = Load::start(envoy.namespace(), client.clone(), RATE)?;

    let mut leaving = VecDeque::<(Instant, Backend)>::new();
    for number in endpoints..endpoints + REPLACEMENTS {
        live.push_back(start(world, number)?);
        let old = live.pop_front();
        let saved = save(world, &live)?;
        leaving.extend(old.map(|old| (saved + GRACE, old)));
        eventually("the new endpoint to get a request", || {
            let asked = live.back().is_some_and(|backend| backend.requests() > 0);
            ensure!(asked, "none yet");
            Ok(())
        })?;
        while leaving
            .front()
            .is_some_and(|(end, _)| *end <= Instant::now())
        {
            leaving.pop_front();
        }
    }
    for (end, backend) in leaving {
        thread::sleep(end.saturating_duration_since(Instant::now()));
        drop(backend);
    }
    let records = load.stop()?;
    let failures = Record::failures(&records);
    say(&format!("{} requests, failed: {failures:?}", records.len()));
    ensure!(
        failures.is_none(),
        "of {} requests: {}",
        records.len(),
        failures.unwrap_or_default()
    );
    rate_was_kept(&records)
}

/// The backend with this number, on an address that no other number has.
fn start(world: &World, number: usize) -> Result<Backend> {
    world.backend(
        &format!("web-{number}"),
        &format!("10.244.{}.{}", 1 + number / 200, 1 + number % 200),
    )
}

/// Saves a slice with these endpoints.
fn save(world: &World, live: &VecDeque<Backend>) -> Result<Instant> {
    let slice = SliceManifest::new("web").port("http", 8080);
    let slice = live.iter().fold(slice, |slice, backend| {
        slice.endpoint(&backend.address().ip().to_string())
    });
    world.manifests().save("slice.yaml", &slice.document())
}

/// The load was as heavy as the test says, or the test proves nothing.
fn rate_was_kept(records: &[Record]) -> Result<()> {
    let first = records.iter().map(|record| record.start).min();
    let last = records.iter().map(|record| record.start).max();
    let Some(time) = last
        .zip(first)
        .map(|(last, first)| last.duration_since(first))
    else {
        anyhow::bail!("no requests at all");
    };
    let rate = records.len() as f64 / time.as_secs_f64();
    ensure!(rate >= 200.0, "only {rate:.0} requests a second were made");
    Ok(())
}
