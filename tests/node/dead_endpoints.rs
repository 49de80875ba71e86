//! Endpoints that take no connections, each in its way, while others do: nobody's connection fails
//! for it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Backend, Client, Cluster, Load, Record, ServiceManifest, Setup, SliceManifest, eventually, join,
};

use crate::{service, with};

crate::all_captures!(
    one_dead_endpoint_of_two_costs_no_connection,
    a_client_of_dead_endpoints_is_told_soon,
    an_only_endpoint_is_used_again_as_soon_as_it_is_back,
);

crate::keeping_sources!(
    one_dead_endpoint_of_two_costs_no_connection,
    a_client_of_dead_endpoints_is_told_soon,
);

/// Where no machine is: the node has a route there, on which everything is lost without a word.
const SILENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// Where the node knows no way to: the kernel says so.
const UNREACHABLE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 99);
/// New connections a second, and for how long.
const RATE: u32 = 100;
const LOADED: Duration = Duration::from_secs(4);
/// Nearly every client waits for one connect timeout, of a second; two, who is led to the same
/// endpoint again before that is left out.
const NEARLY_ALL: Duration = Duration::from_millis(1_500);
/// Three attempts of a second each.
const PATIENCE: Duration = Duration::from_millis(3_500);

/// The three kinds of dead endpoint and their Services.
const KINDS: [(&str, &str); 3] = [
    ("refusing", "10.96.0.11"),
    ("unreachable", "10.96.0.12"),
    ("silent", "10.96.0.13"),
];

/// Makes the addresses of the kinds what they are.
fn dead(cluster: &mut Cluster<'_>) -> Result<BTreeMap<&'static str, Ipv4Addr>> {
    // Nothing listens in either pod; the second one does not even have the address that is asked
    // for.
    let refusing = cluster.client("refusing", "n1")?.v4;
    let hole = cluster.client("hole", "n1")?.v4;
    cluster.at("n1")?.configure(&format!(
        "route add {SILENT}/32 via {hole}\nroute add unreachable {UNREACHABLE}/32\n"
    ))?;
    cluster
        .at("hole")?
        .configure(&format!("route add blackhole {SILENT}/32\n"))?;
    Ok([
        ("refusing", refusing),
        ("unreachable", UNREACHABLE),
        ("silent", SILENT),
    ]
    .into())
}

/// A Service with these endpoints on the node.
fn of(name: &str, address: &str, endpoints: &[Ipv4Addr]) -> (ServiceManifest, SliceManifest) {
    let slice = SliceManifest::new(name).port("http", 8080);
    let slice = endpoints.iter().fold(slice, |slice, endpoint| {
        slice.endpoint_on(&endpoint.to_string(), "n1", "a")
    });
    (service(name, address), slice)
}

/// Service rules 81, 95: of 400 connections at 100 a second none fails, and none takes much longer
/// than the second that an endpoint is given, whether the other of two endpoints refuses, cannot be
/// reached or says nothing.
fn one_dead_endpoint_of_two_costs_no_connection(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let alive = cluster.backend("alive", "n1")?.v4;
        let dead = dead(cluster)?;
        // A Local set of a dead and a living endpoint is no different.
        let all = KINDS.map(|(kind, address)| {
            let (service, slice) = of(kind, address, &[dead[kind], alive]);
            with(&service.spec("internalTrafficPolicy", "Local"), &slice)
        });
        cluster.world.manifests().save("kinds.yaml", &join(all))?;
        for (kind, address) in KINDS {
            listening(cluster, address)?;
            let records = load(cluster, address)?;
            let failures = Record::failures(&records);
            ensure!(failures.is_none(), "{kind}: {failures:?}");
            let slowest = slowest(&records)?;
            ensure!(slowest < PATIENCE, "{kind}: {slowest:?}");
            let late = records.iter().filter(|r| r.end - r.start > NEARLY_ALL);
            let late = late.count();
            ensure!(late <= records.len() / 50, "{kind}: {late} took longer");
            ensure!(records.len() >= 380, "{kind}: {} requests", records.len());
        }
        Ok(())
    })
}

/// Service rule 95: a client whose Service has dead endpoints only, one or two, is turned away in
/// the time of three attempts.
fn a_client_of_dead_endpoints_is_told_soon(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let dead = dead(cluster)?;
        let two = of("two", "10.96.0.14", &[dead["refusing"], dead["silent"]]);
        let all = KINDS.map(|(kind, address)| of(kind, address, &[dead[kind]]));
        let all = all.iter().chain([&two]);
        let all = all.map(|(service, slice)| with(service, slice));
        cluster.world.manifests().save("kinds.yaml", &join(all))?;
        for (kind, address) in KINDS.into_iter().chain([("two", "10.96.0.14")]) {
            listening(cluster, address)?;
            let records = load(cluster, address)?;
            let answered = Record::answered_by(&records);
            ensure!(answered.is_empty(), "{kind}: {answered:?}");
            let slowest = slowest(&records)?;
            ensure!(slowest < PATIENCE, "{kind}: {slowest:?}");
        }
        Ok(())
    })
}

/// Service rules 81, 95: an endpoint that is the only one is never left out, however often it
/// refused: it is asked again as soon as it listens, and of two dead ones the first that is back
/// gets the connections.
fn an_only_endpoint_is_used_again_as_soon_as_it_is_back(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        let one = cluster.client("one", "n1")?.v4;
        let other = cluster.client("other", "n1")?.v4;
        let (only, both) = ("10.96.0.11", "10.96.0.12");
        let services = [of("only", only, &[one]), of("both", both, &[one, other])];
        let all = services.map(|(service, slice)| with(&service, &slice));
        cluster
            .world
            .manifests()
            .save("services.yaml", &join(all))?;
        for address in [only, both] {
            listening(cluster, address)?;
            let failed = cluster.ask("client", &port(address), 20)?;
            ensure!(failed.keys().eq(["closed"]), "{failed:?}");
        }
        let start = Instant::now();
        let _back = Backend::start(cluster.at("one")?, "one", (one, 8080).into())?;
        let seen = cluster.ask("client", &port(only), 10)?;
        ensure!(seen.keys().eq(["one"]), "{seen:?}");
        cluster.expect("client", &port(both), &["one"])?;
        let waited = start.elapsed();
        ensure!(waited < Duration::from_secs(8), "{waited:?}");
        Ok(())
    })
}

fn port(address: &str) -> String {
    format!("{address}:80")
}

/// Waits until the node's Envoy listens there, without using up what it knows of endpoints.
fn listening(cluster: &Cluster<'_>, address: &str) -> Result<()> {
    eventually(format!("a listener at {address}"), || {
        let listeners = cluster.envoy("n1")?.admin("/listeners")?;
        ensure!(listeners.contains(&port(address)), "{listeners}");
        Ok(())
    })
}

/// What becomes of the connections of some seconds.
fn load(cluster: &Cluster<'_>, address: &str) -> Result<Vec<Record>> {
    let target: std::net::SocketAddr = port(address).parse()?;
    let load = Load::start(cluster.at("client")?, Client::new(target), RATE)?;
    thread::sleep(LOADED);
    load.stop()
}

/// How long the slowest took.
fn slowest(records: &[Record]) -> Result<Duration> {
    let times = records.iter().map(|record| record.end - record.start);
    times.max().context("no request was made")
}
