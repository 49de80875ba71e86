//! The inspection API and the commands that ask it, of whole processes: what they say is what is.

mod access;
mod check;
mod cluster;
mod contents;
mod evenings;
mod explain;
mod faults;
mod hostile;
mod lists;
mod reality;
mod status;
mod wait;
mod worlds;

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use seaway_testing::{Envoy, World, eventually};

/// A Service with one endpoint, and its slice.
fn service(name: &str, number: u8, ready: bool) -> String {
    format!(
        "\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{clusterIP: 10.96.0.{number}, selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: shop, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [10.244.1.{number}], nodeName: n1, conditions: {{ready: {ready}}}}}]
"
    )
}

/// Has a folder of manifests say that there is this Service, with one endpoint.
fn put(world: &World, name: &str, number: u8, ready: bool) -> Result<()> {
    let text = service(name, number, ready);
    world.manifests().save(&format!("{name}.yaml"), &text)?;
    Ok(())
}

/// Sends a signal to the process of an Envoy.
fn signal(envoy: &Envoy, signal: Signal) -> Result<()> {
    let id = Pid::from_raw(i32::try_from(envoy.id())?).context("no process")?;
    Ok(kill_process(id, signal)?)
}

/// Runs `seaway` in the network of the world; whatever its exit code is.
fn seaway(world: &World, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
    command.args(arguments).env_clear();
    Ok(world.fabric().run(move || command.output())??)
}

/// What `seaway` prints, when it ends with this exit code.
fn says(world: &World, code: i32, arguments: &[&str]) -> Result<String> {
    let output = seaway(world, arguments)?;
    let said = String::from_utf8(output.stdout)?;
    let told = String::from_utf8(output.stderr)?;
    let ended = output.status.code();
    ensure!(
        ended == Some(code),
        "{arguments:?} ended with {ended:?}: {said}{told}"
    );
    Ok(said)
}

/// Waits until `seaway status` says all of the words.
fn await_status(world: &World, words: &[&str]) -> Result<()> {
    eventually(format!("seaway status to say {words:?}"), || {
        let output = seaway(world, &["status"])?;
        has(&String::from_utf8(output.stdout)?, words)
    })
}

/// Fails unless the text has every one of the words.
fn has(text: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(text.contains(word), "no {word:?} in:\n{text}");
    }
    Ok(())
}
