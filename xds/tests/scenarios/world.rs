//! A server on a real port, and what it publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use seaway_proto::{Resource, ResourceRef, TypeUrl};
use seaway_xds::{
    AdsServer, Commit, Inspector, LayerId, Limits, Metrics, PlacementId, Publisher, Replace,
    ServerConfig, Snapshots, Types, channel, serve,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint};

use crate::admit::{Door, Known};
use crate::client::Client;

pub(crate) const C: TypeUrl = TypeUrl::CLUSTER;
pub(crate) const E: TypeUrl = TypeUrl::ENDPOINT;
pub(crate) const L: TypeUrl = TypeUrl::LISTENER;
pub(crate) const R: TypeUrl = TypeUrl::ROUTE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    SotwSeparate,
    SotwAds,
    DeltaSeparate,
    DeltaAds,
}

impl Variant {
    pub(crate) fn is_delta(self) -> bool {
        matches!(self, Variant::DeltaSeparate | Variant::DeltaAds)
    }

    pub(crate) fn is_ads(self) -> bool {
        matches!(self, Variant::SotwAds | Variant::DeltaAds)
    }
}

pub(crate) const SOTW: [Variant; 2] = [Variant::SotwSeparate, Variant::SotwAds];
pub(crate) const DELTA: [Variant; 2] = [Variant::DeltaSeparate, Variant::DeltaAds];
pub(crate) const ALL: [Variant; 4] = [
    Variant::SotwSeparate,
    Variant::SotwAds,
    Variant::DeltaSeparate,
    Variant::DeltaAds,
];

/// Runs a scenario in each of these cases, every time in a world of its own; a failure tells in
/// which.
pub(crate) async fn each<T, F>(
    variants: &[Variant],
    of: &[T],
    scenario: impl Fn(World, Client, T) -> F,
) where
    T: Copy + Debug,
    F: Future<Output = ()> + Send + 'static,
{
    for variant in variants {
        for of in of {
            let world = World::start().await;
            let client = world.client(*variant).await;
            let run = tokio::spawn(scenario(world, client, *of)).await;
            assert!(run.is_ok(), "in the case {variant:?} of {of:?}");
        }
    }
}

pub(crate) struct World {
    address: SocketAddr,
    registry: Registry,
    pub(crate) snapshots: Snapshots,
    pub(crate) inspector: Inspector,
    publisher: Publisher,
    values: BTreeMap<(TypeUrl, String), String>,
    dirty: BTreeSet<(TypeUrl, String)>,
    /// Who comes waits while it is `false`.
    pub(crate) door: watch::Sender<bool>,
    pub(crate) known: Arc<Mutex<Known>>,
    pub(crate) server: JoinHandle<()>,
    pub(crate) shutdown: CancellationToken,
    _shutdown: DropGuard,
}

impl World {
    pub(crate) async fn start() -> World {
        World::with(ServerConfig::default()).await
    }

    pub(crate) async fn limited(limits: Limits) -> World {
        World::with(ServerConfig {
            limits,
            ..ServerConfig::default()
        })
        .await
    }

    pub(crate) async fn with(config: ServerConfig) -> World {
        World::serving(Types::envoy(), config).await
    }

    pub(crate) async fn serving(types: Types, config: ServerConfig) -> World {
        let (mut publisher, snapshots) = channel(types);
        publisher.commit(Commit {
            placements: vec![(PlacementId(0), Some(vec![LayerId(0)]))],
            ..Commit::default()
        });
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (door, open) = watch::channel(true);
        let known = Arc::default();
        let admit = Door {
            open,
            known: Arc::clone(&known),
        };
        let ads = AdsServer::new(snapshots.clone(), admit, config, metrics);
        let inspector = ads.inspector();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let guard = shutdown.clone().drop_guard();
        let token = shutdown.clone();
        let server = tokio::spawn(async move { serve(listener, ads, token).await.unwrap() });
        World {
            address,
            registry,
            snapshots,
            inspector,
            publisher,
            values: BTreeMap::new(),
            dirty: BTreeSet::new(),
            door,
            known,
            server,
            shutdown,
            _shutdown: guard,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a metric has this value.
    pub(crate) async fn until(&self, name: &str, value: f64) {
        let reached = async {
            while self.metric(name) != value {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(10), reached).await;
        reached.unwrap_or_else(|_| panic!("{name} is {}, not {value}", self.metric(name)));
    }

    pub(crate) async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    pub(crate) async fn client(&self, variant: Variant) -> Client {
        Client::new(self.connect().await, variant)
    }

    /// The value of a metric, with labels as they are printed; 0 if there is none.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics();
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let values = lines.filter(|rest| rest.starts_with(['{', ' ']));
        let values = values.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// All metrics, as they are collected.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Sets a value for the next commit.
    pub(crate) fn set(&mut self, url: TypeUrl, name: &str, value: &str) -> &mut World {
        let key = (url, name.to_owned());
        self.values.insert(key.clone(), value.to_owned());
        self.dirty.insert(key);
        self
    }

    pub(crate) fn unset(&mut self, url: TypeUrl, name: &str) -> &mut World {
        let key = (url, name.to_owned());
        self.values.remove(&key);
        self.dirty.insert(key);
        self
    }

    pub(crate) fn commit(&mut self) {
        let replace = std::mem::take(&mut self.dirty).into_iter().map(|key| {
            let value = self.values.get(&key);
            let resource = value.map(|value| (LayerId(0), resource(key.0, &key.1, value)));
            Replace {
                origin: format!("{}/{}", key.0.short(), key.1).into(),
                resources: resource.into_iter().collect(),
                ..Replace::default()
            }
        });
        self.publisher.commit(Commit {
            replace: replace.collect(),
            ..Commit::default()
        });
    }

    pub(crate) fn put(&mut self, url: TypeUrl, name: &str, value: &str) {
        self.set(url, name, value).commit();
    }

    /// Publishes these names with the value `1`, in one commit.
    pub(crate) fn put_all(&mut self, url: TypeUrl, names: &[&str]) {
        for name in names {
            self.set(url, name, "1");
        }
        self.commit();
    }

    pub(crate) fn remove(&mut self, url: TypeUrl, name: &str) {
        self.unset(url, name).commit();
    }
}

/// The bytes are the name and the value, so that a client can tell both; a cluster refers to the
/// assignment of its name.
fn resource(url: TypeUrl, name: &str, value: &str) -> Resource {
    let refs = (url == C).then(|| ResourceRef {
        type_url: E,
        name: name.into(),
    });
    let bytes = format!("{name}={value}");
    Resource::from_bytes(url, name, bytes.into(), refs.into_iter().collect())
}
