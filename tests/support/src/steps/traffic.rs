//! Steps through cluster IPs: spreading, replacing, and what a node prefers.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::scene::say;
use crate::{Outcome, Place, Record, Scene};

/// Requests a second while an endpoint is replaced.
const RATE: u32 = 250;
/// How long a replaced backend goes on serving, as a pod does that is being terminated.
const GRACE: Duration = Duration::from_secs(1);

/// Traffic through a cluster IP reaches every endpoint, from both nodes.
pub fn spread(scene: &mut Scene<'_>) -> Result<()> {
    spread_on(scene, Place::N1)?;
    spread_on(scene, Place::N2)
}

/// Traffic through a cluster IP reaches every endpoint, from one node.
pub fn spread_on(scene: &mut Scene<'_>, place: Place) -> Result<()> {
    let answers = scene.ask_often(place, "10.96.0.10:80", 40)?;
    let wanted = ["web-1", "web-2", "web-3"];
    ensure!(
        answers.keys().eq(wanted),
        "{wanted:?} should have answered, all and only they, not {answers:?}"
    );
    Ok(())
}

/// An endpoint is replaced while requests run; the old backend lives on for a moment, and no
/// request fails.
pub fn replace_endpoint(scene: &mut Scene<'_>) -> Result<()> {
    scene.start_backend("web-4", "10.244.1.11")?;
    let load = scene.envoy(Place::N1)?.load("10.96.0.10:80", RATE)?;
    scene.await_requests("web-1", 50)?;
    let saved = scene
        .world
        .manifests()
        .replace("web.yaml", "10.244.1.10", "10.244.1.11")?;
    scene.await_requests("web-4", 50)?;
    thread::sleep((saved + GRACE).saturating_duration_since(Instant::now()));
    scene.stop_backend("web-1")?;
    scene.await_requests("web-4", 50)?;
    let records = load.stop()?;

    let last = Record::last_start(&records, "web-1").context("the old backend never answered")?;
    let first = records
        .iter()
        .filter(|record| record.outcome.backend() == Some("web-4"))
        .map(|record| record.end)
        .min();
    let first = first.context("the new backend never answered")?;
    let failures = Record::failures(&records);
    say(&format!(
        "    n1    {} requests, {RATE} a second, each over a new connection, during the change",
        records.len()
    ));
    let millis = |moment: Instant| moment.saturating_duration_since(saved).as_secs_f64() * 1e3;
    say(&format!(
        "    last request on the old endpoint  {:>6.1} ms after the save",
        millis(last)
    ));
    say(&format!(
        "    first answer of the new endpoint  {:>6.1} ms after the save",
        millis(first)
    ));
    say(&format!(
        "    failed requests                   {}",
        failures.as_deref().unwrap_or("0")
    ));
    ensure!(
        failures.is_none(),
        "requests failed: {}",
        failures.unwrap_or_default()
    );
    ensure!(
        last < saved + GRACE,
        "the old endpoint was used for more than {GRACE:?}"
    );
    Ok(())
}

/// `internalTrafficPolicy: Local` as both nodes see it.
pub fn local_policy(scene: &mut Scene<'_>) -> Result<()> {
    expect_only(scene, Place::N1, "10.96.0.20:80", "agent-n1")?;
    expect_only(scene, Place::N2, "10.96.0.20:80", "agent-n2")?;
    say("    the agent of n1 is taken out: its node has no other, and strictly local means that");
    scene
        .world
        .manifests()
        .replace("agent.yaml", "nodeName: n1", "nodeName: n3")?;
    let client = crate::Client::new(([10, 96, 0, 20], 80));
    let closed = |outcome: &Outcome| matches!(outcome, Outcome::Closed(_));
    let n1 = scene.envoy(Place::N1)?;
    let outcome = n1.await_outcome(&client, "n1 to close connections to the agent", closed)?;
    say(&format!("    n1    {client}  ->  {outcome}"));
    expect_only(scene, Place::N2, "10.96.0.20:80", "agent-n2")?;
    scene
        .world
        .manifests()
        .replace("agent.yaml", "nodeName: n3", "nodeName: n1")?;
    scene.settle(Place::N1, "10.96.0.20:80", &["agent-n1"])
}

/// A Local policy with fallback: the own node first, the other when that is gone, and back.
pub fn local_fallback(scene: &mut Scene<'_>) -> Result<()> {
    expect_only(scene, Place::N1, "10.96.0.30:80", "cache-n1")?;
    expect_only(scene, Place::N2, "10.96.0.30:80", "cache-n2")?;
    fail_over(
        scene,
        "cache.yaml",
        "{ready: true} # n1",
        "10.96.0.30:80",
        ["cache-n1", "cache-n2"],
    )
}

/// Zone hints: the own zone first, the other when nothing is left in it, and back.
pub fn zone_preference(scene: &mut Scene<'_>) -> Result<()> {
    expect_only(scene, Place::N1, "10.96.0.40:80", "nearby-a")?;
    expect_only(scene, Place::N2, "10.96.0.40:80", "nearby-b")?;
    fail_over(
        scene,
        "nearby.yaml",
        "{ready: true} # zone a",
        "10.96.0.40:80",
        ["nearby-a", "nearby-b"],
    )
}

/// Makes the endpoint marked `mark` unready, sees n1 use `other` instead of `own`, and undoes it.
fn fail_over(
    scene: &mut Scene<'_>,
    file: &str,
    mark: &str,
    address: &str,
    [own, other]: [&str; 2],
) -> Result<()> {
    let unready = mark.replace("true", "false");
    say(&format!("    {own} becomes unready"));
    scene.world.manifests().replace(file, mark, &unready)?;
    scene.settle(Place::N1, address, &[other])?;
    expect_only(scene, Place::N1, address, other)?;
    say(&format!("    {own} is ready again"));
    scene.world.manifests().replace(file, &unready, mark)?;
    scene.settle(Place::N1, address, &[own])?;
    expect_only(scene, Place::N1, address, own)
}

/// Ten requests, all answered by `backend`.
fn expect_only(scene: &Scene<'_>, place: Place, address: &str, backend: &str) -> Result<()> {
    let answers = scene.ask_often(place, address, 10)?;
    ensure!(
        answers.keys().eq([backend]),
        "only {backend} should have answered, not {answers:?}"
    );
    Ok(())
}
