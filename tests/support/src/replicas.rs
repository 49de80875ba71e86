//! The Seaways of a world: one on a folder of manifests in most tests, one or several on a cluster
//! in others.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::seaway::Source;
use crate::{Answer, ApiServer, KubeApi, RealCluster, Seaway, World};

/// The last parts of the names of the types that are counted.
const COUNTED: [&str; 7] = [
    "Listener",
    "RouteConfiguration",
    "ScopedRouteConfiguration",
    "TypedExtensionConfig",
    "Cluster",
    "ClusterLoadAssignment",
    "Secret",
];

impl World {
    /// Starts Seaway on the manifests, in place of the one before, and waits until it is ready.
    pub fn start_seaway(&mut self, arguments: &[&str]) -> Result<()> {
        self.seaways.clear();
        let folder = self.manifests().path().to_owned();
        let number = self.launch(Source::Files(&folder), arguments)?;
        self.await_ready(number)
    }

    /// Starts Seaway on a cluster and waits until it is ready. Each further call starts one more
    /// replica.
    pub fn start_seaway_on(&mut self, cluster: &dyn KubeApi, arguments: &[&str]) -> Result<usize> {
        let number = self.launch_seaway_on(cluster, arguments)?;
        self.await_ready(number)?;
        Ok(number)
    }

    /// [`World::start_seaway_on`] without waiting. Returns the number of the replica, from 0.
    pub fn launch_seaway_on(&mut self, cluster: &dyn KubeApi, arguments: &[&str]) -> Result<usize> {
        let file = format!("kubeconfig-{}", self.seaways.len());
        let kubeconfig = self.folder().join(file);
        cluster.kubeconfig(&kubeconfig)?;
        self.launch(Source::Cluster(&kubeconfig), arguments)
    }

    /// [`World::start_seaway_on`] with `KUBECONFIG` as it is given.
    pub fn start_seaway_with(
        &mut self,
        kubeconfig: &std::path::Path,
        arguments: &[&str],
    ) -> Result<usize> {
        let number = self.launch(Source::Cluster(kubeconfig), arguments)?;
        self.await_ready(number)?;
        Ok(number)
    }

    fn launch(&mut self, source: Source<'_>, arguments: &[&str]) -> Result<usize> {
        let number = self.seaways.len();
        let file = match number {
            0 => "seaway.log".to_owned(),
            number => format!("seaway-{number}.log"),
        };
        let log = self.folder().join(file);
        let replica = u16::try_from(number)?;
        let log = (&*log, self.log_filter.as_deref());
        let seaway = Seaway::start(self.fabric(), source, replica, arguments, log)?;
        self.seaways.push(seaway);
        Ok(number)
    }

    /// Waits until a replica is ready.
    pub fn await_ready(&mut self, number: usize) -> Result<()> {
        let namespace = self.network.fabric();
        let seaway = self.seaways.get_mut(number);
        seaway.context("no such replica")?.wait_ready(namespace)
    }

    /// The running Seaway; with several, the first.
    pub fn seaway(&mut self) -> Result<&mut Seaway> {
        self.seaways.first_mut().context("Seaway was not started")
    }

    /// One of several.
    pub fn replica(&self, number: usize) -> Result<&Seaway> {
        self.seaways.get(number).context("no such replica")
    }

    /// What `/readyz` of the first one answers.
    pub fn readyz(&self) -> Result<Answer> {
        self.replica(0)?.readyz(self.fabric())
    }

    /// The sum of one of Seaway's metrics.
    pub fn metric(&self, name: &str, label: &str) -> Result<f64> {
        self.replica(0)?.metric(self.fabric(), name, label)
    }

    /// How many resources of each type Seaway has sent.
    pub fn sent(&self) -> Result<BTreeMap<&'static str, u64>> {
        let of = |kind: &'static str| {
            // "….Cluster", and not "….ClusterLoadAssignment".
            let label = format!(".{kind}\"");
            let count = self.metric("seaway_xds_resources_total", &label)?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count of resources"
            )]
            Ok((kind, count as u64))
        };
        COUNTED.into_iter().map(of).collect()
    }

    /// What was sent since then, types without any left out.
    pub fn sent_since(
        &self,
        before: &BTreeMap<&'static str, u64>,
    ) -> Result<BTreeMap<&'static str, u64>> {
        let mut since = self.sent()?;
        for (kind, count) in before {
            *since.entry(kind).or_default() -= count;
        }
        since.retain(|_, count| *count != 0);
        Ok(since)
    }

    /// The body that Seaway's admin port answers for `path`.
    pub fn admin(&self, path: &str) -> Result<String> {
        self.replica(0)?.admin(self.fabric(), path)
    }

    /// `kill -9` and restart of Seaway on the same ports.
    pub fn restart_seaway(&mut self) -> Result<()> {
        let namespace = self.network.fabric();
        let seaway = self.seaways.first_mut();
        seaway.context("Seaway was not started")?.restart(namespace)
    }

    /// Starts a stand-in for an API server where Seaway can reach it.
    pub fn api_server(&self) -> Result<ApiServer> {
        ApiServer::start_in(self.fabric(), (std::net::Ipv4Addr::LOCALHOST, 0).into())
    }

    /// A cluster for tests that inject no faults: a real API server where `KUBEBUILDER_ASSETS`
    /// names one, else the stand-in. Says which.
    pub fn cluster(&self) -> Result<Box<dyn KubeApi>> {
        match std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
            Some(assets) => {
                let folder = self.folder().join("cluster");
                let real =
                    RealCluster::start(self.network.shared_fabric(), assets.as_ref(), &folder)?;
                crate::world::tell("runs against a real kube-apiserver")?;
                Ok(Box::new(real))
            }
            None => {
                crate::world::tell("runs against the stand-in for an API server")?;
                Ok(Box::new(self.api_server()?))
            }
        }
    }
}
