//! What many listeners and endpoints cost an Envoy of role `node`: start, CPU, memory, sockets, and
//! how soon an added Service answers.
//!
//! And what a Service more costs one of role `mesh`.
//!
//! `make scale` runs it; `docs/scale.md` says what came out. `ENVOY_OVERLAY` is YAML that is merged
//! over the Envoy's bootstrap.

#![expect(clippy::print_stdout, reason = "the measurements are its output")]

mod case;
mod mesh;
mod probes;
mod usage;

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::usage::{Usage, open_files};
use seaway_testing::{Cluster, Envoy, EnvoyOptions, Setup, World, within};

use case::Case;
use probes::{Answers, Probes};

/// Services that are added one after the other once all others are loaded.
const ADDED: usize = 20;
/// How long loading may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Every Service is asked so often once all are loaded: with as many workers, nearly every worker
/// is asked for every Service.
const ASKED: usize = 4;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [role, services, form, imported @ ..] = arguments.as_slice()
        && role == "mesh"
    {
        return mesh::measure(services, form, imported.first().map(String::as_str));
    }
    let case = Case::parse(&arguments).context(case::USAGE)?;
    let mut world = World::create()?;
    let setup = Setup {
        namespace: case.namespace,
        redirect: case.redirect,
        envoy: EnvoyOptions {
            concurrency: Some(case.workers),
            file_limit: case.file_limit,
            patience: Some(PATIENCE),
            overlay: env::var("ENVOY_OVERLAY").ok(),
            ..EnvoyOptions::default()
        },
        ..Setup::default()
    };
    case.save(&world)?;
    let mut cluster = Cluster::new(&mut world, &[], &setup)?;
    // Every pod address is local to the fabric, so that one socket answers for all of them.
    let _backend = cluster.world.backend("pod", "0.0.0.0")?;
    measure(&case, &mut cluster, &setup)
}

fn measure(case: &Case, cluster: &mut Cluster<'_>, setup: &Setup<'_>) -> Result<()> {
    println!("capture            {}", setup.capture());
    println!(
        "services           {}, each with ports {}, endpoints {}",
        case.services, case.ports, case.endpoints
    );
    println!("workers            {}", case.workers);
    let started = Instant::now();
    let mut probes = None;
    cluster.add_node_after(1, "a", setup, |node| {
        probes = Some(Probes::start(node, case.sample())?);
        Ok(())
    })?;
    let live = started.elapsed();
    let answers = probes.context("nobody asked")?.join()?;
    report_start(started, live, &answers);
    let envoy = cluster.envoy("n1")?.clone();
    report_envoy(&envoy)?;
    let (failed, asked) = ask_all(case, &envoy)?;
    println!("requests failed    {failed} of {asked}");
    println!("  then resident    {} MB", resident(&envoy)?);
    let (first, usual, worst) = add(case, cluster)?;
    println!(
        "added Service      {first:.0} ms the first, {usual:.0} ms the median, {worst:.0} ms the slowest of {ADDED}"
    );
    envoy.check_nothing_rejected()
}

fn report_start(started: Instant, live: Duration, answers: &Answers) {
    let since = |moment: Instant| moment.duration_since(started).as_secs_f64();
    println!("live               {:.1} s", live.as_secs_f64());
    println!("first answers      {:.1} s", since(answers.part(0)));
    println!("half answer        {:.1} s", since(answers.part(50)));
    println!("all answer         {:.1} s", since(answers.part(100)));
}

fn report_envoy(envoy: &Envoy) -> Result<()> {
    let (main, workers) = usage::cpu(envoy)?;
    println!("CPU                {main:.1} s main thread, {workers:.1} s workers");
    println!(
        "listeners          {}",
        envoy.stat("listener_manager.total_listeners_active")?
    );
    println!("resident memory    {} MB", resident(envoy)?);
    println!("allocated memory   {} MB", usage::allocated(envoy)?);
    println!("open files         {}", open_files(envoy.id())?);
    Ok(())
}

/// Megabytes of memory that the process has.
fn resident(envoy: &Envoy) -> Result<u64> {
    Ok(Usage::of(envoy.id())?.resident as u64)
}

/// Asks every Service: how many requests failed, and how many there were.
fn ask_all(case: &Case, envoy: &Envoy) -> Result<(usize, usize)> {
    let targets: Vec<_> = (0..case.services)
        .flat_map(|number| [case.address(number); ASKED])
        .collect();
    let asked = targets.len();
    let failed = envoy.namespace().run(move || {
        let failed = |target: &_| !probes::answers(target);
        targets.iter().filter(|target| failed(*target)).count()
    })?;
    Ok((failed, asked))
}

/// Adds Services one by one: milliseconds from the save to the first answer, of the first, the
/// median and the slowest.
fn add(case: &Case, cluster: &Cluster<'_>) -> Result<(f64, f64, f64)> {
    let mut times = Vec::new();
    for number in case.services..case.services + ADDED {
        let name = format!("added-{number}.yaml");
        let saved = cluster
            .world
            .manifests()
            .save(&name, &case.manifest(number))?;
        let to = case.address(number).to_string();
        within(PATIENCE, "the added Service to answer", || {
            cluster.envoy("n1")?.check_running()?;
            let outcome = cluster.get("n1", &to)?;
            ensure!(outcome.backend().is_some(), "{outcome}");
            Ok(())
        })?;
        times.push(saved.elapsed().as_secs_f64() * 1e3);
    }
    let first = times[0];
    times.sort_by(f64::total_cmp);
    Ok((first, times[times.len() / 2], times[times.len() - 1]))
}
