//! A restart of Seaway while its input is broken or away serves what was served before (xDS rule
//! 148).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Envoy, Outcome, Place, Record, Scene, World, eventually, repository, steps, within,
};
use serde_json::Value;

/// The Service of the file that is broken.
const AGENT: &str = "10.96.0.20:80";
const WEB: &str = "10.96.0.10:80";

fn folder(world: &World) -> PathBuf {
    world.folder().join("checkpoint")
}

fn file(world: &World) -> PathBuf {
    folder(world).join("checkpoint.jsonl")
}

fn start(world: &mut World) -> Result<()> {
    let folder = folder(world);
    let folder = folder.to_str().context("no UTF-8")?;
    world.start_seaway(&["--checkpoint", folder, "--checkpoint-grace", "500ms"])
}

/// Starts Seaway anew with a checkpoint, and waits until that is written.
fn keep(scene: &mut Scene<'_>) -> Result<()> {
    scene.world.seaway()?.kill()?;
    start(scene.world)?;
    eventually("the checkpoint to be written", || {
        let written = scene
            .world
            .metric("seaway_checkpoint_timestamp_seconds", "")?;
        ensure!(written > 0.0, "it was written at {written}");
        Ok(())
    })
}

/// Breaks the file of the agent, and waits until Seaway says so.
fn break_agent(scene: &mut Scene<'_>) -> Result<()> {
    scene.world.manifests().save("agent.yaml", "kind: [")?;
    eventually("Seaway to name the broken file", || {
        let log = scene.world.seaway()?.log();
        ensure!(log.contains("File agent.yaml"), "{log}");
        Ok(())
    })
}

fn await_connected(envoy: &Envoy, wanted: u64) -> Result<()> {
    let name = "control_plane.connected_state";
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

fn new_node(scene: &mut Scene<'_>) -> Result<Arc<Envoy>> {
    let n2 = scene.world.start_node("n2", "b")?;
    eventually("n2 to be served", || {
        let outcome = n2.get(WEB)?;
        ensure!(outcome.backend().is_some(), "{outcome}");
        Ok(())
    })?;
    Ok(n2)
}

#[test]
fn a_restart_while_a_file_is_broken_loses_nothing() -> Result<()> {
    Scene::play(&[Place::N1], |scene| {
        keep(scene)?;
        break_agent(scene)?;
        steps::restart(scene)?;
        let n2 = new_node(scene)?;
        n2.await_backend(AGENT, "agent-n2")?;
        scene.envoy(Place::N1)?.await_backend(AGENT, "agent-n1")?;
        ensure!(scene.world.metric("seaway_world_stale", "")? == 0.0);
        ensure!(scene.world.metric("seaway_problems", "Unreadable")? == 1.0);
        Ok(())
    })
}

#[test]
fn without_a_checkpoint_a_restart_loses_what_the_broken_file_gave() -> Result<()> {
    Scene::play(&[], |scene| {
        break_agent(scene)?;
        scene.world.seaway()?.kill()?;
        scene.world.restart_seaway()?;
        let n2 = new_node(scene)?;
        ensure!(n2.get(AGENT)? == Outcome::Refused, "it is served");
        Ok(())
    })
}

#[test]
fn a_restart_while_the_folder_is_away_serves_old_and_new_proxies() -> Result<()> {
    Scene::play(&[Place::N1], |scene| {
        keep(scene)?;
        let n1 = scene.envoy(Place::N1)?;
        await_connected(&n1, 1)?;
        n1.await_backend(AGENT, "agent-n1")?;
        let before = n1.changes()?;
        let load = n1.load(WEB, 100)?;
        scene.world.seaway()?.kill()?;
        let manifests = scene.world.manifests().path().to_owned();
        let away = manifests.with_extension("away");
        fs::rename(&manifests, &away)?;
        await_connected(&n1, 0)?;
        scene.world.restart_seaway()?;
        ensure!(scene.world.metric("seaway_world_stale", "")? == 1.0);
        let ready = scene.world.admin("/readyz")?;
        let (first, second) = ready.split_once('\n').context("one line")?;
        ensure!(
            first == "ok" && second.starts_with("stale: serving the checkpoint of 20"),
            "{ready}"
        );
        ensure!(second.contains("No such file"), "{ready}");
        let n2 = new_node(scene)?;
        n2.await_backend(AGENT, "agent-n2")?;
        await_connected(&n1, 1)?;

        fs::rename(&away, &manifests)?;
        scene.world.manifests().replace(
            "cache.yaml",
            "{ready: true} # n1",
            "{ready: false} # n1",
        )?;
        for envoy in [&n1, &n2] {
            envoy.await_backend("10.96.0.30:80", "cache-n2")?;
        }
        eventually("the world to be the folder's", || {
            let stale = scene.world.metric("seaway_world_stale", "")?;
            ensure!(stale == 0.0, "it is stale");
            Ok(())
        })?;
        ensure!(scene.world.admin("/readyz")? == "ok\n");
        let after = n1.changes()?;
        ensure!(before == after, "before: {before:?}, after: {after:?}");
        let failures = Record::failures(&load.stop()?);
        ensure!(failures.is_none(), "{failures:?}");
        Ok(())
    })
}

#[test]
fn a_corrupt_checkpoint_is_refused_in_one_line_and_replaced() -> Result<()> {
    World::run(|world| {
        world
            .manifests()
            .copy_from(&repository().join("deploy/demo"))?;
        fs::create_dir(folder(world))?;
        let header = r#"{"magic":"seaway-checkpoint","format":1,"entries":"#;
        fs::write(file(world), header)?;
        start(world)?;
        let log = world.seaway()?.log();
        let refused: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| {
                line["message"]
                    .as_str()
                    .is_some_and(|m| m.contains("refused"))
            })
            .collect();
        let [line] = &refused[..] else {
            anyhow::bail!("not one line in\n{log}");
        };
        ensure!(
            line["level"] == "ERROR" && line["reason"] == "corrupt",
            "{line}"
        );
        ensure!(
            line["file"] == file(world).to_str().unwrap_or_default(),
            "{line}"
        );
        ensure!(line["error"] == "line 1: the file ends here", "{line}");
        ensure!(world.metric("seaway_checkpoint_errors_total", "corrupt")? == 1.0);
        eventually("it to be replaced", || {
            let text = fs::read_to_string(file(world))?;
            ensure!(text.contains("\"xxh3\""), "{text}");
            Ok(())
        })
    })
}

/// A Service of which the checkpoint tells which version of the folder it is of.
fn churn(world: &World, version: u32) -> Result<()> {
    let port = 1000 + version;
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: churn}}\nspec: {{clusterIP: 10.96.9.9, ports: [{{port: {port}}}]}}\n"
    );
    world.manifests().save("churn.yaml", &text)?;
    Ok(())
}

/// The version that the checkpoint on disk is of.
fn version(file: &Path) -> Result<u64> {
    for line in fs::read_to_string(file)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        if line["file"] == "churn.yaml" {
            let port = &line["object"]["Service"]["ports"][0]["number"];
            return port.as_u64().map(|port| port - 1000).context("no port");
        }
    }
    anyhow::bail!("not in the checkpoint")
}

#[test]
fn a_kill_at_any_moment_leaves_the_previous_or_the_new_checkpoint() -> Result<()> {
    const KILLS: u32 = 30;
    World::run(|world| {
        // Enough that writing it takes a while.
        let one = |i: u32| {
            format!(
                "- {{metadata: {{name: s{i}}}, spec: {{clusterIP: 10.97.{}.{}, ports: [{{port: 80}}]}}}}\n",
                i / 250,
                i % 250 + 1
            )
        };
        let many: String = (0..1000).map(one).collect();
        let many = format!("apiVersion: v1\nkind: ServiceList\nitems:\n{many}");
        world.manifests().save("many.yaml", &many)?;
        churn(world, 0)?;
        start(world)?;
        let file = file(world);
        eventually("the first checkpoint", || {
            ensure!(version(&file)? == 0);
            Ok(())
        })?;
        world.seaway()?.kill()?;
        let (mut last, mut saved) = (0, 0);
        for kill in 1..=KILLS {
            churn(world, 2 * kill - 1)?;
            world.restart_seaway()?;
            // What changed while it was away is saved after a second, with what changes until then:
            // from shortly before that on it is killed, each time a little later.
            sleep(Duration::from_millis(850));
            churn(world, 2 * kill)?;
            sleep(Duration::from_millis(u64::from(kill * 20)));
            world.seaway()?.kill()?;
            let found = version(&file)?;
            let possible = last..=u64::from(2 * kill);
            ensure!(possible.contains(&found), "{found} is none of {possible:?}");
            saved += u32::from(found > last);
            last = found;
        }
        ensure!(saved > 0, "nothing was ever saved");
        world.restart_seaway()?;
        let log = world.seaway()?.log();
        let count = |what: &str| log.matches(what).count();
        ensure!(count("refused") == 0, "{log}");
        ensure!(count("found a checkpoint") == KILLS as usize + 1, "{log}");
        let left = fs::read_dir(folder(world))?.count();
        ensure!(left <= 2, "{left} files are left");
        Ok(())
    })
}
