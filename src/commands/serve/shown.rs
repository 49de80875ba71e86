//! What the inspection API shows, put together.

use std::time::Instant;

use axum::Router;
use prometheus_client::registry::Registry;
use seaway_xds::{AdsServer, Metrics, Snapshots};
use tokio::sync::{mpsc, watch};

use super::instance;
use crate::admin::health::Health;
use crate::admin::watch_status::Watches;
use crate::admission::proxy_admission::ProxyAdmission;
use crate::inspect::board::Board;
use crate::inspect::{self, Inspect, Pace, Readers};
use crate::process::supervise::Supervisor;
use crate::traces::{self, TraceConfig, TraceContext};
use crate::writer::{Asker, BoardNews, Question};

/// What follows the writer, before there is a server to look at.
pub(super) struct Shown {
    board: Board,
    asker: Asker,
    started: Instant,
    supervisor: Supervisor,
}

impl Shown {
    /// Starts to follow what the writer tells; returns what it is to answer.
    pub(super) fn start(
        news: watch::Receiver<BoardNews>,
        registry: &mut Registry,
        supervisor: &Supervisor,
    ) -> (Shown, mpsc::Receiver<Question>) {
        let board = Board::register(registry);
        supervisor.spawn("the inspection tables", board.clone().run(news));
        let (asker, questions) = Asker::channel();
        let started = Instant::now();
        let shown = Shown {
            board,
            asker,
            started,
            supervisor: supervisor.clone(),
        };
        (shown, questions)
    }

    /// Starts to send a trace of each commit of this server, if there is a collector.
    pub(super) fn trace(
        &self,
        config: Option<TraceConfig>,
        (ads, metrics): (&AdsServer<ProxyAdmission>, &Metrics),
        registry: &mut Registry,
    ) {
        let Some(config) = config else {
            return;
        };
        let context = TraceContext {
            config,
            board: self.board.clone(),
            inspector: ads.inspector(),
            replica: instance(),
        };
        traces::start(context, metrics, registry, &self.supervisor);
    }

    /// The paths of the API, of this server, and who may ask for them over TLS.
    pub(super) fn paths(
        self,
        ads: &AdsServer<ProxyAdmission>,
        snapshots: &Snapshots,
        (health, watches): (&Health, &Watches),
        (cluster_domain, readers): (&str, Option<Readers>),
    ) -> Router {
        let inspect = Inspect {
            board: self.board,
            inspector: ads.inspector(),
            snapshots: snapshots.clone(),
            health: health.clone(),
            watches: watches.clone(),
            asker: self.asker,
            pace: Pace::default(),
            replica: instance().into(),
            started: self.started,
            number: fastrand::u64(..),
        };
        inspect::router(inspect, cluster_domain, readers)
    }
}
