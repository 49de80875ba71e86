//! The Kubernetes source: Services, EndpointSlices and Nodes of a cluster, watched. The first step on the way of a change, and the
//! only place that talks to an API server.
//!
//! [`watch`] asks and reads, one task for each resource; [`cursor`] decides what to ask and knows where a watch stands, [`wire`]
//! and [`resource`] what an answer means, [`backoff`] how long to wait after none. [`world`] puts together what the watches say and
//! knows what became different. Lack of input never shrinks what was said before (invariant 2).

mod backoff;
mod client;
mod cursor;
mod resource;
mod watch;
mod wire;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

use crate::source::Update;
use crate::watches::Watches;
use cursor::News;
use watch::{Message, Watch};
use world::{Scope, World};

pub(crate) use client::{Server, server};
pub(crate) use resource::Resource;

/// What the watches have said and nobody has taken in yet.
const QUEUE: usize = 256;
/// Taken in at once, and told as one update.
const BATCH: usize = 256;

/// What is watched.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Only these namespaces; all if there are none.
    pub(crate) namespaces: BTreeSet<Arc<str>>,
    /// Only Services with these labels.
    pub(crate) service_selector: Option<String>,
    /// How long a watch may be silent before it is asked for anew.
    pub(crate) silence: Duration,
}

/// The source.
#[derive(Debug)]
pub(crate) struct Kube {
    scopes: Vec<Scope>,
    /// The watches that have not told everything there is yet.
    unsynced: BTreeSet<usize>,
    news: mpsc::Receiver<Message>,
    updates: mpsc::Sender<Update>,
    world: World,
    told: bool,
}

impl Kube {
    /// Begins to watch. `errors` counts what fails.
    pub(crate) fn start(
        client: &Client,
        wanted: &Wanted,
        updates: mpsc::Sender<Update>,
        watches: &Watches,
        errors: &Counter,
    ) -> Kube {
        let (sender, news) = mpsc::channel(QUEUE);
        let scopes = scopes(wanted);
        for (number, scope) in scopes.iter().enumerate() {
            let selector = wanted.service_selector.clone();
            let watch = Watch {
                number,
                scope: scope.clone(),
                client: client.clone(),
                selector: selector.filter(|_| scope.resource == Resource::Services),
                silence: wanted.silence,
                health: watches.add(scope.name(), errors.clone()),
                news: sender.clone(),
            };
            tokio::spawn(watch.run(fastrand::Rng::new()));
        }
        Kube {
            unsynced: (0..scopes.len()).collect(),
            scopes,
            news,
            updates,
            world: World::default(),
            told: false,
        }
    }

    /// Tells the writer what becomes different, until it no longer listens.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.news.recv_many(&mut batch, BATCH).await > 0 {
            for (number, news) in batch.drain(..) {
                if matches!(news, News::Reset { .. }) {
                    self.unsynced.remove(&number);
                }
                if let Some(scope) = self.scopes.get(number) {
                    self.world.hear(scope, news);
                }
            }
            if !self.tell().await {
                return;
            }
        }
    }

    /// Sends what became different, once everything has been read. `false`: nobody wants to know any more.
    async fn tell(&mut self) -> bool {
        if !self.unsynced.is_empty() {
            return !self.updates.is_closed();
        }
        let update = match self.world.take() {
            Some(update) => update,
            None if self.told => return !self.updates.is_closed(),
            None => Update {
                synced: true,
                ..Update::default()
            },
        };
        self.told = true;
        self.updates.send(update).await.is_ok()
    }
}

/// A watch for each resource and namespace. Nodes belong to none.
fn scopes(wanted: &Wanted) -> Vec<Scope> {
    let namespaces: Vec<Option<Arc<str>>> = if wanted.namespaces.is_empty() {
        vec![None]
    } else {
        wanted.namespaces.iter().cloned().map(Some).collect()
    };
    let of = |resource| {
        let namespaces = namespaces.iter().cloned();
        namespaces.map(move |namespace| Scope {
            resource,
            namespace,
        })
    };
    let nodes = Scope {
        resource: Resource::Nodes,
        namespace: None,
    };
    let services = of(Resource::Services);
    services
        .chain(of(Resource::EndpointSlices))
        .chain([nodes])
        .collect()
}
