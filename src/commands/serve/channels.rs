//! The channels between the writer and whoever acts on what it tells.

use std::time::Instant;

use seaway_translator::View;
use seaway_xds::Snapshots;
use tokio::sync::{mpsc, watch};

use super::input::Written;
use crate::source::Update;
use crate::writer::{
    BoardNews, BoardSender, Inbox, Lease, MissingNames, News, Outbox, Question, Rejections,
    ServiceSender, StatusSender,
};

/// How many updates, and leases of proxies, may wait for the writer.
const QUEUE: usize = 1024;

/// By what the writer is told.
pub(super) struct Senders {
    /// What the source reads.
    pub(super) updates: mpsc::Sender<Update>,
    /// Proxies that connect.
    pub(super) leases: mpsc::Sender<Lease>,
    /// Views of proxies whose streams have ended.
    pub(super) releases: mpsc::UnboundedSender<View>,
}

/// The channels that the writer receives from, and their other ends.
pub(super) fn inbox(
    snapshots: &Snapshots,
    questions: mpsc::Receiver<Question>,
) -> (Inbox, Senders) {
    let (updates, update_receiver) = mpsc::channel(QUEUE);
    let (leases, lease_receiver) = mpsc::channel(QUEUE);
    let (releases, released) = mpsc::unbounded_channel();
    let inbox = Inbox {
        updates: update_receiver,
        leases: lease_receiver,
        releases: released,
        rejections: Rejections::of(snapshots),
        missing: MissingNames::of(snapshots, Instant::now()),
        demands: snapshots.demands(),
        questions,
    };
    let senders = Senders {
        updates,
        leases,
        releases,
    };
    (inbox, senders)
}

/// What the writer tells.
pub(super) struct Told {
    /// Of problems.
    pub(super) problems: watch::Receiver<News>,
    /// For the inspection API.
    pub(super) board: watch::Receiver<BoardNews>,
    /// For the leader of the replicas.
    pub(super) written: Written,
}

/// The channels that the writer sends to, and their other ends.
pub(super) fn outbox(makes_services: bool) -> (Outbox, Told) {
    let (problems, changes) = watch::channel(News::default());
    let (board, board_news) = BoardSender::channel();
    let (statuses, status_news) = StatusSender::channel();
    let (services, service_news) = ServiceSender::channel();
    let written = (status_news, makes_services.then_some(service_news));
    let outbox = Outbox {
        problems,
        board,
        statuses,
        services,
        published: watch::Sender::default(),
    };
    let told = Told {
        problems: changes,
        board: board_news,
        written,
    };
    (outbox, told)
}
