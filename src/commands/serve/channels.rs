//! The channels between the writer and whoever acts on what it tells.

use tokio::sync::watch;

use super::input::Written;
use crate::writer::{BoardNews, BoardSender, News, Outbox, ServiceSender, StatusSender};

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
