//! Steps in which something goes wrong and nothing is lost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::scene::say;
use crate::{Envoy, Place, Record, Scene, within};

/// Requests a second while Seaway is away.
const RATE: u32 = 250;
/// How often the endpoints of a cluster changed.
const UPDATED: &str = "cluster_manager.cluster_updated";
/// Whether Envoy has a stream to Seaway.
const CONNECTED: &str = "control_plane.connected_state";

/// A manifest is saved that does not parse; the last good version goes on being served, and Seaway
/// says what is wrong.
pub fn broken_manifest(scene: &mut Scene<'_>) -> Result<()> {
    let good = scene.world.manifests().read("agent.yaml")?;
    let load = scene.envoy(Place::N1)?.load("10.96.0.20:80", RATE)?;
    scene.world.manifests().save(
        "agent.yaml",
        &good.replace("clusterIP: 10.96.0.20", "clusterIP: [10.96.0.20"),
    )?;
    let said = crate::eventually("Seaway to name the broken file", || {
        complaint(scene, "agent.yaml")
    })?;
    say(&format!("    seaway says: {said}"));
    // A change made after the broken one arrives: so the broken one has had its chance to do harm.
    synchronise(scene)?;
    scene.await_requests("agent-n1", 100)?;
    let answers = scene.ask_often(Place::N1, "10.96.0.20:80", 10)?;
    ensure!(
        answers.keys().eq(["agent-n1"]),
        "agent-n1 should go on answering, not {answers:?}"
    );
    scene.world.manifests().save("agent.yaml", &good)?;
    let records = load.stop()?;
    let failures = Record::failures(&records);
    say(&format!(
        "    {} requests meanwhile, failed: {}",
        records.len(),
        failures.as_deref().unwrap_or("0")
    ));
    ensure!(
        failures.is_none(),
        "requests failed: {}",
        failures.unwrap_or_default()
    );
    Ok(())
}

/// `kill -9` of Seaway and its restart: no request fails, and Envoy has nothing to change.
pub fn restart(scene: &mut Scene<'_>) -> Result<()> {
    let envoy = scene.envoy(Place::N1)?;
    await_stat(&envoy, CONNECTED, 1)?;
    // What the change that follows the restart counts for, without any restart.
    let start = envoy.stat(UPDATED)?;
    synchronise(scene)?;
    let (before, updated) = (envoy.changes()?, envoy.stat(UPDATED)?);

    let load = envoy.load("10.96.0.10:80", RATE)?;
    scene.world.seaway()?.kill()?;
    await_stat(&envoy, CONNECTED, 0)?;
    scene.ask_often(Place::N1, "10.96.0.10:80", 30)?;
    let began = Instant::now();
    scene.world.restart_seaway()?;
    await_stat(&envoy, CONNECTED, 1)?;
    say(&format!(
        "    n1 is connected again {:.1?} after the start",
        began.elapsed()
    ));
    synchronise(scene)?;
    scene.await_requests("web-2", 50)?;
    let records = load.stop()?;

    let (after, failures) = (envoy.changes()?, Record::failures(&records));
    say(&format!(
        "    {} requests meanwhile, failed: {}",
        records.len(),
        failures.as_deref().unwrap_or("0")
    ));
    ensure!(
        failures.is_none(),
        "requests failed: {}",
        failures.unwrap_or_default()
    );
    say(&format!("    Envoy's counts, before and after: {after:?}"));
    ensure!(
        before == after,
        "Envoy changed listeners or clusters; before: {before:?}, after: {after:?}"
    );
    let (once, again) = (updated - start, envoy.stat(UPDATED)? - updated);
    ensure!(
        once == again,
        "endpoints changed {again} times instead of {once}"
    );
    Ok(())
}

/// Makes a change and sees it arrive: everything that Seaway owed the Envoy before has then
/// arrived, too.
fn synchronise(scene: &mut Scene<'_>) -> Result<()> {
    let n1 = scene.envoy(Place::N1)?;
    scene
        .world
        .manifests()
        .replace("cache.yaml", "{ready: true} # n1", "{ready: false} # n1")?;
    n1.await_backend("10.96.0.30:80", "cache-n2")?;
    scene
        .world
        .manifests()
        .replace("cache.yaml", "{ready: false} # n1", "{ready: true} # n1")?;
    n1.await_backend("10.96.0.30:80", "cache-n1")
}

/// Waits until a gauge of Envoy has a value. Reconnecting may take Envoy half a minute, its longest
/// back-off.
fn await_stat(envoy: &Envoy, name: &str, wanted: u64) -> Result<()> {
    within(
        Duration::from_secs(30),
        format!("{name} to be {wanted}"),
        || {
            let value = envoy.stat(name)?;
            ensure!(value == wanted, "it is {value}");
            Ok(())
        },
    )
}

/// What Seaway's log says about a file.
fn complaint(scene: &mut Scene<'_>, file: &str) -> Result<String> {
    let log = scene.world.seaway()?.log();
    let records = log
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |record: &Value, field: &str| record[field].as_str().unwrap_or_default().to_owned();
    let mut about = records.filter(|record| text(record, "object").contains(file));
    let record = about
        .next()
        .with_context(|| format!("nothing about {file} in\n{log}"))?;
    let [level, object, field, message] =
        ["level", "object", "field", "message"].map(|field| text(&record, field));
    Ok(format!("{level} {object}, {field}: {message}"))
}
