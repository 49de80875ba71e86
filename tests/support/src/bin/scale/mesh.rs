//! What one more Service costs an Envoy of role `mesh` beside so many others, by how it takes
//! routes.

use std::env;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use seaway_testing::{Client, Envoy, EnvoyOptions, MESH, World, within};

use super::case::Case;
use super::{ADDED, PATIENCE, resident, usage};

/// Bytes that Envoy has been sent.
const RECEIVED: &str = "cluster.seaway_xds.upstream_cx_rx_bytes_total";

/// Measures with this many Services of one port and one endpoint, of which the Envoy imports so
/// many, or all.
pub(crate) fn measure(services: &str, form: &str, imported: Option<&str>) -> Result<()> {
    let sotw = match form {
        "scopes" => None,
        "table" => Some("--sotw"),
        _ => bail!(super::case::USAGE),
    };
    let services = services.parse().context("SERVICES is no number")?;
    let imported: Option<usize> = imported.map(str::parse).transpose()?;
    let known = imported.unwrap_or(services).clamp(1, services);
    let names: Vec<String> = (0..known).map(|n| format!("default/web-{n}")).collect();
    let names = imported.map(|_| names.join(","));
    let import = names.iter().flat_map(|names| ["--import", names]);
    let case = Case::of_mesh(services);
    let mut world = World::create()?;
    let _backend = world.backend("pod", "0.0.0.0")?;
    case.save(&world)?;
    world.start_seaway(&[])?;
    let more = ["--pod-namespace", "default"].into_iter();
    let more = more.chain(sotw).chain(import);
    let options = EnvoyOptions {
        concurrency: Some(case.workers),
        patience: Some(PATIENCE),
        overlay: env::var("ENVOY_OVERLAY").ok(),
        ..World::mesh_options(&more.collect::<Vec<_>>())
    };
    let envoy = world.start_envoy("mesh", &options)?;
    for number in [0, known - 1] {
        answers(&envoy, &case, number)?;
    }
    println!("routes             {form} of {known} of {services} Services");
    println!("sent               {} KB", envoy.stat(RECEIVED)? / 1000);
    let (main, _) = usage::cpu(&envoy)?;
    println!("CPU, all loaded    {main:.1} s of the main thread");
    let own = seaway_testing::usage::Usage::of(envoy.id())?.own;
    println!(
        "resident memory    {} MB, {own:.0} MB of that without the pages of the program",
        resident(&envoy)?
    );
    println!("allocated memory   {} MB", usage::allocated(&envoy)?);
    if imported.is_none() {
        added(&world, &envoy, &case, services)?;
    }
    envoy.check_nothing_rejected()
}

/// Adds Services one after the other, each behind so many.
fn added(world: &World, envoy: &Envoy, case: &Case, services: usize) -> Result<()> {
    let (mut bytes, mut cpu, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for number in services..services + ADDED {
        let before = received(envoy)?;
        let main = idle(envoy)?;
        let saved = Instant::now();
        let text = case.manifest(number);
        let file = format!("added-{number}.yaml");
        world.manifests().save(&file, &text)?;
        answers(envoy, case, number)?;
        times.push(saved.elapsed().as_secs_f64() * 1e3);
        // Before it is asked for numbers, which costs the main thread more.
        cpu.push((idle(envoy)? - main) * 1e3);
        bytes.push((received(envoy)? - before) as f64);
    }
    println!(
        "added Service      {:.0} bytes, the median of {ADDED}",
        median(&mut bytes)
    );
    println!(
        "  CPU              {:.1} ms of the main thread",
        median(&mut cpu)
    );
    println!("  answers after    {:.0} ms", median(&mut times));
    Ok(())
}

/// Waits until a Service answers by its cluster IP, of which the scope is the last that is sent.
fn answers(envoy: &Envoy, case: &Case, number: usize) -> Result<()> {
    let host = case.address(number).ip().to_string();
    let client = Client::new(MESH).host(&host);
    within(PATIENCE, "the Service to answer", || {
        let outcome = envoy.send(&client)?;
        ensure!(outcome.backend().is_some(), "{outcome}");
        Ok(())
    })
}

/// The bytes that Envoy has been sent, once nothing more comes.
fn received(envoy: &Envoy) -> Result<u64> {
    let mut last = 0;
    within(PATIENCE, "nothing more to be sent", || {
        let received = envoy.stat(RECEIVED)?;
        let more = received - last;
        last = received;
        ensure!(more == 0, "{more} bytes more");
        Ok(())
    })?;
    Ok(last)
}

/// The seconds of CPU of the main thread, once it has nothing more to do.
fn idle(envoy: &Envoy) -> Result<f64> {
    let mut last = 0.0;
    within(PATIENCE, "the main thread to be idle", || {
        let (main, _) = usage::cpu(envoy)?;
        let more = main - last;
        last = main;
        ensure!(more < 0.0005, "{more} s more");
        Ok(())
    })?;
    Ok(last)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
