//! `make demo`: the whole way of a change, in one private network, printed as it happens.

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use seaway_testing::{Place, Scene, World, say, steps};

/// A step: its title and what it does.
type Step = (&'static str, fn(&mut Scene<'_>) -> Result<()>);

const STEPS: [Step; 14] = [
    (
        "A cluster IP spreads its connections over all endpoints, on both nodes",
        steps::spread,
    ),
    (
        "An endpoint is replaced while requests run",
        steps::replace_endpoint,
    ),
    (
        "internalTrafficPolicy: Local, seen from both nodes",
        steps::local_policy,
    ),
    (
        "A Local policy that may fall back: own node first, then the others",
        steps::local_fallback,
    ),
    (
        "Zone preference by hints, with failover",
        steps::zone_preference,
    ),
    (
        "A Service by host name through the mesh Envoy",
        steps::host_names,
    ),
    ("A Service that speaks h2c", steps::h2c),
    ("An ExternalName, by DNS", steps::external_name),
    (
        "An ExternalName that is another Service's alias",
        steps::external_alias,
    ),
    ("The ExternalName gets a new target", steps::retarget),
    (
        "An ingress Envoy serves a Gateway, over HTTP and HTTPS",
        steps::ingress,
    ),
    (
        "A route's weight goes from one Service to another while requests run",
        steps::shift_weights,
    ),
    (
        "A broken manifest is saved, and nothing is lost",
        steps::broken_manifest,
    ),
    (
        "seaway is killed (kill -9) and started again",
        steps::restart,
    ),
];

fn main() -> ExitCode {
    let started = Instant::now();
    match World::run(play) {
        Ok(()) => {
            say(&format!(
                "\nAll {} steps went as described, in {:.0?}.",
                STEPS.len(),
                started.elapsed()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("\nFAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Plays all steps, and keeps the scene when `KEEP` is set.
fn play(world: &mut World) -> Result<()> {
    say(
        "Starting seaway, its backends, a name server, and three Envoys: nodes n1 (zone a) and n2 (zone b), and a mesh one.",
    );
    let mut scene = Scene::set(world, &Place::ALL, false)?;
    for (number, (title, step)) in (1..).zip(STEPS) {
        say(&format!("\n{number:>2}. {title}"));
        step(&mut scene).map_err(|error| error.context(format!("step {number}, {title}")))?;
    }
    scene.world.check()?;
    if env::var_os("KEEP").is_some_and(|keep| !keep.is_empty() && keep != "0") {
        keep(&mut scene)?;
    }
    Ok(())
}

/// Prints how to use what runs, and waits to be interrupted.
fn keep(scene: &mut Scene<'_>) -> Result<()> {
    let enter = env::var("SEAWAY_ENTER").unwrap_or_else(|_| "nsenter --net -t".to_owned());
    let (n1, n2, mesh) = (
        scene.envoy(Place::N1)?.id(),
        scene.envoy(Place::N2)?.id(),
        scene.envoy(Place::Mesh)?.id(),
    );
    let seaway = scene.world.seaway()?.id();
    let manifests = scene.world.manifests().path().display().to_string();
    say("\nKEEP: everything goes on running until Ctrl-C. From another shell:");
    say(&format!(
        "  {enter} {n1} curl -s http://10.96.0.10/           a cluster IP, from node n1"
    ));
    say(&format!(
        "  {enter} {n2} curl -s http://10.96.0.20/           a Local policy, from node n2"
    ));
    say(&format!(
        "  {enter} {mesh} curl -s -H 'host: api.shop' http://127.0.0.1:15001/    through the mesh Envoy"
    ));
    say(&format!(
        "  {enter} {n1} curl -s http://127.0.0.1:9901/config_dump    what n1's Envoy knows"
    ));
    say(&format!(
        "  {enter} {seaway} curl -s http://127.0.0.1:18001/metrics    what seaway counts"
    ));
    say(&format!(
        "  edit {manifests}/*.yaml             seaway follows"
    ));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    say("\nInterrupted; everything ends.");
    Ok(())
}
