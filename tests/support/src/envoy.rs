//! A real Envoy of one node, started from what `seaway bootstrap` prints.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::namespace::wrapped;
use crate::seaway::{XDS, envoy_binary, run_seaway};
use crate::wait::{while_alive, within};
use crate::{Client, Held, Load, Namespace, Outcome, Process};

/// Envoy's admin port, in the namespace of its node.
const ADMIN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9901));

/// How to start an Envoy.
#[derive(Clone, Debug, Default)]
pub struct EnvoyOptions {
    /// Arguments for `seaway bootstrap`, beyond the addresses, which the harness knows.
    pub bootstrap: Vec<String>,
    /// Where the control plane is, if not where Seaway listens: a [`Relay`](crate::Relay).
    pub control_plane: Option<SocketAddr>,
    /// A complete bootstrap to use instead of asking `seaway bootstrap`.
    pub config: Option<String>,
    /// YAML merged over the bootstrap (`--config-yaml`).
    pub overlay: Option<String>,
    /// Seconds that connections of a removed listener may go on; Envoy's default is 600.
    pub drain_seconds: Option<u32>,
    /// Worker threads; 2 unless told otherwise.
    pub concurrency: Option<u32>,
    /// The group it runs as; `deploy/node/setup.sh` knows Envoy's packets by it.
    pub group: Option<u32>,
    /// The domains that its resolver tries behind a name, as `search` of a pod's /etc/resolv.conf.
    pub search: Option<&'static str>,
    /// A capability of this process that it is started without.
    pub without: Option<&'static str>,
    /// How many files the process may have open, instead of as many as the tests themselves.
    pub file_limit: Option<u32>,
    /// How long it may take to be live; 20 seconds unless told otherwise.
    pub patience: Option<Duration>,
}

/// A node of the world with its Envoy. The Envoy is killed when dropped.
#[derive(Debug)]
pub struct Envoy {
    // Declared before the namespace: the process ends first.
    process: Mutex<Process>,
    namespace: Namespace,
    name: String,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts Envoy in `namespace` and waits until it is live, which it is after its first
    /// configuration.
    pub(crate) fn start(
        namespace: Namespace,
        name: &str,
        options: &EnvoyOptions,
        folder: &Path,
    ) -> Result<Self> {
        let config = match &options.config {
            Some(config) => config.clone(),
            None => bootstrap(name, options)?,
        };
        let file = folder.join(format!("envoy-{name}.yaml"));
        fs::write(&file, config)?;
        let mut command = match options.file_limit {
            None => Command::new(envoy_binary()?),
            Some(limit) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={limit}:{limit}"));
                command.arg(envoy_binary()?);
                command
            }
        };
        let workers = options.concurrency.unwrap_or(2).to_string();
        command.arg("-c").arg(&file).args([
            "--disable-hot-restart",
            "--concurrency",
            &workers,
            "-l",
            "warn",
        ]);
        if let Some(overlay) = &options.overlay {
            command.args(["--config-yaml", overlay]);
        }
        if let Some(seconds) = options.drain_seconds {
            command.args(["--drain-time-s", &seconds.to_string()]);
        }
        if let Some(domains) = options.search {
            command.env("LOCALDOMAIN", domains);
        }
        if let Some(group) = options.group {
            let group = group.to_string();
            command = wrapped(
                "setpriv",
                &["--regid", &group, "--clear-groups", "--"],
                &command,
            );
        }
        if let Some(capability) = options.without {
            let capability = format!("-{capability}");
            let arguments = [
                "--bounding-set",
                &capability,
                "--inh-caps",
                &capability,
                "--",
            ];
            command = wrapped("setpriv", &arguments, &command);
        }
        let log = folder.join(format!("envoy-{name}.log"));
        let envoy = Self::launch(namespace, name, &command, ADMIN, &log)?;
        envoy.wait_live(options.patience.unwrap_or(Duration::from_secs(20)))?;
        Ok(envoy)
    }

    /// Starts `command`, which is an Envoy with all of its arguments and answers for itself at
    /// `admin`.
    pub(crate) fn launch(
        namespace: Namespace,
        name: &str,
        command: &Command,
        admin: SocketAddr,
        log: &Path,
    ) -> Result<Self> {
        let process = Process::start(&namespace, name, command, log)?;
        Ok(Self {
            process: Mutex::new(process),
            namespace,
            name: name.to_owned(),
            admin,
        })
    }

    pub(crate) fn wait_live(&self, limit: Duration) -> Result<()> {
        while_alive(
            limit,
            format!("Envoy {} to be live", self.name),
            || self.check_running(),
            || self.admin("/ready").map(drop),
        )
    }

    /// Whether Envoy still runs.
    pub fn check_running(&self) -> Result<()> {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .check_running()
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network namespace of its node.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id()
    }

    /// The group it runs as.
    pub fn group(&self) -> Result<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("Gid:"));
        let group = line.and_then(|line| line.split_whitespace().next());
        Ok(group.context("no Gid")?.parse()?)
    }

    /// How many files it has open: sockets, most of them.
    pub fn files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// What Envoy has logged (warnings and errors).
    pub fn log(&self) -> String {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .output()
    }

    /// One request from this node over a new connection to a cluster IP.
    pub fn get(&self, address: &str) -> Result<Outcome> {
        self.send(&Client::new(parse(address)?))
    }

    /// One request from this node.
    pub fn send(&self, client: &Client) -> Result<Outcome> {
        client.get(&self.namespace)
    }

    /// A connection from this node that stays open.
    pub fn hold(&self, address: &str) -> Result<Held> {
        Held::open(&self.namespace, parse(address)?)
    }

    /// A load from this node.
    pub fn load(&self, address: &str, rate: u32) -> Result<Load> {
        Load::start(&self.namespace, Client::new(parse(address)?), rate)
    }

    /// Repeats a request until its outcome satisfies `wanted`.
    pub fn await_outcome(
        &self,
        client: &Client,
        what: &str,
        wanted: impl Fn(&Outcome) -> bool,
    ) -> Result<Outcome> {
        within(Duration::from_secs(10), what, || {
            let outcome = self.send(client)?;
            ensure!(wanted(&outcome), "{outcome}");
            Ok(outcome)
        })
    }

    /// Repeats a request to a cluster IP until `backend` answers.
    pub fn await_backend(&self, address: &str, backend: &str) -> Result<()> {
        let what = format!("{backend} to answer at {address} on {}", self.name);
        let client = Client::new(parse(address)?);
        self.await_outcome(&client, &what, |outcome| outcome.backend() == Some(backend))
            .map(drop)
    }

    /// Repeats a request to a cluster IP until the connection is refused.
    pub fn await_refused(&self, address: &str) -> Result<()> {
        let what = format!("{address} to be refused on {}", self.name);
        self.await_outcome(&Client::new(parse(address)?), &what, |outcome| {
            *outcome == Outcome::Refused
        })
        .map(drop)
    }

    /// The body that Envoy's admin port answers for `path`.
    pub fn admin(&self, path: &str) -> Result<String> {
        match Client::new(self.admin).path(path).get(&self.namespace)? {
            Outcome::Answered(answer) if answer.status == 200 => Ok(answer.body),
            other => bail!("{}'s {path}: {other}", self.name),
        }
    }

    /// `/config_dump`.
    pub fn config_dump(&self) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.admin("/config_dump?include_eds")?,
        )?)
    }

    /// All counters and gauges.
    pub fn stats(&self) -> Result<BTreeMap<String, u64>> {
        let text =
            self.admin("/stats?type=Counters")? + "\n" + &self.admin("/stats?type=Gauges")?;
        let pairs = text.lines().filter_map(|line| line.split_once(": "));
        Ok(pairs
            .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
            .collect())
    }

    /// One counter or gauge; 0 when Envoy does not have it.
    pub fn stat(&self, name: &str) -> Result<u64> {
        Ok(self.stats()?.get(name).copied().unwrap_or_default())
    }

    /// Fails when Envoy is gone or has ever rejected an update.
    pub fn check_nothing_rejected(&self) -> Result<()> {
        self.check_running()?;
        let stats = self.stats()?;
        let rejected: Vec<_> = stats
            .iter()
            .filter(|(name, count)| name.ends_with("update_rejected") && **count > 0)
            .collect();
        ensure!(
            rejected.is_empty(),
            "{} rejected updates: {rejected:?}; its log:\n{}",
            self.name,
            self.log()
        );
        Ok(())
    }

    /// How often listeners and clusters were added, changed and removed. Changes of endpoints do
    /// not count.
    pub fn changes(&self) -> Result<BTreeMap<String, u64>> {
        let kinds = [
            "cluster_added",
            "cluster_modified",
            "cluster_removed",
            "listener_added",
            "listener_modified",
            "listener_in_place_updated",
            "listener_removed",
        ];
        let stats = self.stats()?.into_iter();
        let named = stats
            .filter_map(|(name, count)| Some((name.split_once("_manager.")?.1.to_owned(), count)));
        Ok(named
            .filter(|(name, _)| kinds.contains(&name.as_str()))
            .collect())
    }
}

/// What `seaway bootstrap` prints for a node: what an Envoy with these options starts from, unless
/// they hold a `config`.
pub fn bootstrap(name: &str, options: &EnvoyOptions) -> Result<String> {
    let xds = options.control_plane.unwrap_or(XDS).to_string();
    let port = ADMIN.port().to_string();
    let mut all = vec![
        "bootstrap",
        "--node-id",
        name,
        "--xds",
        &xds,
        "--admin-port",
        &port,
    ];
    all.extend(options.bootstrap.iter().map(String::as_str));
    run_seaway(&all)
}

/// An address as tests write it: `10.96.0.10:80`.
fn parse(address: &str) -> Result<SocketAddr> {
    address
        .parse()
        .with_context(|| format!("{address} is no address"))
}
