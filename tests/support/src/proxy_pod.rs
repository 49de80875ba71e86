//! An Envoy of a node as the manifests run it (`deploy/overlays/node/daemonset.yaml`): with an
//! admin socket of its own and `seaway drain` beside it, so that two of them fit on one node.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::cluster::envoy_group;
use crate::namespace::wrapped;
use crate::seaway::{XDS, envoy_binary, run_seaway, seaway_binary};
use crate::wait::within;
use crate::{Namespace, Process, World};

/// How long an Envoy may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two containers of a pod. Killed when dropped.
#[derive(Debug)]
pub struct ProxyPod {
    envoy: Process,
    drain: Process,
    name: String,
    command: Command,
    socket: PathBuf,
    log: PathBuf,
}

impl ProxyPod {
    /// Starts a pod `name` on a node of the world, with these arguments of `seaway drain`. It is
    /// not ready yet.
    pub fn start(
        world: &World,
        node: &Namespace,
        name: &str,
        bootstrap: &[&str],
        drain: &[&str],
    ) -> Result<Self> {
        let folder = world.folder().join(name);
        fs::create_dir_all(&folder)?;
        let socket = folder.join("admin.sock");
        let at = socket.to_str().context("a folder that is no UTF-8")?;
        let xds = XDS.to_string();
        let mut arguments = vec!["bootstrap", "--node-id", name, "--role", "node"];
        arguments.extend(["--xds", &xds, "--admin-socket", at]);
        arguments.extend(bootstrap);
        let config = folder.join("envoy.yaml");
        fs::write(&config, run_seaway(&arguments)?)?;
        let mut command = Command::new(envoy_binary()?);
        command.arg("--config-path").arg(&config);
        command.args(["--drain-time-s", "30", "--concurrency", "2"]);
        command.args(["--disable-hot-restart", "--log-level", "warn"]);
        if let Some(group) = envoy_group() {
            let group = group.to_string();
            let arguments = ["--regid", &group, "--clear-groups", "--"];
            command = wrapped("setpriv", &arguments, &command);
        }
        let log = folder.join("envoy.log");
        let envoy = Process::start(node, name, &command, &log)?;
        let mut beside = Command::new(seaway_binary()?);
        beside.args(["drain", "--envoy", at]).args(drain);
        let drain = Process::start(node, "drain", &beside, &folder.join("drain.log"))?;
        let name = name.to_owned();
        Ok(Self {
            envoy,
            drain,
            name,
            command,
            socket,
            log,
        })
    }

    /// The process id of its Envoy.
    pub fn envoy_id(&self) -> u32 {
        self.envoy.id()
    }

    /// What its readiness probe says.
    pub fn is_ready(&mut self) -> Result<()> {
        self.envoy.check_running()?;
        let at = self.socket.to_str().context("a folder that is no UTF-8")?;
        run_seaway(&["ready", "--envoy", at]).map(drop)
    }

    /// Waits until its readiness probe succeeds.
    pub fn await_ready(&mut self) -> Result<()> {
        let what = format!("{} to be ready", self.name);
        within(PATIENCE, what, || self.is_ready())
    }

    /// What the kubelet does first to end the pod: SIGTERM to all containers but Envoy's.
    pub fn delete(&self) -> Result<()> {
        self.drain.signal(Signal::TERM)
    }

    /// Waits for a line in the log of `drain`.
    pub fn await_drain(&self, line: &str) -> Result<()> {
        within(PATIENCE, format!("{}: {line}", self.name), || {
            let log = self.drain.output();
            ensure!(log.contains(line), "{log}");
            Ok(())
        })
    }

    /// The rest of what the kubelet does: when the other container has ended, SIGTERM to Envoy's.
    /// Says when that was.
    pub fn ended(mut self) -> Result<Instant> {
        within(PATIENCE, format!("the drain of {}", self.name), || {
            ensure!(self.drain.check_running().is_err(), "it still runs");
            Ok(())
        })?;
        let when = Instant::now();
        self.envoy.terminate(PATIENCE)?;
        Ok(when)
    }

    /// `kill -9` of Envoy.
    pub fn kill(&mut self) -> Result<()> {
        self.envoy.kill()
    }

    /// Starts Envoy again, as the kubelet does after a crash.
    pub fn restart(&mut self, node: &Namespace) -> Result<()> {
        self.envoy = Process::start(node, &self.name, &self.command, &self.log)?;
        Ok(())
    }
}
