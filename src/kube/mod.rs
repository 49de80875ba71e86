//! The Kubernetes source: lists and watches Services, EndpointSlices and Nodes. It is the first
//! step on the way of a change, and the only place that talks to an API server.
//!
//! [`watch`] sends requests and reads responses, one task for each resource; [`cursor`] keeps how
//! far a watch has got and decides what to ask, [`wire`] and [`resource`] decode what [`answer`]
//! accepts as a response, and [`backoff`] says how long to wait after a failure. [`cluster_state`]
//! puts together what the watches report and knows what changed. Lack of input never shrinks what
//! was said before (invariant 2). In the other direction [`events`] writes problems as Events.
//! Beside that, [`tokens`] has proxies' tokens reviewed.

mod answer;
mod backoff;
mod client;
mod cluster_state;
mod context;
mod cursor;
mod events;
mod rate;
mod resource;
mod tokens;
mod watch;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admin::watch_status::Watches;
use crate::process::clock::{now, sleep_until};
use crate::source::Update;
use crate::source::checkpoint::{Entry, Kept};
use cluster_state::{ClusterState, Scope};
use cursor::News;
use events::Events;
use watch::{Message, Watch};

pub(crate) use client::{Client, Server, server};
pub(crate) use context::SourceContext;
pub(crate) use events::EventMetrics;
pub(crate) use resource::Resource;
pub(crate) use tokens::{Account, Refusal, TokenMetrics, Tokens};

/// How many reports of watches may wait to be taken in.
const QUEUE: usize = 256;
/// How many reports are taken in at once and sent as one update.
const BATCH: usize = 256;

/// Which objects of the cluster are watched, and how.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The namespaces to watch; all if the set is empty.
    pub(crate) namespaces: BTreeSet<Arc<str>>,
    /// A label selector for Services.
    pub(crate) service_selector: Option<String>,
    /// How long a watch may be silent before it is closed and asked for anew.
    pub(crate) silence: Duration,
}

/// The Kubernetes source: takes in what its watches report and sends updates to the writer.
#[derive(Debug)]
pub(crate) struct Kube {
    client: Client,
    scopes: Vec<Scope>,
    /// The watches that have not delivered their first list yet.
    unsynced: BTreeSet<usize>,
    news: mpsc::Receiver<Message>,
    updates: mpsc::Sender<Update>,
    events: Events,
    watches: Watches,
    state: ClusterState,
    /// The checkpoint, if there is one.
    kept: Option<Kept>,
    told: bool,
}

impl Kube {
    /// Starts a task for each watch.
    pub(crate) fn start(
        client: &Client,
        wanted: &Wanted,
        around: SourceContext,
        events: EventMetrics,
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
                health: around.watches.add(scope.name(), around.errors.clone()),
                news: sender.clone(),
            };
            let part = format!("the watch of {}", scope.name());
            let task = watch.run(fastrand::Rng::new());
            around.supervisor.spawn(part, task);
        }
        let mut kept = around.memory.map(|memory| Kept::new("kube", memory));
        let mut state = ClusterState::default();
        let seeds = kept
            .as_mut()
            .and_then(Kept::take_loaded)
            .into_iter()
            .flatten();
        let seeds = seeds.map(|entry| entry.object);
        // What nobody watches any more would stay for ever.
        state.seed(seeds.filter(|object| scopes.iter().any(|scope| scope.covers(&object.id()))));
        Kube {
            client: client.clone(),
            unsynced: (0..scopes.len()).collect(),
            scopes,
            news,
            updates: around.updates,
            events: Events::start(client.clone(), around.problems, around.instance, events),
            watches: around.watches,
            state,
            kept,
            told: false,
        }
    }

    /// Sends the writer what changes, until its receiver is dropped or `stop` is cancelled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.step(&mut batch, &stop).await {}
        if let Some(kept) = self.kept.take() {
            let state = self.state;
            let finish = move || kept.finish(|| entries(&state));
            // It waits for a disk.
            let _ = tokio::task::spawn_blocking(finish).await;
        }
    }

    /// Waits for one thing to do and does it. `false`: the source is to end.
    async fn step(&mut self, batch: &mut Vec<Message>, stop: &CancellationToken) -> bool {
        let due = self.events.due(now());
        let kept = self.kept.as_ref().and_then(Kept::next);
        tokio::select! {
            () = stop.cancelled() => return false,
            count = self.news.recv_many(batch, BATCH) => {
                batch.drain(..).for_each(|message| self.hear(message));
                return count > 0 && self.tell().await;
            }
            () = self.events.changed() => self.events.settle(),
            () = sleep_until(due) => self.events.write(now(), |id| self.state.uid(id)),
            () = sleep_until(kept) => return self.tell().await,
            () = sleep_until(Some(self.client.due())) => self.client.look(),
        }
        true
    }

    fn hear(&mut self, (number, news): Message) {
        if matches!(news, News::Reset { .. }) {
            self.unsynced.remove(&number);
        }
        if let Some(scope) = self.scopes.get(number) {
            self.state.hear(scope, news);
        }
    }

    /// Sends the writer an update once all watches have listed, and saves a due checkpoint.
    /// `false`: the receiver is dropped.
    async fn tell(&mut self) -> bool {
        if !self.may_tell() {
            return !self.updates.is_closed();
        }
        let update = Update::or_first(self.state.take(), self.told);
        let news = update.is_some();
        self.told = true;
        let heard = match update {
            Some(update) => self.updates.send(update).await.is_ok(),
            None => !self.updates.is_closed(),
        };
        if let Some(kept) = &mut self.kept {
            kept.told(|| entries(&self.state), news, now());
        }
        heard
    }

    /// Whether an update may be sent: part of a world is none, unless its checkpoint stands in for
    /// the rest (invariant 1).
    fn may_tell(&mut self) -> bool {
        let synced = self.unsynced.is_empty();
        match &mut self.kept {
            Some(kept) if synced => kept.confirm(now()),
            Some(kept) if kept.stands_in() => {
                let watches = &self.watches;
                return kept.may_tell(now(), || watches.degraded().join("; "));
            }
            _ => {}
        }
        synced
    }
}

/// All objects as entries of a checkpoint.
fn entries(state: &ClusterState) -> Vec<Entry> {
    let entry = |object| Entry::of(None, object);
    state.objects().filter_map(entry).collect()
}

/// The scope of each watch: one for each resource and namespace, and one for Nodes, which have no
/// namespace.
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

#[cfg(test)]
mod tests;
