//! The Kubernetes source: Services, EndpointSlices and Nodes of a cluster, watched. The first step on the way of a change, and the
//! only place that talks to an API server.
//!
//! [`watch`] asks and reads, one task for each resource; [`cursor`] decides what to ask and knows where a watch stands, [`wire`]
//! and [`resource`] what an answer means, if [`answer`] lets it pass for one, [`backoff`] how long to wait after none. [`world`] puts together what the watches say and
//! knows what became different. Lack of input never shrinks what was said before (invariant 2). The other way round, problems become
//! Events: [`reports`] decides which and when, [`events`] writes them. Beside all that, [`tokens`] asks whose the tokens of proxies are.

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
    client: Client,
    scopes: Vec<Scope>,
    /// The watches that have not told everything there is yet.
    unsynced: BTreeSet<usize>,
    news: mpsc::Receiver<Message>,
    updates: mpsc::Sender<Update>,
    events: Events,
    watches: Watches,
    state: ClusterState,
    /// What survives the process.
    kept: Option<Kept>,
    told: bool,
}

impl Kube {
    /// Begins to watch.
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

    /// Tells the writer what becomes different, until it no longer listens or `stop` says so.
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

    /// Waits for something to do and does it. `false`: there is nothing left to do.
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

    /// Sends what became different, once everything has been read. `false`: nobody wants to know any more.
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

    /// Part of a world is none, unless its checkpoint stands in for the rest (invariant 1).
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

/// Everything, as a checkpoint keeps it.
fn entries(state: &ClusterState) -> Vec<Entry> {
    let entry = |object| Entry::of(None, object);
    state.objects().filter_map(entry).collect()
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

#[cfg(test)]
mod tests;
