//! The server's public interface, [`Admit`], [`ServerConfig`] and [`AdsServer`], and the state that
//! its streams share.

pub(crate) mod accept;
mod call;
mod callers;
mod connection_task;
pub(crate) mod load_reports;
mod nack_log;
mod open_stream;
mod other_calls;
mod requests;
mod response_body;
mod service;
mod shedding;
mod side;
mod socket;
mod stream;
mod transport;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use seaway_proto::TypeUrl;
use seaway_proto::envoy::core::Node;
use tokio::sync::watch;
use tokio_rustls::rustls;
use tonic::Status;
use tracing::field::display;

use crate::dialect::Dialect;
use crate::guard::admission::Gate;
use crate::guard::identity::{Authenticated, Caller, Peer};
use crate::guard::identity_limits::Identities;
use crate::guard::liveness::Watchdog;
use crate::guard::log_limit::LogLimit;
use crate::guard::memory::ClientMemory;
use crate::inspect::{Denials, Inspector, OpenStreams};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::server::load_reports::LoadReports;
use crate::server::nack_log::NackLog;
pub use crate::server::other_calls::{Answers, OtherCaller, OtherCalls};
use crate::server::side::client_status::Looks;
use crate::server::side::health::Readiness;
use crate::store::PlacementId;
use crate::store::missing::demand::OnDemand;
use crate::store::publish::Snapshots;
use crate::store::quarantine::DEFAULT_QUORUM;

/// Authentication and admission of proxies, implemented by the application: it decides who is let
/// in, and what a proxy may see.
pub trait Admit: Send + Sync + 'static {
    /// What the application knows of an authenticated caller, for [`Admit::admit`].
    type Permissions: Send + Sync;

    /// Authenticates the caller of a stream, before the stream's first message is read (xDS rule
    /// 216). An error ends the stream with that status: UNAUTHENTICATED for a caller that cannot
    /// prove its identity.
    fn authenticate(
        &self,
        caller: Caller<'_>,
    ) -> impl Future<Output = Result<Authenticated<Self::Permissions>, Status>> + Send;

    /// Admits a proxy by the node of its stream's first message, which is in this dialect, before
    /// any state is kept for the stream. An error ends the stream with that status:
    /// PERMISSION_DENIED for a node that this caller may not be, UNAVAILABLE as long as there is
    /// nothing complete to serve (xDS rule 139).
    fn admit(
        &self,
        caller: &Self::Permissions,
        node: &Node,
        dialect: Dialect,
    ) -> impl Future<Output = Result<Admission, Status>> + Send;
}

/// The result of [`Admit::admit`]: what an admitted proxy may see.
pub struct Admission {
    /// The placement through whose layers the proxy sees resources.
    pub placement: PlacementId,
    /// Types that the proxy may not ask for: a stream that does so ends with PERMISSION_DENIED.
    pub forbidden: &'static [TypeUrl],
    /// The resources that are made for this proxy when it asks for them; the application follows
    /// [`Snapshots::demands`](crate::Snapshots::demands).
    pub on_demand: Option<OnDemand>,
    /// What is shown of the proxy, beside what it says itself: names of facts, and their values
    /// (`("zone", "a")`).
    pub about: Vec<(&'static str, Arc<str>)>,
    /// A value that is dropped when the stream ends, however it ends.
    pub lease: Box<dyn Send + Sync>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Admission");
        debug
            .field("placement", &self.placement)
            .field("forbidden", &self.forbidden)
            .field("on_demand", &self.on_demand)
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// The settings of an [`AdsServer`].
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The name of this replica, sent as `control_plane.identifier` in every response (xDS rule
    /// 18).
    pub identifier: String,
    /// The age, give or take a tenth, at which a connection is closed with GOAWAY; its proxy then
    /// comes back wherever there is room (xDS rules 152, 153, 155). `None`: connections do not age.
    /// A proxy that comes back is sent nothing it has.
    pub max_connection_age: Option<Duration>,
    /// The longest time over which the GOAWAYs of a shutdown are spread; less if there are few
    /// connections (xDS rule 146).
    pub closing_window: Duration,
    /// The number of distinct, verified principals whose proxies must have rejected a content
    /// before it is held back from proxies that were not sent it yet (xDS rule 82); 0: it never is.
    /// Also, more proxies and more principals must have rejected than accepted it.
    pub rejections_to_hold_back: usize,
    /// The TLS configuration, which also verifies client certificates if it has a verifier for
    /// them; `None`: plaintext. A new connection takes the newest one, and open connections keep
    /// theirs (xDS rule 217).
    ///
    /// A configuration that verifies certificates should resume no sessions: a resumed one would
    /// rest on what was verified before.
    pub tls: Option<watch::Receiver<Arc<rustls::ServerConfig>>>,
    /// Whether the application is ready to serve, for `grpc.health.v1.Health` (xDS rule 206);
    /// `None`: it always is. While the server shuts down, it is not.
    pub ready: Option<watch::Receiver<bool>>,
    /// Whether callers that are authenticated may ask which services there are (xDS rule 206).
    pub reflection: bool,
    /// Limits on what clients may do and use.
    pub limits: Limits,
    /// Answers the calls of services that are none of xDS; `None`: there are none.
    pub other_calls: Option<Arc<dyn OtherCalls>>,
    /// Takes what clients report of the load of clusters (xDS rule 204); `None`: they are told that
    /// there is no such service.
    pub load_reports: Option<Arc<dyn LoadReports>>,
    /// When this becomes true, all connections that are open are closed with GOAWAY, spread over
    /// half a minute, and the server goes on. `None`: that never happens.
    pub shed: Option<watch::Receiver<bool>>,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            identifier: String::new(),
            max_connection_age: None,
            closing_window: Duration::from_secs(3),
            rejections_to_hold_back: DEFAULT_QUORUM,
            tls: None,
            ready: None,
            reflection: true,
            limits: Limits::default(),
            other_calls: None,
            load_reports: None,
            shed: None,
        }
    }
}

/// The gRPC discovery services: `AggregatedDiscoveryService`, and those of single types (CDS, EDS,
/// LDS, RDS, SDS), each with its state-of-the-world and its incremental method (xDS rules 1, 2).
/// The unary and REST variants are not implemented.
///
/// Beside them are `grpc.health.v1.Health`, which answers everybody who may connect,
/// `envoy.service.status.v3.ClientStatusDiscoveryService`, reflection, and with
/// [`ServerConfig::load_reports`] `envoy.service.load_stats.v3.LoadReportingService`.
pub struct AdsServer<A> {
    pub(crate) shared: Arc<Shared<A>>,
}

/// The state that all connections and streams of a server share.
pub(crate) struct Shared<A> {
    pub(crate) snapshots: Snapshots,
    pub(crate) admit: A,
    pub(crate) identifier: Arc<str>,
    pub(crate) metrics: Metrics,
    pub(crate) nacks: NackLog,
    pub(crate) large: LogLimit,
    denials: Arc<Denials>,
    denial_lines: LogLimit,
    pub(crate) max_connection_age: Option<Duration>,
    pub(crate) closing_window: Duration,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<watch::Receiver<Arc<rustls::ServerConfig>>>,
    pub(crate) identities: Arc<Identities>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) memory: Arc<ClientMemory>,
    pub(crate) watchdog: Watchdog,
    pub(crate) open: Arc<OpenStreams>,
    pub(crate) other_calls: Option<Arc<dyn OtherCalls>>,
    pub(crate) load_reports: Option<Arc<dyn LoadReports>>,
    pub(crate) shed: Option<watch::Receiver<bool>>,
    pub(crate) readiness: Readiness,
    pub(crate) looks: Looks,
    pub(crate) reflection: bool,
    streams: AtomicU64,
}

impl<A> Shared<A> {
    /// Counts, keeps and logs that a stream of this peer is denied for its identity, or for the
    /// lack of one. `identity` is the verified one, if there is one.
    pub(crate) fn denied(&self, peer: &Peer, identity: Option<&str>, status: &Status) {
        self.metrics.denied(status);
        let address = peer.address.map(|address| address.ip().to_canonical());
        let now = Instant::now();
        self.denials.add(address, identity, status.message(), now);
        if let Some(times) = self.denial_lines.count_event() {
            let (error, code) = (status.message(), status.code());
            let peer = peer.address.map(display);
            tracing::warn!(peer, identity, error, ?code, times, "stream denied");
        }
    }

    /// A reader of what the server's streams, its store and its newest commits are like.
    pub(crate) fn inspector(&self) -> Inspector {
        let (snapshots, open) = (self.snapshots.clone(), self.open.clone());
        Inspector::new(snapshots, open, self.denials.clone())
    }

    /// A number that no other stream of this process has.
    pub(crate) fn next_stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }
}

impl<A> Clone for AdsServer<A> {
    fn clone(&self) -> AdsServer<A> {
        AdsServer {
            shared: self.shared.clone(),
        }
    }
}

impl<A> std::fmt::Debug for AdsServer<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdsServer").finish_non_exhaustive()
    }
}

impl<A: Admit> AdsServer<A> {
    /// A server of what a [`Publisher`](crate::Publisher) publishes.
    pub fn new(snapshots: Snapshots, admit: A, config: ServerConfig, metrics: Metrics) -> Self {
        let quorum = config.rejections_to_hold_back;
        snapshots.quarantine().configure(quorum, &metrics);
        snapshots.all_missing().configure(&metrics);
        metrics.begin_with_types(
            snapshots
                .types()
                .specs()
                .iter()
                .map(|spec| spec.url.as_str()),
        );
        let types = snapshots.types();
        snapshots.changes().configure(types, &metrics);
        let open = Arc::new(OpenStreams::new(types.clone()));
        metrics.unacknowledged(open.clone());
        let memory = ClientMemory::new(&config.limits, metrics.clone());
        AdsServer {
            shared: Arc::new(Shared {
                snapshots,
                admit,
                identifier: config.identifier.into(),
                metrics,
                nacks: NackLog::default(),
                large: LogLimit::default(),
                denials: Arc::default(),
                denial_lines: LogLimit::default(),
                max_connection_age: config.max_connection_age,
                closing_window: config.closing_window,
                tls: config.tls,
                identities: Arc::new(Identities::new(&config.limits)),
                gate: Arc::new(Gate::new(&config.limits)),
                memory: Arc::new(memory),
                watchdog: Watchdog::new(&config.limits),
                limits: config.limits,
                open,
                other_calls: config.other_calls,
                load_reports: config.load_reports,
                shed: config.shed,
                readiness: Readiness::new(config.ready),
                looks: Looks::default(),
                reflection: config.reflection,
                streams: AtomicU64::new(random()),
            }),
        }
    }

    /// A reader of what this server's streams, its store and its newest commits are like.
    pub fn inspector(&self) -> Inspector {
        self.shared.inspector()
    }
}

/// A number unlike those of other processes, so that no nonce is like one of an earlier process
/// (xDS rule 64).
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
