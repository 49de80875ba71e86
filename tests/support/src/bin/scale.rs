//! What many listeners cost an Envoy of role `node`: start, memory, sockets, and how soon an added Service answers.
//!
//! `make scale` runs it; `docs/scale.md` says what came out. `ENVOY_OVERLAY` is YAML that is merged over the Envoy's bootstrap.

#![expect(clippy::print_stdout, reason = "the measurements are its output")]

use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Cluster, Envoy, EnvoyOptions, ServiceManifest, Setup, SliceManifest, World, join, within,
};

/// Services in one file.
const PER_FILE: usize = 100;
/// Services that are added one after the other once all others are loaded.
const ADDED: usize = 20;
/// How long loading may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// The endpoint of every Service.
const POD: &str = "10.244.1.10";

/// What to measure.
struct Case {
    redirect: bool,
    services: usize,
    ports: u16,
    workers: u32,
    file_limit: Option<u32>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let case = Case::parse(&arguments)
        .context("usage: seaway-scale bind|redirect SERVICES PORTS WORKERS [FILE-LIMIT]")?;
    let mut world = World::create()?;
    let setup = Setup {
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
    let _backend = cluster.world.backend("pod", POD)?;
    case.measure(&mut cluster, &setup)
}

impl Case {
    fn parse(arguments: &[String]) -> Option<Self> {
        let [capture, services, ports, workers, rest @ ..] = arguments else {
            return None;
        };
        Some(Self {
            redirect: match capture.as_str() {
                "bind" => false,
                "redirect" => true,
                _ => return None,
            },
            services: services.parse().ok()?,
            ports: ports.parse().ok()?,
            workers: workers.parse().ok()?,
            file_limit: match rest {
                [] => None,
                [limit] => Some(limit.parse().ok()?),
                _ => return None,
            },
        })
    }

    /// The Service with this number and its slice.
    fn documents(&self, number: usize) -> [String; 2] {
        let name = format!("web-{number}");
        let mut service = ServiceManifest::new(&name).cluster_ip(&address(number));
        let mut slice = SliceManifest::new(&name).endpoint(POD);
        for port in 0..self.ports {
            service = service.port(&format!("p{port}"), 80 + port);
            slice = slice.port(&format!("p{port}"), 8080);
        }
        [service.document(), slice.document()]
    }

    fn save(&self, world: &World) -> Result<()> {
        let numbers: Vec<usize> = (0..self.services).collect();
        for (file, numbers) in numbers.chunks(PER_FILE).enumerate() {
            let documents = numbers.iter().flat_map(|number| self.documents(*number));
            world
                .manifests()
                .save(&format!("web-{file}.yaml"), &join(documents))?;
        }
        Ok(())
    }

    fn measure(&self, cluster: &mut Cluster<'_>, setup: &Setup<'_>) -> Result<()> {
        let started = Instant::now();
        cluster.add_node(1, "a", setup)?;
        let live = started.elapsed();
        let last = format!("{}:{}", address(self.services - 1), 79 + self.ports);
        within(PATIENCE, "the last Service to answer", || {
            answers(cluster, &last)
        })?;
        let loaded = started.elapsed();
        let envoy = cluster.envoy("n1")?.clone();
        println!(
            "capture            {}",
            if self.redirect { "redirect" } else { "bind" }
        );
        println!("services, ports    {}, {} each", self.services, self.ports);
        println!("workers            {}", self.workers);
        println!("live               {:.1} s", live.as_secs_f64());
        println!("all answer         {:.1} s", loaded.as_secs_f64());
        println!(
            "listeners          {}",
            envoy.stat("listener_manager.total_listeners_active")?
        );
        println!("resident memory    {} MB", resident(&envoy)?);
        println!("open files         {}", open_files(&envoy)?);
        let (first, usual, worst) = self.add(cluster)?;
        println!(
            "added Service      {first:.0} ms the first, {usual:.0} ms the median, {worst:.0} ms the slowest of {ADDED}"
        );
        envoy.check_nothing_rejected()
    }

    /// Adds Services one by one: milliseconds from the save to the first answer, of the first, the median and the slowest.
    fn add(&self, cluster: &Cluster<'_>) -> Result<(f64, f64, f64)> {
        let mut times = Vec::new();
        for number in self.services..self.services + ADDED {
            let name = format!("added-{number}.yaml");
            let saved = cluster
                .world
                .manifests()
                .save(&name, &join(self.documents(number)))?;
            let to = format!("{}:80", address(number));
            within(PATIENCE, "the added Service to answer", || {
                answers(cluster, &to)
            })?;
            times.push(saved.elapsed().as_secs_f64() * 1e3);
        }
        let first = times[0];
        times.sort_by(f64::total_cmp);
        Ok((first, times[times.len() / 2], times[times.len() - 1]))
    }
}

/// The cluster IP of the Service with this number.
fn address(number: usize) -> String {
    format!("10.96.{}.{}", 1 + number / 250, 1 + number % 250)
}

fn answers(cluster: &Cluster<'_>, to: &str) -> Result<()> {
    cluster.envoy("n1")?.check_running()?;
    let outcome = cluster.get("n1", to)?;
    ensure!(outcome.backend().is_some(), "{outcome}");
    Ok(())
}

/// Megabytes of memory that the process has.
fn resident(envoy: &Envoy) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", envoy.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.context("no VmRSS")?.parse::<u64>()? / 1024)
}

/// Files and sockets that the process has open.
fn open_files(envoy: &Envoy) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/fd", envoy.id()))?.count())
}
