//! An Envoy takes the place of another one on the same node, as `deploy/overlays/node` has it: the
//! new one serves beside the old one, which then takes no more connections and ends when those it
//! has had their time.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{
    Client, Cluster, Load, Namespace, ProxyPod, Record, ServiceManifest, Setup, SliceManifest, join,
};

mod lifecycle;
mod refusals;
mod replacement;
mod udp;

/// Makes tests of functions that take a [`Setup`]: for listeners in the node's own network, for
/// those in a network namespace, and for what `deploy/overlays/node` has, where sockets of both
/// Envoys are transparent, too.
macro_rules! each_way {
    ($($name:ident),* $(,)?) => {
        mod bind {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                super::$name(&seaway_testing::Setup::default())
            })*
        }
        mod namespace {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                let namespace = true;
                super::$name(&seaway_testing::Setup { namespace, ..Default::default() })
            })*
        }
        mod as_shipped {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                let (namespace, keep_source) = (true, true);
                super::$name(&seaway_testing::Setup { namespace, keep_source, ..Default::default() })
            })*
        }
    };
}
use each_way;

const WEB: &str = "10.96.0.10:80";
const DNS: &str = "10.96.0.11:53";
/// The pod that asks.
const CLIENT: &str = "client";
/// New connections a second.
const RATE: u32 = 200;
/// Connections that are kept.
const KEPT: usize = 5;
/// What time connections have once the old Envoy takes no more.
const TIME: Duration = Duration::from_secs(3);

/// A cluster of one node with a pod that asks, and a Service of two endpoints over TCP and one over
/// UDP.
struct Node<'c, 'w> {
    cluster: &'c mut Cluster<'w>,
    capture: &'static str,
    /// The address as which endpoints must see the client, if it is his.
    kept: Option<IpAddr>,
    pods: usize,
}

impl Node<'_, '_> {
    fn run(setup: &Setup<'_>, test: impl FnOnce(&mut Node<'_, '_>) -> Result<()>) -> Result<()> {
        Cluster::run(&[], setup, |cluster| {
            cluster.add_bare_node(1, "a", setup)?;
            let own = cluster.client(CLIENT, "n1")?.v4;
            let web = ServiceManifest::new("web").cluster_ip("10.96.0.10");
            let dns = ServiceManifest::new("dns").cluster_ip("10.96.0.11");
            let dns = dns.port("dns", 53).on_port("protocol", "UDP");
            let slice = SliceManifest::new("dns").port("dns", 8080);
            let mut slice = slice.on_port("protocol", "UDP");
            for name in ["one", "two"] {
                let host = cluster.backend(name, "n1")?;
                slice = slice.endpoint(&host.v4.to_string());
            }
            let documents = [
                web.port("http", 80).document(),
                cluster.slice("web", &["one", "two"])?.document(),
                dns.document(),
                slice.document(),
            ];
            let manifests = cluster.world.manifests();
            manifests.save("services.yaml", &join(documents))?;
            test(&mut Node {
                cluster,
                capture: setup.capture(),
                kept: setup.keep_source.then_some(own.into()),
                pods: 0,
            })
        })
    }

    /// Where the Envoys are.
    fn namespace(&self) -> Result<&Namespace> {
        self.cluster.at("n1")
    }

    /// Where the client is.
    fn client(&self) -> Result<&Namespace> {
        self.cluster.at(CLIENT)
    }

    /// The next pod of the DaemonSet. It is not ready yet.
    fn surge(&mut self) -> Result<ProxyPod> {
        self.surge_with(TIME)
    }

    /// [`Node::surge`], whose connections have this time.
    fn surge_with(&mut self, time: Duration) -> Result<ProxyPod> {
        self.pods += 1;
        let name = format!("proxy-{}", self.pods);
        let bootstrap = ["--node-name", "n1", "--capture", self.capture];
        let world = &*self.cluster.world;
        let time = format!("{}s", time.as_secs());
        let drain = ["--hold", "500ms", "--drain-time", &time];
        ProxyPod::start(world, self.namespace()?, &name, &bootstrap, &drain)
    }

    fn first(&mut self) -> Result<ProxyPod> {
        let mut pod = self.surge()?;
        pod.await_ready()?;
        Ok(pod)
    }

    fn load(&self) -> Result<Load> {
        Load::start(self.client()?, client()?, RATE)
    }

    fn kept(&self) -> Result<Vec<Load>> {
        let pause = Duration::from_millis(20);
        (0..KEPT)
            .map(|_| Load::keep_alive(self.client()?, client()?, pause))
            .collect()
    }

    /// All connections of a load were answered, as those of the client where addresses are kept,
    /// and it was one.
    fn none_failed(&self, load: Load) -> Result<()> {
        let records = load.stop()?;
        let count = records.len();
        let failures = Record::failures(&records);
        ensure!(failures.is_none(), "of {count} connections: {failures:?}");
        let hidden = records
            .iter()
            .find(|record| self.kept.is_some() && record.outcome.client() != self.kept);
        ensure!(hidden.is_none(), "{hidden:?}");
        ensure!(count > RATE as usize, "{count} connections");
        Ok(())
    }
}

fn client() -> Result<Client> {
    Ok(Client::new(WEB.parse::<SocketAddr>()?))
}
