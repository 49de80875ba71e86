//! What one of the replicas alone writes to the API server: what the [`status`] of objects should
//! say, and the [`services`] of single Gateways. It is the one that holds the [`lease`], and it
//! writes object by object ([`writing`]). Nothing that serves waits for it.
//!
//! Nobody asks for the Lease before the source has listed everything, so that no part of a world is
//! ever shown, nor while there is nothing to write.

mod lease;
mod services;
mod status;
mod writing;

use std::sync::PoisonError;
use std::time::Duration;

use seaway_translator::ObjectId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use crate::writer::{ServiceNews, StatusNews};
use lease::{Place, Times, candidate};
use services::OfGateways;
use status::OfObjects;
pub(super) use status::has_status;
pub(crate) use writing::WriteMetrics;
use writing::{Created, Hears, Task};

/// The name of the Lease.
const LEASE: &str = "seaway-status";
/// How long the end of the tasks may take.
const LAST: Duration = Duration::from_secs(3);

/// What the writing of status is given when the source starts.
#[derive(Debug)]
pub(crate) struct StatusContext {
    /// Receives what status should say.
    pub(crate) news: watch::Receiver<StatusNews>,
    /// The namespace of the Lease.
    pub(crate) namespace: String,
    /// Counts what becomes of it.
    pub(crate) metrics: WriteMetrics,
    /// What is needed to write Services of single Gateways, if they are made.
    pub(crate) services: Option<ServicesContext>,
}

/// What the writing of Services of single Gateways is given when the source starts.
#[derive(Debug)]
pub(crate) struct ServicesContext {
    /// Receives what should become of them.
    pub(crate) news: watch::Receiver<ServiceNews>,
    /// Counts what becomes of it.
    pub(crate) metrics: WriteMetrics,
}

/// The source's end of the tasks.
#[derive(Debug)]
pub(super) struct LeaderTasks {
    synced: watch::Sender<bool>,
    created: watch::Sender<Created>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl LeaderTasks {
    /// Starts the tasks of the replica `instance`.
    pub(super) fn start(client: &Client, context: StatusContext, instance: &str) -> LeaderTasks {
        LeaderTasks::with(client, context, instance, Times::default())
    }

    fn with(client: &Client, context: StatusContext, instance: &str, times: Times) -> LeaderTasks {
        let place = Place {
            namespace: context.namespace,
            name: LEASE,
        };
        // Several processes of one host, and one that was started again, are told apart.
        let identity = format!("{instance}_{:016x}", fastrand::u64(..));
        let (candidate, seat) = candidate(client.clone(), place, identity, times);
        let (synced, is_synced) = watch::channel(false);
        let (created, is_created) = watch::channel(Created::default());
        let stop = CancellationToken::new();
        let hears = Hears {
            synced: is_synced.clone(),
            created: is_created,
        };
        let mut tasks = vec![tokio::spawn(candidate.run(stop.clone()))];
        if let Some(ServicesContext { news, metrics }) = context.services {
            let hears = Hears {
                synced: is_synced,
                // Of a Service that is created anew the writer hears.
                created: watch::channel(Created::default()).1,
            };
            let task = Task::<OfGateways>::new(client.clone(), news, hears, seat.clone(), metrics);
            tasks.push(tokio::spawn(task.run(stop.clone())));
        }
        let (news, metrics) = (context.news, context.metrics);
        let task = Task::<OfObjects>::new(client.clone(), news, hears, seat, metrics);
        tasks.push(tokio::spawn(task.run(stop.clone())));
        LeaderTasks {
            synced,
            created,
            stop,
            tasks,
        }
    }

    /// Tells that the source has listed everything once.
    pub(super) fn synced(&self) {
        self.synced
            .send_if_modified(|synced| !std::mem::replace(synced, true));
    }

    /// Tells that objects were created, or created anew.
    pub(super) fn created(&self, ids: impl IntoIterator<Item = ObjectId>) {
        self.created.send_if_modified(|created| {
            let mut created = created.lock().unwrap_or_else(PoisonError::into_inner);
            let before = created.len();
            created.extend(ids);
            created.len() != before
        });
    }

    /// Ends the tasks; the Lease is released.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        let ended = futures::future::join_all(self.tasks);
        let _ = tokio::time::timeout(LAST, ended).await;
    }
}
