//! Chooses and starts the source of `serve`: a folder, or a cluster.

use std::path::{Path, PathBuf};

use prometheus_client::registry::Registry;
use seaway_translator::ObjectKind;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::health::Health;
use crate::args::{ServerArgs, SourceArgs};
use crate::kube::{
    self, EventMetrics, Kube, Pace, Probing, ServicesContext, SourceContext, StatusContext,
    TokenMetrics, Tokens, Wanted, WriteMetrics,
};
use crate::process::exit::Failure;
use crate::process::outside;
use crate::process::supervise::Supervisor;
use crate::source::checkpoint::{self, Memory};
use crate::source::files::{self, Follow};
use crate::writer::{ServiceNews, StatusNews};

/// The source of objects that the flags ask for.
pub(crate) enum Input {
    /// The manifests below a folder.
    Files(PathBuf),
    /// A cluster, and which of its objects are watched.
    Kube(Box<kube::Server>, Wanted),
}

/// Receives what status should say, and which Services for single Gateways there should be, if they
/// are made.
pub(super) type Written = (
    watch::Receiver<StatusNews>,
    Option<watch::Receiver<ServiceNews>>,
);

/// Ends the source when dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "dropping it is its use")]
pub(crate) enum Stop {
    /// The thread that follows a folder.
    Thread(files::Stop),
    /// The task that watches a cluster.
    Task(DropGuard),
}

/// Makes sure that a folder can be read.
fn check(folder: &Path) -> anyhow::Result<()> {
    let named = folder.to_owned();
    outside::in_time(folder, move || files::check(&named))?
}

impl Input {
    /// The source that the flags name.
    ///
    /// # Errors
    /// The folder has no name, or no API server is configured.
    pub(crate) async fn of(args: &SourceArgs) -> Result<Input, Failure> {
        if let Some(folder) = &args.files {
            let folder = files::locate(folder).map_err(Failure::Unusable)?;
            return Ok(Input::Files(folder));
        }
        let server = kube::server().await.map_err(Failure::Unusable)?;
        let namespaces = args.namespace.iter().map(|name| name.as_str().into());
        let wanted = Wanted {
            namespaces: namespaces.collect(),
            service_selector: args.service_selector.clone(),
            silence: args.watch_silence,
            probing: Probing::every(args.freshness_probe),
            kinds: ObjectKind::TABLE,
            pace: Pace::default(),
        };
        Ok(Input::Kube(Box::new(server), wanted))
    }

    /// The name of the source in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Input::Files(_) => "files",
            Input::Kube(..) => "kube",
        }
    }

    /// The folder or cluster as a text that stays the same from run to run, by which a checkpoint
    /// knows its source.
    fn identity(&self) -> String {
        match self {
            // A name that is no UTF-8 is told from others by what is in quotes.
            Input::Files(folder) => match folder.to_str() {
                Some(folder) => format!("files:{folder}"),
                None => format!("files:{folder:?}"),
            },
            Input::Kube(server, _) => format!("kube:{}", server.address),
        }
    }

    /// Opens the checkpoint of the source, if `--checkpoint` asks for one, and makes sure that a
    /// folder can be read.
    ///
    /// # Errors
    /// The checkpoint cannot be written; or the folder cannot be read, and no checkpoint stands in
    /// for it.
    pub(crate) fn remember(
        &self,
        args: &ServerArgs,
        registry: &mut Registry,
        health: &Health,
    ) -> Result<Option<Memory>, Failure> {
        let open = |dir: &PathBuf| {
            let metrics = checkpoint::Metrics::register(registry);
            let (found, keeper) = checkpoint::open(dir, &self.identity(), &metrics)?;
            let (grace, health) = (args.checkpoint_grace, health.clone());
            anyhow::Ok(Memory {
                found,
                keeper,
                grace,
                health,
            })
        };
        let memory = args.checkpoint.as_ref().map(open).transpose();
        let memory = memory.map_err(Failure::Unusable)?;
        if let Input::Files(folder) = self
            && let Err(error) = check(folder)
        {
            match &memory {
                Some(Memory {
                    found: Some(_),
                    grace,
                    ..
                }) => {
                    let error = format!("{error:#}");
                    tracing::warn!(source = "files", error, ?grace, "waiting for the folder");
                }
                _ => return Err(Failure::Unusable(error)),
            }
        }
        Ok(memory)
    }

    /// What verifies proxies' tokens: TokenReviews at the cluster's API server. A folder has none.
    pub(crate) fn tokens(
        &self,
        audience: &str,
        registry: &mut Registry,
        supervisor: &Supervisor,
    ) -> Option<Tokens> {
        match self {
            Input::Files(_) => None,
            Input::Kube(server, _) => {
                let metrics = TokenMetrics::register(registry);
                Some(Tokens::start(
                    server.client.clone(),
                    audience.to_owned(),
                    metrics,
                    supervisor,
                ))
            }
        }
    }

    /// What is needed to write status to the cluster, and with `services` Services for single
    /// Gateways, if that is to be written. A folder has none.
    ///
    /// # Errors
    /// Services are to be made, and it is not known who makes them.
    pub(crate) fn status(
        &self,
        args: &SourceArgs,
        (news, services): Written,
        registry: &mut Registry,
    ) -> Result<Option<StatusContext>, Failure> {
        let Input::Kube(server, _) = self else {
            return Ok(None);
        };
        if !args.status {
            return Ok(None);
        }
        let namespace = args.lease_namespace.as_deref();
        let Some(namespace) = namespace.or(server.client.namespace()) else {
            if services.is_some() {
                return Err(Failure::unusable(
                    "--gateway-services: Seaway's own namespace is not known; set --lease-namespace",
                ));
            }
            tracing::warn!(
                "no status is written: Seaway's own namespace is not known; set --lease-namespace, or --status off"
            );
            return Ok(None);
        };
        let metrics = WriteMetrics::register(registry, "status", "the status of objects");
        let services = services.map(|news| ServicesContext {
            news,
            metrics: WriteMetrics::register(
                registry,
                "gateway_service",
                "the Services of single Gateways",
            ),
        });
        Ok(Some(StatusContext {
            news,
            namespace: namespace.to_owned(),
            metrics,
            services,
        }))
    }

    /// Starts the source; returns its task, and what ends it.
    pub(crate) fn start(
        self,
        around: SourceContext,
        registry: &mut Registry,
    ) -> (JoinHandle<()>, Stop) {
        match self {
            Input::Files(folder) => {
                tracing::info!(folder = %folder.display(), "watching a folder");
                let (follow, stop) =
                    Follow::new(folder, around.updates, around.errors, around.memory);
                let task = tokio::task::spawn_blocking(|| follow.run());
                (task, Stop::Thread(stop))
            }
            Input::Kube(server, wanted) => {
                tracing::info!(server = server.address, "watching a cluster");
                let events = EventMetrics::register(registry);
                let kube = Kube::start(&server.client, &wanted, around, events);
                let stop = CancellationToken::new();
                let task = tokio::spawn(kube.run(stop.clone()));
                (task, Stop::Task(stop.drop_guard()))
            }
        }
    }
}
