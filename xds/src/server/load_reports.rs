//! `LoadReportingService`: clients report what load they put on which cluster, and the application
//! adds it up (xDS rules 204, 205).
//!
//! The stream is opened, limited and ended as one of discovery is. What its client is asks for no
//! permission beyond that: its node says what it can do, and is dropped then.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::try_unfold;
use hyper::body::Incoming;
use prost::Message as _;
use seaway_proto::TypeUrl;
use seaway_proto::envoy::load_stats::LoadStatsResponse;
use seaway_proto::envoy::load_stats::load_reporting_service_server as lrs;
use seaway_proto::google;
use tokio::task::coop::consume_budget;
use tonic::Status;
use tonic::codegen::http::HeaderMap;

use crate::guard::identity::{Caller, Peer};
use crate::guard::identity_limits::StreamPermit;
use crate::guard::liveness::Connection;
use crate::server::open_stream::{FIRST_REQUEST, decoded};
use crate::server::other_calls::Answers;
use crate::server::requests::Requests;
use crate::server::{Admit, Shared};
use crate::wire::load::{self, LoadReport};

/// The client feature by which a client says that it can report of all clusters unnamed.
const SEND_ALL: &str = "envoy.lrs.supports_send_all_clusters";

/// Takes what clients report of the load of clusters.
pub trait LoadReports: fmt::Debug + Send + Sync + 'static {
    /// How long a client is to collect for its next report.
    fn interval(&self) -> Duration;

    /// Begins a stream of reports.
    fn begin(&self) -> Box<dyn LoadStream>;
}

/// The reports of one stream, which ends when this is dropped.
pub trait LoadStream: Send {
    /// Takes a report, and returns how many bytes are kept for the stream now: they are the
    /// client's, as the names that it asks for are.
    ///
    /// # Errors
    ///
    /// What reading the report says; the stream ends with that.
    fn take(&mut self, report: LoadReport<'_>) -> Result<usize, Status>;
}

/// The full name of the service.
pub(crate) const SERVICE: &str = lrs::SERVICE_NAME;

/// Whether a path is that of the service's one method.
pub(crate) fn is_path(path: &str) -> bool {
    let method = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    method == Some((SERVICE, "StreamLoadStats"))
}

/// A call that opens a stream of reports.
pub(crate) struct LoadReportCall<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) reports: Arc<dyn LoadReports>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) headers: HeaderMap,
}

/// The state of a stream.
enum State<A> {
    Begun(Box<LoadReportCall<A>>, Incoming),
    Open(Box<Reports>),
}

/// The reports to come of an open stream.
struct Reports {
    requests: Requests,
    stream: Box<dyn LoadStream>,
    _permit: Option<StreamPermit>,
}

impl<A: Admit> LoadReportCall<A> {
    /// The answers to a call: one, which says what to report how often, and none after that.
    pub(crate) fn answers(self, requests: Incoming) -> Answers {
        let begun = State::Begun(Box::new(self), requests);
        let answers = try_unfold(begun, |state| async {
            match state {
                State::Begun(call, requests) => {
                    let opened = call.open(requests).await?;
                    Ok(opened.map(|(answer, reports)| (answer, State::Open(reports))))
                }
                State::Open(reports) => reports.read().await.map(|()| None),
            }
        });
        answers.boxed()
    }

    /// Opens the stream by its first request, which may be a report: a client that comes back tells
    /// at once what it has counted meanwhile. `None` if there is none.
    async fn open(self, requests: Incoming) -> Result<Option<(Bytes, Box<Reports>)>, Status> {
        let caller = Caller {
            peer: &self.peer,
            headers: &self.headers,
        };
        let entrant = self.shared.authenticate(&self.connection, caller).await?;
        let holder = match &entrant.permit {
            Some(permit) => permit.memory(),
            None => &self.connection.memory,
        };
        let charge = self.shared.memory.charge(holder);
        let mut requests = Requests::new(requests, charge, self.shared.limits.request);
        let first = poll_fn(|cx| requests.poll_next(cx));
        let first = tokio::time::timeout(FIRST_REQUEST, first).await;
        let silent = |_| Status::deadline_exceeded("the first request did not arrive in time");
        let Some(first) = first.map_err(silent)?? else {
            return Ok(None);
        };
        let answer = self.answer(&first)?;
        let mut reports = Reports {
            requests,
            stream: self.reports.begin(),
            _permit: entrant.permit,
        };
        reports.take(&first)?;
        Ok(Some((answer, Box::new(reports))))
    }

    /// What to report how often. A client that has to be told the names is told those that it
    /// reports of.
    fn answer(&self, first: &[u8]) -> Result<Bytes, Status> {
        let node = decoded(load::node(first)?)?;
        let send_all_clusters = node
            .client_features
            .iter()
            .any(|feature| feature == SEND_ALL);
        let mut clusters = Vec::new();
        if !send_all_clusters {
            let mut names = load::clusters(first)?;
            names.sort_unstable();
            names.dedup();
            names.retain(|name| self.shared.snapshots.has(TypeUrl::CLUSTER, name));
            clusters.extend(names.into_iter().map(str::to_owned));
        }
        let interval = self.reports.interval();
        let answer = LoadStatsResponse {
            clusters,
            send_all_clusters,
            load_reporting_interval: Some(google::protobuf::Duration {
                seconds: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
                nanos: interval.subsec_nanos().cast_signed(),
            }),
            report_endpoint_granularity: false,
        };
        Ok(answer.encode_to_vec().into())
    }
}

impl Reports {
    fn take(&mut self, message: &[u8]) -> Result<(), Status> {
        let kept = self.stream.take(LoadReport::of(message))?;
        self.requests.session_keeps(kept)
    }

    /// Takes reports until the client ends them.
    async fn read(mut self: Box<Self>) -> Result<(), Status> {
        while let Some(message) = poll_fn(|cx| self.requests.poll_next(cx)).await? {
            self.take(&message)?;
            // Whoever reports without end lets the other streams of its thread have their turn.
            consume_budget().await;
        }
        Ok(())
    }
}
