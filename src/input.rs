//! Which source `serve` has, and its start: a folder, or a cluster.

use std::path::PathBuf;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::args::SourceArgs;
use crate::exit::Failure;
use crate::files::{self, Follow};
use crate::kube::{self, EventMetrics, Kube, Wanted};
use crate::source::Update;
use crate::watches::Watches;
use crate::writer::Standing;

/// Where the objects come from.
pub(crate) enum Input {
    /// The manifests below this folder.
    Files(PathBuf),
    /// What is wanted of a cluster.
    Kube(Box<kube::Server>, Wanted),
}

/// Who a source speaks to.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The writer.
    pub(crate) updates: mpsc::Sender<Update>,
    /// What the writer finds wrong.
    pub(crate) problems: watch::Receiver<Standing>,
    /// Where the state of watches is shown.
    pub(crate) watches: Watches,
    /// Counts what fails.
    pub(crate) errors: Counter,
    /// What this replica is called.
    pub(crate) instance: String,
}

impl Input {
    /// What the command line says.
    ///
    /// # Errors
    /// The folder cannot be read, or it is not known how to reach a cluster.
    pub(crate) async fn of(args: &SourceArgs) -> Result<Input, Failure> {
        if let Some(folder) = &args.files {
            let folder = files::check(folder).map_err(Failure::Unusable)?;
            return Ok(Input::Files(folder));
        }
        let server = kube::server().await.map_err(Failure::Unusable)?;
        let namespaces = args.namespace.iter().map(|name| name.as_str().into());
        let wanted = Wanted {
            namespaces: namespaces.collect(),
            service_selector: args.service_selector.clone(),
            silence: args.watch_silence,
        };
        Ok(Input::Kube(Box::new(server), wanted))
    }

    /// As metrics call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Input::Files(_) => "files",
            Input::Kube(..) => "kube",
        }
    }

    /// Starts it. With the task comes what ends it, if that takes more than aborting.
    pub(crate) fn start(
        self,
        around: Surroundings,
        registry: &mut Registry,
    ) -> (JoinHandle<()>, Option<files::Stop>) {
        match self {
            Input::Files(folder) => {
                tracing::info!(folder = %folder.display(), "watching a folder");
                let (follow, stop) = Follow::new(folder, around.updates, around.errors);
                let task = tokio::task::spawn_blocking(|| follow.run());
                (task, Some(stop))
            }
            Input::Kube(server, wanted) => {
                tracing::info!(server = server.address, "watching a cluster");
                let events = EventMetrics::register(registry);
                let kube = Kube::start(&server.client, &wanted, around, events);
                (tokio::spawn(kube.run()), None)
            }
        }
    }
}
