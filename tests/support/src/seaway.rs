//! The `seaway` process, and where the binaries are.

use std::env;
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::namespace::FABRIC;
use crate::wait::{eventually, while_alive};
use crate::{Answer, Client, Namespace, Outcome, Process};

/// Where Envoys reach the first Seaway of a world.
pub(crate) const XDS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(FABRIC), 18000);
/// Where the harness asks it for its state.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 18001);

/// How long it may take to be ready: fifty thousand endpoints on a busy machine are not read in
/// seconds.
const READY: Duration = Duration::from_secs(60);

/// The top folder of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The `seaway` binary: `SEAWAY_BIN`, else the one built beside the running test or demo.
pub fn seaway_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("SEAWAY_BIN").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "no seaway at {} (SEAWAY_BIN)",
            path.display()
        );
        return Ok(path);
    }
    let here = env::current_exe()?;
    let beside = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("seaway"));
    let mut existing = beside.filter(|path| path.is_file());
    existing
        .next()
        .context("no seaway binary beside this program: run `cargo build`, or set SEAWAY_BIN")
}

/// The Envoy binary: `ENVOY`, else the one that `make envoy` fetched.
pub fn envoy_binary() -> Result<PathBuf> {
    let fetched = repository().join(".tools/envoy-1.40.0/envoy");
    let path = env::var_os("ENVOY")
        .filter(|path| !path.is_empty())
        .map_or(fetched, PathBuf::from);
    ensure!(
        path.is_file(),
        "no Envoy at {}: run `make envoy`, or set ENVOY",
        path.display()
    );
    Ok(path)
}

/// What Seaway watches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// A folder of manifests.
    Files(&'a Path),
    /// The cluster that this kubeconfig names.
    Cluster(&'a Path),
}

/// A running `seaway serve`. Killed when dropped.
#[derive(Debug)]
pub struct Seaway {
    process: Process,
    command: Command,
    log: PathBuf,
    xds: SocketAddr,
    admin: SocketAddr,
}

impl Seaway {
    /// Starts `seaway serve` in `namespace` with further arguments. Each replica of a world (from
    /// 0) has ports of its own.
    pub(crate) fn start(
        namespace: &Namespace,
        source: Source<'_>,
        replica: u16,
        arguments: &[&str],
        (log, filter): (&Path, Option<&str>),
    ) -> Result<Self> {
        let own = |first: SocketAddr| SocketAddr::new(first.ip(), first.port() + 10 * replica);
        let mut program = Command::new(seaway_binary()?);
        program.envs(filter.map(|filter| ("SEAWAY_LOG", filter)));
        let listen = (own(XDS), own(ADMIN));
        Self::launch(namespace, program, source, listen, arguments, log)
    }

    /// Starts `program`, which is `seaway` in some way, with `serve` and further arguments. It
    /// serves proxies at the first address of `listen`, and is asked for its state at the second.
    pub(crate) fn launch(
        namespace: &Namespace,
        program: Command,
        source: Source<'_>,
        listen: (SocketAddr, SocketAddr),
        arguments: &[&str],
        log: &Path,
    ) -> Result<Self> {
        let (xds, admin) = listen;
        let mut command = program;
        command.args(["serve", "--insecure"]);
        command.args(["--xds-listen", &xds.to_string()]);
        if !arguments.contains(&"--admin-listen") {
            command.args(["--admin-listen", &admin.to_string()]);
        }
        match source {
            Source::Files(folder) => command.arg("--files").arg(folder),
            Source::Cluster(kubeconfig) => command
                .env("KUBECONFIG", kubeconfig)
                .env_remove("KUBERNETES_SERVICE_HOST"),
        };
        command.args(arguments);
        Ok(Self {
            process: Process::start(namespace, "seaway", &command, log)?,
            command,
            log: log.to_owned(),
            xds,
            admin,
        })
    }

    pub(crate) fn wait_ready(&mut self, namespace: &Namespace) -> Result<()> {
        let (process, admin) = (&mut self.process, self.admin);
        while_alive(
            READY,
            "seaway to be ready",
            || process.check_running(),
            || {
                let answer = readyz(namespace, admin)?;
                let body = answer.body.trim();
                ensure!(answer.status == 200, "/readyz: {} {body}", answer.status);
                Ok(())
            },
        )
    }

    /// What `/readyz` answers.
    pub fn readyz(&self, namespace: &Namespace) -> Result<Answer> {
        readyz(namespace, self.admin)
    }

    /// Where proxies reach it.
    pub fn address(&self) -> SocketAddr {
        self.xds
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again with the same arguments (and so on the same ports), and waits until it is
    /// ready.
    pub fn restart(&mut self, namespace: &Namespace) -> Result<()> {
        self.process = Process::start(namespace, "seaway", &self.command, &self.log)?;
        self.wait_ready(namespace)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.terminate(limit)
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The first line that it logs with this in it. A log is written behind what it tells of, so
    /// this waits for it.
    pub fn log_line(&self, part: &str) -> Result<String> {
        eventually("the log", || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(part));
            let line = line.with_context(|| format!("no line with {part:?} in the log: {log}"))?;
            Ok(line.to_owned())
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The body that its admin port answers for `path`.
    pub fn admin(&self, namespace: &Namespace, path: &str) -> Result<String> {
        match Client::new(self.admin).path(path).get(namespace)? {
            Outcome::Answered(answer) if answer.status == 200 => Ok(answer.body),
            other => anyhow::bail!("seaway's {path}: {other}"),
        }
    }

    /// The sum of a metric over all of its labels that contain `label` ("" for all).
    pub fn metric(&self, namespace: &Namespace, name: &str, label: &str) -> Result<f64> {
        let text = self.admin(namespace, "/metrics")?;
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let of_metric = lines.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
        Ok(of_metric
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}

fn readyz(namespace: &Namespace, admin: SocketAddr) -> Result<Answer> {
    match Client::new(admin).path("/readyz").get(namespace)? {
        Outcome::Answered(answer) => Ok(answer),
        other => anyhow::bail!("/readyz: {other}"),
    }
}

/// Runs `seaway` with `arguments` to its end and returns its standard output; fails when the exit
/// code is not 0.
pub(crate) fn run_seaway(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(seaway_binary()?);
    command.args(arguments);
    run(&mut command)
}

/// Runs a program to its end and returns its standard output; fails when the exit code is not 0.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        told.trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What a program that was run by these arguments printed, and what it printed as errors; fails
/// when it ended with another exit code.
pub fn ended_with(code: i32, output: Output, arguments: impl Debug) -> Result<(String, String)> {
    let said = String::from_utf8(output.stdout)?;
    let told = String::from_utf8(output.stderr)?;
    let ended = output.status.code();
    ensure!(
        ended == Some(code),
        "{arguments:?} ended with {ended:?}: {said}{told}"
    );
    Ok((said, told))
}

/// Fails unless a text has every one of the words.
pub fn has(text: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(text.contains(word), "no {word:?} in:\n{text}");
    }
    Ok(())
}
