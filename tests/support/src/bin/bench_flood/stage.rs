//! A node as `deploy/overlays/node` ships it, a Service on it, and the pods that flood, ask and
//! answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::usage::{Usage, open_files};
use seaway_testing::{
    Client, Cluster, Namespace, Outcome, ProxyPod, ServiceManifest, Setup, SliceManifest, join,
    within,
};

use crate::probe::{self, Kind};

/// Where the Service is that is flooded and asked: UDP at the port of DNS, where limits are widest.
pub(crate) const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 1, 1);
/// An address of the Services' range that nobody has: what is sent there meets all rules of the
/// node, and no Envoy.
pub(crate) const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 96, 1, 66);
pub(crate) const DNS: u16 = 53;
pub(crate) const WEB: u16 = 80;
/// The port of backends.
const BACKEND: u16 = 8080;
/// Where `seaway drain` says what Envoy refused.
const METRICS: &str = "127.0.0.1:18003";
/// How long anything may take that is no part of a measurement.
const PATIENCE: Duration = Duration::from_secs(60);

/// The counters of `deploy/node/setup.sh`.
pub(crate) const COUNTERS: [&str; 3] = [
    "connections_of_one_client",
    "flows_of_one_client",
    "flows_of_all",
];

/// What the kernel dropped in Envoy's namespace, where its queues were full: the file, the group of
/// lines in it, and the name.
pub(crate) const QUEUES: [(&str, &str, &str); 2] = [
    ("snmp", "Udp:", "RcvbufErrors"),
    ("netstat", "TcpExt:", "ListenOverflows"),
];

/// A node with its Envoy.
pub(crate) struct Stage<'c, 'w> {
    cluster: &'c Cluster<'w>,
    envoy: ProxyPod,
}

impl Stage<'_, '_> {
    /// Sets it up and goes on with `then`. A client gets the share that follows from so many
    /// files, if they are given, else from those that Envoy has.
    pub(crate) fn run(
        files: Option<&str>,
        then: impl FnOnce(&mut Stage<'_, '_>) -> Result<()>,
    ) -> Result<()> {
        let prepare = files.map(|files| ["--max-files", files]);
        let setup = Setup {
            namespace: true,
            keep_source: true,
            prepare: prepare.as_ref().map_or(&[], |words| words.as_slice()),
            ..Setup::default()
        };
        Cluster::run(&[], &setup, |cluster| {
            cluster.add_bare_node(1, "a", &setup)?;
            for name in ["offender", "client", "neighbour"] {
                cluster.client(name, "n1")?;
            }
            let here = cluster.backend("here", "n1")?.v4.to_string();
            let mut service = ServiceManifest::new("web")
                .cluster_ip(&SERVICE.to_string())
                .port("dns", DNS)
                .on_port("protocol", "UDP")
                .port("http", WEB);
            if files.is_some() {
                // A larger share has to fit into the files that Envoy has.
                service = service.annotation("seaway.dev/udp-idle-timeout", "1s");
            }
            let slice = SliceManifest::new("web")
                .port("dns", BACKEND)
                .on_port("protocol", "UDP")
                .port("http", BACKEND)
                .endpoint_on(&here, "n1", "a");
            let all = join([service.document(), slice.document()]);
            cluster.world.manifests().save("web.yaml", &all)?;
            // Every port there is, for a client that needs more of them than most.
            cluster
                .at("offender")?
                .run(|| std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535"))??;
            let bootstrap = ["--node-name", "n1", "--capture", setup.capture()];
            let drain = ["--look", "5s", "--metrics-listen", METRICS];
            let node = cluster.at("n1")?;
            let mut envoy = ProxyPod::start(cluster.world, node, "envoy", &bootstrap, &drain)?;
            envoy.await_ready()?;
            let mut stage = Stage { cluster, envoy };
            stage.await_answers()?;
            then(&mut stage)
        })
    }

    fn await_answers(&self) -> Result<()> {
        for kind in [Kind::Udp, Kind::Tcp] {
            let to = service(kind);
            within(PATIENCE, format!("an answer from {to}"), || {
                self.at("client")?.run(move || probe::ask(kind, to))??;
                Ok(())
            })?;
        }
        Ok(())
    }

    pub(crate) fn at(&self, place: &str) -> Result<&Namespace> {
        self.cluster.at(place)
    }

    /// Where the Service's one endpoint is asked without Envoy.
    pub(crate) fn endpoint(&self) -> Result<SocketAddr> {
        Ok((self.cluster.host("here")?.v4, BACKEND).into())
    }

    /// Fails unless Envoy lives and is ready.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.envoy.is_ready().context("Envoy after the flood")
    }

    pub(crate) fn envoy_id(&self) -> u32 {
        self.envoy.envoy_id()
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.envoy_id())
    }

    /// Waits until Envoy has no more files open than this.
    pub(crate) fn settle(&self, files: usize) -> Result<()> {
        within(PATIENCE, "Envoy's files to be closed", || {
            let open = open_files(self.envoy_id())?;
            ensure!(open <= files, "{open} files, where it had {files}");
            Ok(())
        })
    }

    /// What each of [`COUNTERS`] says.
    pub(crate) fn counters(&self) -> Result<Vec<u64>> {
        COUNTERS.iter().map(|name| self.counter(name)).collect()
    }

    fn counter(&self, name: &str) -> Result<u64> {
        let mut nft = Command::new("nft");
        nft.args(["list", "counter", "inet", "seaway", name]);
        let told = self.at("n1")?.command(nft)?;
        let mut words = told.split_whitespace();
        words
            .find(|word| *word == "packets")
            .context("no packets")?;
        Ok(words.next().unwrap_or_default().parse()?)
    }

    /// What each of [`QUEUES`] says.
    pub(crate) fn queues(&self) -> Result<Vec<u64>> {
        let of = |(file, group, name)| {
            let mut cat = Command::new("nsenter");
            cat.args(["--net=/run/netns/seaway", "cat"]);
            cat.arg(format!("/proc/net/{file}"));
            let text = self.at("n1")?.command(cat)?;
            // A line of names, and one of values.
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
            let (names, values) = (lines.next(), lines.next());
            let names = names.unwrap_or_default().split_whitespace();
            let mut both = names.zip(values.unwrap_or_default().split_whitespace());
            let found = both.find(|(own, _)| *own == name).context(name)?;
            Ok(found.1.parse()?)
        };
        QUEUES.into_iter().map(of).collect()
    }

    /// The lines of metrics that say what Envoy refused.
    pub(crate) fn refused(&self) -> Result<Vec<String>> {
        let client = Client::new(METRICS.parse::<SocketAddr>()?).path("/metrics");
        let Outcome::Answered(answer) = client.get(self.at("n1")?)? else {
            anyhow::bail!("no metrics at {METRICS}");
        };
        let names = ["seaway_envoy_refused_total{", "seaway_problems{"];
        let wanted = |line: &&str| names.iter().any(|name| line.starts_with(name));
        Ok(answer
            .body
            .lines()
            .filter(wanted)
            .map(str::to_owned)
            .collect())
    }
}

/// Where the Service is asked.
pub(crate) fn service(kind: Kind) -> SocketAddr {
    match kind {
        Kind::Udp => (SERVICE, DNS).into(),
        Kind::Tcp => (SERVICE, WEB).into(),
    }
}
