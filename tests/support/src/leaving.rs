//! When a pod may go: nobody is led to it any more, and nobody is connected to it.
//!
//! Neither is what is seen first. Envoy's `/clusters` is its main thread's view, and a worker that
//! gets no CPU goes on choosing from the endpoints of before. A backend counts the connections that
//! it has accepted, and the kernel holds more of them.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{Cluster, Envoy, ServiceManifest, SliceManifest, eventually, join};

/// The cluster IP of the Service that is looked for. Nobody else has it.
const MARK: &str = "10.96.255.250";
/// The address of its endpoint, which nobody has and nobody asks.
const NOBODY: &str = "10.245.255.250";

impl Cluster<'_> {
    /// Waits until no worker of any node's Envoy leads a new connection to the pod, which is
    /// terminating or in no slice. No other listener may change meanwhile.
    pub fn await_offered_to_nobody(&mut self, pod: &str) -> Result<()> {
        let ip = format!("{}:", self.pod(pod)?.host().v4);
        for envoy in self.envoys() {
            let what = format!("{} to offer {pod} to nobody new", envoy.name());
            eventually(what, || {
                let clusters = envoy.admin("/clusters")?;
                ensure!(!clusters.contains(&ip), "it does");
                Ok(())
            })?;
        }
        self.await_workers()
    }

    /// Waits until every worker has taken over what its main thread has by now.
    ///
    /// A worker takes things over in their order, and Envoy counts each worker that has taken over
    /// a listener. So one more listener is made, and waited for.
    fn await_workers(&mut self) -> Result<()> {
        let mut before = BTreeMap::new();
        for envoy in self.envoys() {
            before.insert(envoy.name().to_owned(), taken_over(envoy)?);
        }
        let port = self.next_mark();
        let service = ServiceManifest::new("mark").cluster_ip(MARK);
        let service = service.port("mark", port).document();
        let slice = SliceManifest::new("mark").port("mark", port);
        let documents = join([service, slice.endpoint(NOBODY).document()]);
        self.world.manifests().save("mark.yaml", &documents)?;
        for envoy in self.envoys() {
            let wanted = before[envoy.name()] + envoy.stat("server.concurrency")?;
            eventually(format!("the workers of {}", envoy.name()), || {
                let count = taken_over(envoy)?;
                ensure!(count >= wanted, "{count} of {wanted}");
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Waits until no Envoy has a connection to the pod, established or not.
    pub fn await_disconnected(&self, pod: &str) -> Result<()> {
        let ip = self.pod(pod)?.host().v4.to_string();
        for envoy in self.envoys() {
            let what = format!("the last connection of {} to {pod} to end", envoy.name());
            eventually(what, || {
                let mut sockets = Command::new("ss");
                sockets.args(["-Htn", "state", "connected", "exclude", "time-wait"]);
                sockets.args(["dst", &ip]);
                let open = envoy.namespace().command(sockets)?;
                ensure!(open.is_empty(), "{open}");
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// How often a worker has taken over a listener.
fn taken_over(envoy: &Envoy) -> Result<u64> {
    envoy.stat("listener_manager.listener_create_success")
}
