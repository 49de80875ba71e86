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

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use seaway_testing::{Envoy, World, ended_with, eventually, has, shop_service};

/// A Service with one endpoint, and its slice.
fn service(name: &str, number: u8, ready: bool) -> String {
    shop_service(name, number, &format!("10.244.1.{number}"), ready)
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
    let (said, _) = ended_with(code, output, arguments)?;
    Ok(said)
}

/// Waits until `seaway status` says all of the words.
fn await_status(world: &World, words: &[&str]) -> Result<()> {
    eventually(format!("seaway status to say {words:?}"), || {
        let output = seaway(world, &["status"])?;
        has(&String::from_utf8(output.stdout)?, words)
    })
}
