//! The Kubernetes source: lists and watches Services, EndpointSlices, Nodes and what has rules for
//! hosts. It is the first step on the way of a change, and the only place that talks to an API
//! server.
//!
//! [`watch`] sends requests and reads responses, one task for each kind and namespace, or for each
//! [`optional`] kind, which [`discovery`] has to find first; [`cursor`] keeps how
//! far a watch has got and decides what to ask, [`wire`] and [`resource`] decode what [`answer`]
//! accepts as a response, and [`backoff`] says how long to wait after a failure. [`cluster_state`]
//! puts together what the watches report and knows what changed; of Secrets it
//! wants those alone that other objects name. Lack of input never shrinks what
//! was said before (invariant 2). In the other direction [`events`] writes problems as Events, and
//! one of the replicas is the [`leader`], which writes what the status of objects should say, and
//! the Services of single Gateways.
//! Beside that, [`tokens`] has proxies' tokens reviewed, and a [`visitor`] is a command that looks
//! for running replicas.

mod answer;
mod backoff;
mod client;
mod cluster_state;
mod context;
mod cursor;
mod discovery;
mod events;
mod leader;
mod optional;
mod rate;
mod resource;
mod tokens;
mod visitor;
mod watch;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use seaway_translator::{KindInfo, ObjectKind};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admin::watch_status::Watches;
use crate::process::clock::{now, sleep_until};
use crate::process::supervise::Supervisor;
use crate::source::Update;
use crate::source::checkpoint::{Entry, SourceCheckpoint};
use cluster_state::{ClusterState, Scope, Wants, is_naming};
use cursor::News;
use events::Events;
use leader::LeaderTasks;
use optional::OptionalKind;
use watch::{Message, Watch};

pub(crate) use client::{Client, Server, server};
pub(crate) use context::SourceContext;
pub(crate) use events::EventMetrics;
pub(crate) use leader::{ServicesContext, StatusContext, WriteMetrics};
pub(crate) use optional::Pace;
pub(crate) use tokens::{Account, Refusal, TokenMetrics, Tokens};
pub(crate) use visitor::{Forward, Permission, Visitor, Which};
pub(crate) use watch::Probing;

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
    /// How often each watch is held against what the API server says otherwise.
    pub(crate) probing: Probing,
    /// The kinds to watch.
    pub(crate) kinds: &'static [KindInfo],
    /// How often optional kinds that are absent are looked for.
    pub(crate) pace: Pace,
}

/// The Kubernetes source: takes in what its watches report and sends updates to the writer.
#[derive(Debug)]
pub(crate) struct Kube {
    client: Client,
    scopes: Vec<Scope>,
    /// The watches that have not delivered their first list yet, and may have one to deliver.
    unsynced: BTreeSet<usize>,
    news: mpsc::Receiver<Message>,
    updates: mpsc::Sender<Update>,
    events: Events,
    status: Option<LeaderTasks>,
    watches: Watches,
    state: ClusterState,
    /// The checkpoint, if there is one.
    kept: Option<SourceCheckpoint>,
    told: bool,
    /// The kinds that name Secrets have told their first lists, or have none to tell.
    settled: bool,
    /// The last update said that Secrets have yet to be read.
    awaits_secrets: bool,
}

impl Kube {
    /// Starts a task for each watch.
    pub(crate) fn start(
        client: &Client,
        wanted: &Wanted,
        mut around: SourceContext,
        events: EventMetrics,
    ) -> Kube {
        let (sender, news) = mpsc::channel(QUEUE);
        let scopes = scopes(wanted);
        let mut kept = around
            .memory
            .take()
            .map(|memory| SourceCheckpoint::new("kube", memory));
        let wants = Wants::default();
        let mut state = ClusterState::new(wants.clone());
        let secret_scopes = scopes.iter().filter(|scope| scope.kind.is_secret());
        secret_scopes.for_each(|scope| wants.add(scope));
        let seeds = kept
            .as_mut()
            .and_then(SourceCheckpoint::take_loaded)
            .into_iter()
            .flatten();
        let seeds = seeds.map(|entry| entry.object);
        // What nobody watches any more would stay for ever.
        state.seed(seeds.filter(|object| scopes.iter().any(|scope| scope.covers(&object.id()))));
        for info in wanted.kinds {
            let of_kind = scopes.iter().cloned().enumerate();
            let of_kind = of_kind.filter(|(_, scope)| scope.kind == info.kind);
            let watches = of_kind.map(|(number, scope)| Watch {
                number,
                client: client.clone(),
                selector: wanted.selector(info.kind),
                wants: info.secret.then(|| wants.clone()),
                silence: wanted.silence,
                probing: wanted.probing,
                health: around.health(info, &scope),
                news: sender.clone(),
                scope,
            });
            let watches = watches.collect();
            let known = state.knows(info.kind);
            spawn(&around.supervisor, info, wanted.pace, known, watches);
        }
        let status = around
            .status
            .map(|context| LeaderTasks::start(client, context, &around.instance));
        let mut kube = Kube {
            client: client.clone(),
            unsynced: (0..scopes.len()).collect(),
            scopes,
            news,
            updates: around.updates,
            events: Events::start(client.clone(), around.problems, around.instance, events),
            status,
            watches: around.watches,
            state,
            kept,
            told: false,
            settled: false,
            awaits_secrets: false,
        };
        kube.settle();
        kube
    }

    /// Sends the writer what changes, until its receiver is dropped or `stop` is cancelled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.step(&mut batch, &stop).await {}
        if let Some(status) = self.status.take() {
            status.finish().await;
        }
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
        let kept = self.kept.as_ref().and_then(SourceCheckpoint::next);
        let held = self.state.due().filter(|_| self.told);
        tokio::select! {
            () = stop.cancelled() => return false,
            count = self.news.recv_many(batch, BATCH) => {
                batch.drain(..).for_each(|message| self.hear(message));
                self.settle();
                return count > 0 && self.tell().await;
            }
            () = self.events.changed() => self.events.settle(),
            () = sleep_until(due) => self.events.write(now(), |id| self.state.uid(id)),
            () = sleep_until(kept) => return self.tell().await,
            () = sleep_until(held) => return self.tell().await,
            () = sleep_until(Some(self.client.due())) => self.client.look(),
        }
        true
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::News(number, news) => {
                if matches!(news, News::Reset { .. }) {
                    self.unsynced.remove(&number);
                }
                if let Some(scope) = self.scopes.get(number) {
                    self.state.hear(scope, news);
                }
            }
            Message::Nowhere(id) => self.state.is_nowhere(&id),
            Message::Forbidden(number) => {
                self.unsynced.remove(&number);
            }
            Message::Absent(kind) => {
                let scopes = &self.scopes;
                let is_of_kind =
                    |number: &usize| scopes.get(*number).is_some_and(|s| s.kind == kind);
                self.unsynced.retain(|number| !is_of_kind(number));
                self.state.leave(kind);
            }
        }
    }

    /// Lets the watches of Secrets begin once the kinds that name some have told their first lists,
    /// or have none to tell. A list taken before would lack what is named later, and certificates
    /// that proxies have would be missing. Where nobody names a Secret, nothing waits for any.
    fn settle(&mut self) {
        let (scopes, state) = (&self.scopes, &mut self.state);
        let scope = |number: &usize| scopes.get(*number);
        let mut unsynced = self.unsynced.iter().filter_map(scope);
        if self.settled || unsynced.any(|scope| is_naming(scope.kind)) {
            return;
        }
        self.settled = true;
        state.settle();
        let is_needed = |scope: &Scope| !scope.kind.is_secret() || state.names_any_in(scope);
        self.unsynced
            .retain(|number| scope(number).is_some_and(is_needed));
    }

    /// Whether objects name Secrets that have yet to be read.
    fn awaits_secrets(&self) -> bool {
        let unsynced = self.unsynced.iter();
        let mut scopes = unsynced.filter_map(|number| self.scopes.get(*number));
        scopes.any(|scope| scope.kind.is_secret() && self.state.names_any_in(scope))
    }

    /// Sends the writer an update once all watches have listed, and saves a due checkpoint.
    /// `false`: the receiver is dropped.
    async fn tell(&mut self) -> bool {
        if !self.may_tell() {
            return !self.updates.is_closed();
        }
        let created = self.state.take_created();
        if let Some(status) = &self.status {
            status.created(created);
        }
        let awaits_secrets = self.awaits_secrets();
        let told = self.told && awaits_secrets == self.awaits_secrets;
        let update = Update::or_first(self.state.take(now()), told);
        let news = update.is_some();
        (self.told, self.awaits_secrets) = (true, awaits_secrets);
        let heard = match update {
            Some(update) => {
                let update = Update {
                    awaits_secrets,
                    ..update
                };
                self.updates.send(update).await.is_ok()
            }
            None => !self.updates.is_closed(),
        };
        if let Some(status) = self.status.as_ref().filter(|_| self.unsynced.is_empty()) {
            status.synced();
        }
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

/// Spawns the watches of a kind: each as a task, or all as one if the kind is optional.
fn spawn(supervisor: &Supervisor, info: &KindInfo, pace: Pace, known: bool, watches: Vec<Watch>) {
    if !info.optional {
        for watch in watches {
            let part = format!("the watch of {}", watch.scope.name());
            supervisor.spawn(part, watch.run(fastrand::Rng::new()));
        }
        return;
    }
    let Some(first) = watches.first() else {
        return;
    };
    let kind = OptionalKind {
        info: *info,
        client: first.client.clone(),
        news: first.news.clone(),
        watches,
        known,
        pace,
    };
    let part = format!("the watch of {}", info.plural);
    supervisor.spawn(part, kind.run(fastrand::Rng::new()));
}

impl Wanted {
    /// The label selector for a kind.
    fn selector(&self, kind: ObjectKind) -> Option<String> {
        let selector = self.service_selector.clone();
        selector.filter(|_| kind == ObjectKind::Service)
    }
}

/// The scope of each watch: one for each kind and namespace, and one for a kind that is in no
/// namespace.
fn scopes(wanted: &Wanted) -> Vec<Scope> {
    let of = |info: &KindInfo| -> Vec<Scope> {
        let kind = info.kind;
        let scope = |namespace| Scope { kind, namespace };
        if !info.namespaced || wanted.namespaces.is_empty() {
            return vec![scope(None)];
        }
        let namespaces = wanted.namespaces.iter().cloned().map(Some);
        namespaces.map(scope).collect()
    };
    wanted.kinds.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests;
