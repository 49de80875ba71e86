//! Seaway from end to end: an EndpointSlice comes in as an object and is read, joined, translated,
//! committed and sent. Half of the Services look different from node to node or from zone to zone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use seaway_bench_servers::control::{self, Options};
use seaway_bench_servers::objects;
use seaway_proto::TypeUrl;
use seaway_proto::envoy::core;
use seaway_translator::{Change, Layer, Object, Problem, Role, Translator, View, read};
use seaway_xds::{
    Admission, Admit, AdsServer, Authenticated, Caller, Dialect, Commit, CommitWindow, LayerId, Metrics, PlacementId, Publisher, Replace,
    ServerConfig, Types,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// What `seaway serve --coalesce` is by default.
const COALESCE: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() -> Result<()> {
    let mut options = Options::from_args()?;
    options.nodes = options.nodes.max(1);
    let listener = control::listen()?;
    let port = listener.local_addr()?.port();
    let (publisher, snapshots) = seaway_xds::channel(Types::envoy());
    let mut pipeline = Pipeline::new(publisher, options);
    let clusters = pipeline.publish_all()?;
    let config = ServerConfig {
        identifier: "bench".to_owned(),
        ..ServerConfig::default()
    };
    let door = Door(options.nodes);
    let ads = AdsServer::new(snapshots, door, config, Metrics::default());
    tokio::spawn(seaway_xds::serve(listener, ads, CancellationToken::new()));
    control::obey(port, clusters, options.size, pipeline).await
}

/// The writer, as in `seaway serve`.
struct Pipeline {
    translator: Translator,
    publisher: Publisher,
    layers: BTreeMap<Layer, LayerId>,
    options: Options,
    window: CommitWindow,
}

impl Pipeline {
    fn new(publisher: Publisher, options: Options) -> Pipeline {
        Pipeline {
            translator: Translator::new(seaway_translator::Options::default()),
            publisher,
            layers: BTreeMap::new(),
            options,
            window: CommitWindow::new(COALESCE),
        }
    }

    /// Publishes the whole world for every place; returns how many clusters a proxy sees.
    fn publish_all(&mut self) -> Result<u32> {
        let Options { nodes, size, .. } = self.options;
        for node in 0..nodes {
            self.apply(read::node(&objects::decoded(&objects::node(node))?));
        }
        for service in 0..size.services {
            self.apply(read::service(&objects::decoded(&objects::service(service))?));
            let slice = objects::slice(service, size, nodes, 0);
            self.apply(read::endpoint_slice(&objects::decoded(&slice)?));
        }
        let mut placements = Vec::new();
        for node in 0..nodes {
            let view = view(node);
            self.translator.activate(&view);
            let layers = self.translator.place(&view);
            let layers = layers.into_iter().map(|layer| self.layer(layer)).collect();
            placements.push((PlacementId(node.into()), Some(layers)));
        }
        let first: Option<Vec<LayerId>> = placements.first().and_then(|(_, layers)| layers.clone());
        let replace = self.translate();
        let seen: BTreeSet<LayerId> = first.into_iter().flatten().collect();
        let resources = replace.iter().flat_map(|replace| &replace.resources);
        let clusters: BTreeSet<_> = resources
            .filter(|(layer, resource)| {
                seen.contains(layer) && resource.type_url == TypeUrl::CLUSTER
            })
            .map(|(_, resource)| resource.name.clone())
            .collect();
        self.publisher.commit(Commit {
            replace,
            placements,
            since: None,
        });
        Ok(u32::try_from(clusters.len())?)
    }

    fn apply(&mut self, object: Result<Object, Problem>) {
        match object {
            Ok(object) => self.translator.apply(Change::Apply(object)),
            Err(problem) => eprintln!("pipeline: {problem:?}"),
        }
    }

    fn translate(&mut self) -> Vec<Replace> {
        let made = self.translator.flush();
        let layered = made.into_iter().map(|made| Replace {
            hidden: Vec::new(),
            origin: made.origin.to_string().into(),
            resources: made
                .resources
                .into_iter()
                .map(|(layer, resource)| (self.layer(layer), resource))
                .collect(),
        });
        layered.collect()
    }

    fn layer(&mut self, layer: Layer) -> LayerId {
        let next = LayerId(u32::try_from(self.layers.len()).unwrap_or(u32::MAX));
        *self.layers.entry(layer).or_insert(next)
    }
}

impl control::Target for Pipeline {
    fn change(&mut self, service: u32, stamp: u64) {
        let Options { nodes, size, .. } = self.options;
        let slice = objects::slice(service, size, nodes, stamp);
        match objects::decoded(&slice) {
            Ok(slice) => self.apply(read::endpoint_slice(&slice)),
            Err(error) => eprintln!("pipeline: {error:?}"),
        }
        self.window.due(Instant::now().into_std());
    }

    fn due(&self) -> Option<Instant> {
        self.window.pending().map(Into::into)
    }

    fn flush(&mut self) {
        let replace = self.translate();
        self.publisher.commit(Commit {
            replace,
            placements: Vec::new(),
            since: None,
        });
        self.window.committed(Instant::now().into_std());
    }
}

fn view(node: u32) -> View {
    View {
        node: Some(objects::node_name(node).into()),
        zone: Some(objects::zone(node).into()),
        ..View::of(Role::Node)
    }
}

/// Places proxy number i on node i modulo the nodes.
struct Door(u32);

impl Admit for Door {
    type Permissions = ();

    async fn authenticate(&self, _: Caller<'_>) -> Result<Authenticated<()>, Status> {
        Ok(Authenticated::anybody())
    }

    async fn admit(&self, (): &(), node: &core::Node, _: Dialect) -> Result<Admission, Status> {
        let digits = node.id.trim_start_matches(|c: char| !c.is_ascii_digit());
        let number: u32 = digits.parse().unwrap_or_default();
        Ok(Admission {
            placement: PlacementId((number % self.0).into()),
            forbidden: &[],
            on_demand: None,
            about: Vec::new(),
            lease: Box::new(()),
        })
    }
}
