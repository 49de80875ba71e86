//! The writer: the one task that owns the translator and the publisher, and makes every commit.
//!
//! A change passes here on its way from a source to the xDS server: an update is applied whole; its
//! translation is committed at once after quiet, else together with its neighbours inside the
//! `seaway_xds::CommitWindow`. A proxy with a new view is a change too: its view is activated,
//! translated and committed before the proxy is admitted.

mod board_news;
mod imports;
mod leader_news;
mod missing;
mod placements;
mod problem_log;
mod question;
mod rejections;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use seaway_translator::{ObjectId, Options, Translator, View};
use seaway_xds::{Commit, CommitWindow, Demands, LayerId, PlacementId, Publisher, Replace};
use tokio::sync::{mpsc, oneshot, watch};

use crate::admin::health::Health;
use crate::process::clock::{now, sleep_until};
use crate::process::metrics::Metrics;
use crate::source::{CAUSES, Cause, Update};
pub(crate) use board_news::{BoardChanges, BoardNews, BoardSender, COMMITS, CommitCause};
pub(crate) use leader_news::{
    LeaderChanges, LeaderNews, ServiceNews, ServiceSender, StatusNews, StatusSender,
};
pub(crate) use missing::MissingNames;
use placements::Placements;
use problem_log::ProblemLog;
pub(crate) use problem_log::{Changes, News};
pub(crate) use question::{Asker, Question};
pub(crate) use rejections::Rejections;

/// How many leases, or releases, are taken in at once: proxies that connect at the same time share
/// one commit.
const BATCH: usize = 1024;

/// A proxy's request for a placement. It holds the placement until its view is released.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The proxy's view, made from what it claims.
    pub(crate) view: View,
    /// Gets the placement once everything in it is published, or why there is none.
    pub(crate) placed: oneshot::Sender<Result<PlacementId, String>>,
}

/// The channels that the writer receives from.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Updates of the source.
    pub(crate) updates: mpsc::Receiver<Update>,
    /// Leases of proxies that connect.
    pub(crate) leases: mpsc::Receiver<Lease>,
    /// Views of proxies whose streams have ended.
    pub(crate) releases: mpsc::UnboundedReceiver<View>,
    /// What proxies reject.
    pub(crate) rejections: Rejections,
    /// What proxies ask for and nobody has.
    pub(crate) missing: MissingNames,
    /// What gRPC clients ask for, and is made for them.
    pub(crate) demands: Demands,
    /// What is asked about decisions.
    pub(crate) questions: mpsc::Receiver<Question>,
}

/// What has been published last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// The layers that all replicas have, with their names.
    pub(crate) shared_layers: Arc<BTreeMap<LayerId, Arc<str>>>,
}

/// The channels that the writer sends to, beside the publisher.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Problems that appear or end.
    pub(crate) problems: watch::Sender<News>,
    /// What the inspection API shows.
    pub(crate) board: BoardSender,
    /// What the status of objects should say.
    pub(crate) statuses: StatusSender,
    /// What should become of the Services that are made for single Gateways.
    pub(crate) services: ServiceSender,
    /// What has been published last, for peers.
    pub(crate) published: watch::Sender<Published>,
}

/// The task that translates updates, commits them to the publisher and places proxies.
#[derive(Debug)]
pub(crate) struct Writer {
    translator: Translator,
    publisher: Publisher,
    window: CommitWindow,
    placements: Placements,
    problem_log: ProblemLog,
    /// Tells what is shown.
    board: BoardSender,
    /// When the oldest change that is not published yet was read.
    since: Option<Instant>,
    /// Tells what status should say, once it is published.
    statuses: StatusSender,
    /// Tells which Services there should be, once that is what proxies are told.
    services: ServiceSender,
    published: watch::Sender<Published>,
    /// The source is synced, and the commit that publishes its whole world is outstanding.
    syncing: bool,
    /// The source has yet to read Secrets that objects name.
    awaits_secrets: bool,
    health: Health,
    metrics: Metrics,
    started: Instant,
}

impl Writer {
    /// A writer that has not received anything.
    pub(crate) fn new(
        options: Options,
        publisher: Publisher,
        window: CommitWindow,
        health: Health,
        metrics: Metrics,
        outbox: Outbox,
    ) -> Writer {
        let mut translator = Translator::new(options);
        translator.track_status(outbox.statuses.is_heard());
        translator.track_summaries(outbox.board.is_heard());
        Writer {
            translator,
            publisher,
            window,
            placements: Placements::default(),
            problem_log: ProblemLog::new(metrics.clone(), outbox.problems),
            board: outbox.board,
            since: None,
            statuses: outbox.statuses,
            services: outbox.services,
            published: outbox.published,
            metrics,
            syncing: false,
            awaits_secrets: false,
            health,
            started: now(),
        }
    }

    /// Runs until the source, or the xDS server, drops its channel.
    pub(crate) async fn run(mut self, mut inbox: Inbox) {
        let (mut leases, mut releases) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                update = inbox.updates.recv() => match update {
                    Some(update) => self.update(update),
                    None => return,
                },
                count = inbox.leases.recv_many(&mut leases, BATCH) => match count {
                    0 => return,
                    _ => self.admit(leases.drain(..)),
                },
                _ = inbox.releases.recv_many(&mut releases, BATCH) => {
                    let now = now();
                    releases.drain(..).for_each(|view| self.placements.release(&view, now));
                }
                Some(question) = inbox.questions.recv() => question.answer(&self.translator),
                () = inbox.demands.changed() => self.follow_demands(&mut inbox.demands),
                () = inbox.rejections.changed() => self.follow_rejections(&inbox.rejections),
                () = sleep_until(Some(inbox.missing.due())) => self.follow_missing(&mut inbox.missing),
                () = sleep_until(self.wake()) => {}
            }
            self.work(now());
            if self.window.pending().is_none() {
                inbox.demands.settle();
            }
        }
    }

    /// When there is something to do without a message.
    fn wake(&self) -> Option<Instant> {
        let moments = [
            self.window.pending(),
            self.problem_log.due(),
            self.placements.next_expiry(),
        ];
        moments.into_iter().flatten().min()
    }

    /// Expires placements, commits and logs problems, each if it is due.
    fn work(&mut self, now: Instant) {
        if self.placements.expire(now, &mut self.translator) {
            self.window.due(now);
        }
        if self.window.pending().is_some_and(|at| at <= now) {
            self.commit(now);
        }
        if self.problem_log.due().is_some_and(|at| at <= now) {
            let changes = self.translator.take_problem_changes();
            let changes = self.problem_log.settle(changes);
            self.board.problems(&changes);
        }
    }

    /// Applies an update of the source. It is published when the window says so.
    fn update(&mut self, update: Update) {
        self.since = self.since.or(update.since);
        self.board.because(causes(&update), update.changes.len());
        for change in update.changes {
            self.translator.apply(change);
        }
        self.placements.follow(&mut self.translator);
        if let Some(problems) = update.problems {
            self.translator.set_unread(&problems);
            self.problem_log.set_source(problems);
        }
        self.awaits_secrets = update.awaits_secrets;
        if update.awaits_secrets {
            // Before anything of it is published: what ends the wait comes after a commit.
            self.health.set_awaits_secrets(true);
        }
        self.syncing |= update.synced && !self.health.is_synced();
        let now = now();
        self.window.due(now);
        self.problem_log.touch(now);
    }

    /// Places proxies that connect. What their views need is published before they get their
    /// placement.
    fn admit(&mut self, leases: impl Iterator<Item = Lease>) {
        let mut placed = Vec::new();
        for lease in leases {
            match self.placements.lease(&lease.view, &mut self.translator) {
                Ok(id) => placed.push((lease, id)),
                Err(why) => {
                    // A stream that has ended need not know.
                    let _ = lease.placed.send(Err(why));
                }
            }
        }
        if self.placements.is_incomplete() {
            self.commit(now());
        } else {
            // Nothing new is to be seen from there: what is outstanding can wait for its time.
            self.place();
        }
        for (lease, id) in placed {
            if lease.placed.send(Ok(id)).is_err() {
                // The stream ended while it waited.
                self.placements.release(&lease.view, now());
            }
        }
    }

    /// Has the names made that gRPC clients ask for, and those dropped that nobody wants. They hear
    /// of it once it is committed.
    fn follow_demands(&mut self, demands: &mut Demands) {
        let names = demands.take().into_iter();
        let changed = names.filter(|(name, is_wanted)| self.translator.want(name, *is_wanted));
        if changed.count() > 0 {
            self.window.due(now());
        }
    }

    /// Has objects say what proxies reject of them. What is served does not change with it.
    fn follow_rejections(&mut self, rejections: &Rejections) {
        let rejected = rejections.all();
        let words = rejected.iter().map(|one| (&*one.origin, &*one.error));
        let now = now();
        if self.translator.set_rejections(words) {
            self.window.due(now);
            self.problem_log.touch(now);
        }
        let held = rejections.held_back();
        let words = held.iter().map(|(origin, why)| (&**origin, &**why));
        if self.translator.set_held_back(words) {
            self.problem_log.touch(now);
        }
    }

    /// Has names be problems that proxies ask for and nobody has.
    fn follow_missing(&mut self, missing: &mut MissingNames) {
        let now = now();
        if self.translator.set_missing(&missing.look(now)) {
            self.problem_log.touch(now);
        }
    }

    /// Publishes the placements that changed, and no resources.
    fn place(&mut self) {
        let placements = self.placements.take_changed();
        if !placements.is_empty() {
            self.publisher.commit(Commit {
                placements,
                ..Commit::default()
            });
            self.board.placed(self.placements.take_numbered());
        }
    }

    /// Tells what status should say, and which Services there should be: what has just been
    /// published (Gateway rules 13 and 98).
    fn tell_leader(&mut self) {
        let changed = self.translator.take_status_changes().into_iter();
        let statuses = changed.map(|id| {
            let status = self.translator.status(&id);
            (id, status)
        });
        self.statuses.tell(statuses.collect());
        let services = self.translator.take_service_changes().into_iter();
        let services = services.map(|(key, write)| (ObjectId::of_service(&key), write));
        self.services.tell(services.collect());
    }

    /// Publishes everything that is outstanding as one commit.
    fn commit(&mut self, now: Instant) {
        let begin = Instant::now();
        let mut replace = Vec::new();
        for made in self.translator.flush() {
            let layered = made.resources.into_iter();
            let resources =
                layered.map(|(layer, resource)| (self.placements.layer(layer), resource));
            replace.push(Replace {
                origin: made.origin.to_string().into(),
                resources: resources.collect(),
                hidden: Vec::new(),
            });
        }
        let origins = replace.len();
        let commit = Commit {
            replace,
            placements: self.placements.take_changed(),
            since: self.since.take(),
        };
        // Before anybody is sent it: who has a change finds it counted.
        self.metrics.translated(origins);
        let committed = self.publisher.commit(commit);
        self.metrics.committed(origins, begin.elapsed());
        self.placements.forget_unseen();
        self.window.committed(now);
        let services = self.translator.take_summary_changes();
        let layers = self.placements.take_numbered();
        self.board.committed(committed.seq, services, layers);
        self.tell_leader();
        if self.published.receiver_count() > 0 {
            let shared_layers = self.placements.shared_layers().clone();
            self.published.send_replace(Published { shared_layers });
        }
        let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(
            seq = committed.seq,
            origins,
            set = committed.set,
            removed = committed.removed,
            micros,
            "commit"
        );
        self.health.set_awaits_secrets(self.awaits_secrets);
        if std::mem::take(&mut self.syncing) {
            self.health.set_synced();
            let took = now.saturating_duration_since(self.started);
            let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(resources = committed.set, millis, "synced; serving proxies");
        }
    }
}

/// The first objects that an update changes, as causes of a commit.
fn causes(update: &Update) -> Vec<Cause> {
    let of = |change| {
        let cause = Cause::of(change);
        let mut versions = update.versions.iter();
        let version = versions.find(|(id, _)| *id == cause.object);
        Cause {
            version: version.map(|(_, version)| version.clone()),
            ..cause
        }
    };
    update.changes.iter().take(CAUSES).map(of).collect()
}

#[cfg(test)]
mod tests;
