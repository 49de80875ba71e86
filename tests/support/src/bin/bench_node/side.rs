//! A node with a client and two endpoints, and what carries its Services: an Envoy that Seaway
//! tells, or kube-proxy.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    ApiServer, Cluster, Namespace, ServiceManifest, Setup, SliceManifest, World, join, repository,
    within,
};
use serde_json::json;

use crate::endpoint::{self, PORT};
use crate::load::ask_once;

/// The address that the harness gives its fabric, where control planes are.
const FABRIC: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 1);
/// The harness' ranges of Services and pods.
const SERVICES: &str = "10.96.0.0/16";
const PODS: &str = "10.245.0.0/16";
/// The port of Services for UDP: flows are short there, as everywhere behind a name server.
pub(crate) const DNS: u16 = 53;
const PATIENCE: Duration = Duration::from_secs(30);

/// One node in a network of its own.
pub(crate) struct Side<'w> {
    pub(crate) name: &'static str,
    pub(crate) cluster: Cluster<'w>,
    kube_proxy: Option<KubeProxy>,
}

struct KubeProxy {
    api: ApiServer,
    process: Child,
}

impl<'w> Side<'w> {
    /// A node whose Envoy Seaway tells.
    pub(crate) fn seaway(
        name: &'static str,
        world: &'w mut World,
        setup: &Setup<'_>,
    ) -> Result<Self> {
        let mut side = Self {
            name,
            cluster: Cluster::new(world, &["a"], setup)?,
            kube_proxy: None,
        };
        side.furnish()?;
        Ok(side)
    }

    /// A node on which this binary of kube-proxy does the work. It was prepared for an Envoy as the
    /// others, which is taken back: that Envoy is there, and nothing leads to it.
    pub(crate) fn kube_proxy(world: &'w mut World, binary: &Path) -> Result<Self> {
        let setup = Setup {
            seaway: &["--healthz-listen", "none"],
            ..Setup::default()
        };
        let cluster = Cluster::new(world, &["a"], &setup)?;
        let mut down = Command::new(repository().join("deploy/node/setup.sh"));
        down.arg("down");
        let node = cluster.at("n1")?;
        node.command(down)?;
        // What is for no Service would go around between the node and the fabric, which sends the
        // range here.
        node.configure(&format!("route add unreachable {SERVICES}\n"))?;
        let kube_proxy = KubeProxy::start(&cluster, binary)?;
        let mut side = Self {
            name: "kube-proxy",
            cluster,
            kube_proxy: Some(kube_proxy),
        };
        side.furnish()?;
        Ok(side)
    }

    /// The client, the endpoints `a` and `b`, and a Service of `a` that answers.
    fn furnish(&mut self) -> Result<()> {
        self.cluster.client("client", "n1")?;
        for name in ["a", "b"] {
            self.cluster.client(name, "n1")?;
            endpoint::serve(self.cluster.at(name)?, name.as_bytes()[0])?;
        }
        self.save(0, "a")?;
        let to = service(0);
        let what = format!("the first Service to answer ({})", self.name);
        let asked = within(PATIENCE, what, || {
            // There is no waiting for what has ended.
            if let Err(ended) = self.check() {
                return Ok(Err(ended));
            }
            self.client()?.run(move || ask_once(to, PATIENCE))??;
            Ok(Ok(()))
        });
        asked.with_context(|| format!("the last words of {}:\n{}", self.name, self.last_words()))?
    }

    /// The namespace of the client.
    pub(crate) fn client(&self) -> Result<&Namespace> {
        self.cluster.at("client")
    }

    /// Where an endpoint is reached without a Service.
    pub(crate) fn endpoint(&self, name: &str) -> Result<SocketAddr> {
        Ok((self.cluster.host(name)?.v4, PORT).into())
    }

    /// Gives the Service with this number, which need not exist, this endpoint instead of any
    /// other. Returns the moment of it.
    pub(crate) fn save(&self, number: u8, endpoint: &str) -> Result<Instant> {
        let name = format!("web-{number}");
        let service = ServiceManifest::new(&name)
            .cluster_ip(&service(number).ip().to_string())
            .port("tcp", service(number).port())
            .port("udp", DNS)
            .on_port("protocol", "UDP");
        let slice = SliceManifest::new(&name)
            .endpoint_on(&self.cluster.host(endpoint)?.v4.to_string(), "n1", "a")
            .port("tcp", PORT)
            .port("udp", PORT)
            .on_port("protocol", "UDP");
        let text = join([service.document(), slice.document()]);
        match &self.kube_proxy {
            None => self
                .cluster
                .world
                .manifests()
                .save(&format!("{name}.yaml"), &text),
            Some(kube_proxy) => {
                let saved = Instant::now();
                kube_proxy.api.apply_yaml(&text).map(|()| saved)
            }
        }
    }

    /// Fails when what carries the Services is gone, or has rejected something.
    pub(crate) fn check(&mut self) -> Result<()> {
        let words = self.last_words();
        match &mut self.kube_proxy {
            None => self.cluster.world.check(),
            Some(kube_proxy) => {
                let ended = kube_proxy.process.try_wait()?;
                ensure!(ended.is_none(), "kube-proxy ended with {ended:?}\n{words}");
                Ok(())
            }
        }
    }

    /// The end of what it has logged.
    fn last_words(&self) -> String {
        let log = match &self.kube_proxy {
            None => "envoy-n1.log",
            Some(_) => "kube-proxy.log",
        };
        let text =
            std::fs::read_to_string(self.cluster.world.folder().join(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl KubeProxy {
    fn start(cluster: &Cluster<'_>, binary: &Path) -> Result<Self> {
        let folder = cluster.world.folder();
        let api = ApiServer::start_in(cluster.world.fabric(), (FABRIC, 0).into())?;
        api.apply_yaml(&cluster.world.manifests().read("nodes.yaml")?)?;
        let kubeconfig = folder.join("kube-proxy.kubeconfig");
        api.kubeconfig(&kubeconfig)?;
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": "nftables", "hostnameOverride": "n1", "clusterCIDR": PODS,
            "clientConnection": {"kubeconfig": kubeconfig, "contentType": "application/json"},
            // The sizes of the kernel's tables are the machine's.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        });
        let file = folder.join("kube-proxy.yaml");
        std::fs::write(&file, config.to_string())?;
        let mut command = Command::new(binary);
        command.arg("--config").arg(&file);
        let log = File::create(folder.join("kube-proxy.log"))?;
        let process = cluster.at("n1")?.spawn(&command, log)?;
        Ok(Self { api, process })
    }
}

impl Drop for KubeProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address of the Service with this number.
pub(crate) fn service(number: u8) -> SocketAddr {
    (Ipv4Addr::new(10, 96, 1, 1 + number), 80).into()
}
