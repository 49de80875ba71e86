//! The task that makes this replica's digest, looks at it beside those of its peers, and does what
//! follows: lists anew, leaves its proxies to others or takes them back, and says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use seaway_xds::{OtherCalls, Snapshots, Types};
use tokio::sync::watch;

use super::digest::{Content, Digest, State};
use super::find::{PeerConfig, find};
use super::serve::PeerService;
use super::state::{Disagreement, Peers, Standing, Timing};
use crate::admin::health::Health;
use crate::admin::watch_status::Watches;
use crate::admission::identity::{Verifier, Who};
use crate::process::clock::now;
use crate::process::supervise::Supervisor;
use crate::writer::Published;

/// How often a digest is told at least.
const TICK: Duration = Duration::from_secs(1);
/// How often a digest is told at most, however many commits there are.
const PAUSE: Duration = Duration::from_millis(200);

/// What the exchange with peers is given when it starts.
pub(crate) struct PeersContext {
    pub(crate) config: PeerConfig,
    /// Authenticates peers; `None` if no proof is asked for.
    pub(crate) verifier: Option<Arc<Verifier>>,
    /// Who is a peer.
    pub(crate) allowed: Vec<Who>,
    /// The name of this replica.
    pub(crate) name: String,
    /// A hash of the flags that decide what is served.
    pub(crate) flags: u64,
    pub(crate) health: Health,
    pub(crate) watches: Watches,
    pub(crate) snapshots: Snapshots,
    pub(crate) published: watch::Receiver<Published>,
}

/// What the xDS server is told of the exchange with peers.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Answers peers on the xDS port.
    pub(crate) calls: Arc<dyn OtherCalls>,
    /// Whether proxies are to be shed.
    pub(crate) shed: watch::Receiver<bool>,
}

/// What the connections to peers share.
#[derive(Debug)]
pub(super) struct Shared {
    instance: Arc<str>,
    peers: Mutex<Peers>,
}

impl Shared {
    /// Whether a digest is this replica's own.
    pub(super) fn is_own(&self, digest: &Digest) -> bool {
        digest.instance == self.instance
    }

    /// Takes in what a peer tells.
    pub(super) fn heard(&self, digest: Digest) {
        self.lock().heard(digest, now());
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The label of `peers`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// The label of `peer_disagreement`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: String,
}

/// The metrics of the exchange with peers.
#[derive(Debug, Default)]
struct Metrics {
    peers: Family<StateLabel, Gauge>,
    disagreement: Family<TypeLabel, Gauge>,
    out: Gauge,
}

/// The task of the exchange.
struct Task {
    shared: Arc<Shared>,
    context: PeersContext,
    build: Arc<str>,
    digests: watch::Sender<Bytes>,
    shed: watch::Sender<bool>,
    metrics: Metrics,
    /// What was said last: the state, and who disagrees.
    said: (State, Vec<Disagreement>),
}

impl Exchange {
    /// Starts to look for peers and to tell them what this replica serves.
    pub(crate) fn start(
        context: PeersContext,
        registry: &mut Registry,
        supervisor: &Supervisor,
    ) -> Exchange {
        let instance = format!("{:032x}", fastrand::u128(..)).into();
        let shared = Arc::new(Shared {
            instance,
            peers: Mutex::new(Peers::new(Timing::default())),
        });
        let (digests, told) = watch::channel(Bytes::new());
        let (shed, shedding) = watch::channel(false);
        let service = PeerService {
            verifier: context.verifier.clone(),
            allowed: context.allowed.clone().into(),
            digests: told,
        };
        let config = context.config.clone();
        supervisor.spawn("the search for peers", find(config, shared.clone()));
        let task = Task {
            shared,
            context,
            build: env!("CARGO_PKG_VERSION").into(),
            digests,
            shed,
            metrics: Metrics::register(registry),
            said: (State::Syncing, Vec::new()),
        };
        supervisor.spawn("the exchange with peers", task.run());
        Exchange {
            calls: Arc::new(service),
            shed: shedding,
        }
    }
}

impl Task {
    async fn run(mut self) {
        let mut published = self.context.published.clone();
        loop {
            self.step();
            tokio::time::sleep(PAUSE).await;
            tokio::select! {
                // Where nothing is published any more, the tick is left.
                Ok(()) = published.changed() => {}
                () = tokio::time::sleep(TICK - PAUSE) => {}
            }
        }
    }

    fn step(&mut self) {
        let own = self.own();
        let standing = self.shared.lock().look(&own, now());
        let own = Digest {
            state: standing.state,
            ..own
        };
        self.digests.send_replace(own.write().into());
        for watch in &standing.list {
            self.context.watches.list_anew(watch);
        }
        let out = standing.state == State::Out;
        let behind = !standing.behind.is_empty();
        self.context
            .health
            .set_among_peers(out, behind, lines(&standing));
        self.shed
            .send_if_modified(|shed| std::mem::replace(shed, out) != out);
        self.metrics.show(&standing);
        self.say(standing);
    }

    /// This replica's digest, as it would be without peers.
    fn own(&self) -> Digest {
        let layers = self.context.published.borrow().shared_layers.clone();
        let snapshots = &self.context.snapshots;
        let digests = snapshots.digests(|id| layers.contains_key(&id));
        let contents = digests.into_iter().filter_map(|one| {
            let key = (
                layers.get(&one.layer)?.clone(),
                one.type_url.as_str().into(),
            );
            let (count, hash) = (one.count, one.hash);
            Some((key, Content { count, hash }))
        });
        let watches = self.context.watches.reached().into_iter();
        let watches = watches.map(|(name, reached)| (name.into(), reached));
        Digest {
            instance: self.shared.instance.clone(),
            name: self.context.name.as_str().into(),
            build: self.build.clone(),
            flags: self.context.flags,
            state: self.state(),
            watches: watches.collect(),
            contents: contents.collect(),
        }
    }

    fn state(&self) -> State {
        let PeersContext {
            health, watches, ..
        } = &self.context;
        if health.is_draining() {
            State::Draining
        } else if !health.is_synced() || health.stale().is_some() {
            State::Syncing
        } else if watches.is_stale() {
            State::Stale
        } else if watches.is_doubtful() {
            State::Doubtful
        } else {
            State::Fresh
        }
    }

    /// Logs what has become different.
    fn say(&mut self, standing: Standing) {
        let (state, disagreements) = &self.said;
        match turn(standing.state, *state) {
            Some(Turn::Leaves) => tracing::error!(
                "this replica is STALE and a fresh one answers: it leaves service, and its proxies are sent GOAWAY over half a minute"
            ),
            Some(Turn::Stale) => {
                let behind = lines(&standing).join("; ");
                tracing::error!(
                    behind,
                    "this replica is STALE; it serves until a fresh one answers"
                );
            }
            Some(Turn::Fresh) => tracing::info!("this replica is fresh again, and serves"),
            Some(Turn::Back) => tracing::warn!("this replica is back in service"),
            None => {}
        }
        for one in &standing.disagreements {
            if !disagreements.contains(one) {
                tracing::error!(
                    peer = &*one.peer,
                    layer = &*one.layer,
                    r#type = &*one.of,
                    "a peer makes something else of the same objects; please report it"
                );
            }
        }
        self.said = (standing.state, standing.disagreements);
    }
}

/// A turn that is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The replica leaves its proxies to others.
    Leaves,
    /// It is stale, and serves.
    Stale,
    /// It is no longer stale.
    Fresh,
    /// It serves again, and it is not known whether it is stale.
    Back,
}

/// The turn that a change of this replica's state is. Who leaves service for good, or has yet to
/// begin, is not back in it.
fn turn(now: State, before: State) -> Option<Turn> {
    match (now, before) {
        (now, before) if now == before => None,
        (State::Out, _) => Some(Turn::Leaves),
        (State::Stale, _) => Some(Turn::Stale),
        (State::Fresh, State::Out | State::Stale) => Some(Turn::Fresh),
        (State::Doubtful, State::Out) => Some(Turn::Back),
        _ => None,
    }
}

/// What `/readyz` says of this replica and its peers.
fn lines(standing: &Standing) -> Vec<String> {
    let behind = standing.behind.iter().map(|one| {
        let (watch, versions, peer) = (&one.watch, one.versions, &one.peer);
        format!("STALE: the watch of {watch} is {versions} versions behind {peer}")
    });
    let disagreements = standing.disagreements.iter().map(|one| {
        let (peer, of, layer) = (&one.peer, &one.of, &one.layer);
        format!("{peer} has other resources of type {of} in layer {layer}")
    });
    behind.chain(disagreements).collect()
}

/// The states of peers, as label values.
const STATES: [(Option<State>, &str); 7] = [
    (Some(State::Syncing), "syncing"),
    (Some(State::Fresh), "fresh"),
    (Some(State::Stale), "stale"),
    (Some(State::Out), "out"),
    (Some(State::Draining), "draining"),
    (Some(State::Doubtful), "doubtful"),
    (None, "silent"),
];

impl Metrics {
    /// Registers `peers{state}`, `peer_disagreement{type}` and `out_of_service`.
    fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let help = "The other replicas, by what they say of themselves";
        registry.register("peers", help, metrics.peers.clone());
        let help = "Layers of which a peer has other resources, by type";
        registry.register("peer_disagreement", help, metrics.disagreement.clone());
        let help = "1 while this replica is stale and has left its proxies to others";
        registry.register("out_of_service", help, metrics.out.clone());
        for spec in Types::envoy().specs() {
            metrics.disagreement(spec.url.as_str());
        }
        metrics
    }

    fn disagreement(&self, of: &str) -> Gauge {
        let label = TypeLabel {
            r#type: of.to_owned(),
        };
        self.disagreement.get_or_create(&label).clone()
    }

    fn show(&self, standing: &Standing) {
        for (state, label) in STATES {
            let count = standing.peers.iter().filter(|peer| **peer == state).count();
            let gauge = self.peers.get_or_create(&StateLabel { state: label });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for one in &standing.disagreements {
            *counts.entry(&one.of).or_default() += 1;
        }
        for spec in Types::envoy().specs() {
            let of = spec.url.as_str();
            let count = counts.get(of).copied().unwrap_or_default();
            self.disagreement(of).set(count);
        }
        self.out.set(i64::from(standing.state == State::Out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_serves_again_is_said_to_be_back_in_service() {
        for (now, expected) in [
            (State::Fresh, Some(Turn::Fresh)),
            (State::Stale, Some(Turn::Stale)),
            (State::Doubtful, Some(Turn::Back)),
            (State::Draining, None),
            (State::Syncing, None),
        ] {
            assert_eq!(turn(now, State::Out), expected, "{now:?}");
        }
        assert_eq!(turn(State::Out, State::Stale), Some(Turn::Leaves));
        assert_eq!(turn(State::Stale, State::Stale), None);
        assert_eq!(turn(State::Fresh, State::Doubtful), None);
    }
}
