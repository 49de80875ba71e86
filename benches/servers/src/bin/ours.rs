//! Seaway's server with resources prepared beforehand: all in one layer, or with `--nodes N` over
//! zone and node layers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use seaway_bench_servers::control::{self, Options};
use seaway_bench_servers::world;
use seaway_proto::envoy::core::Node;
use seaway_proto::{Resource, ResourceRef, TypeUrl};
use seaway_xds::{
    Admission, Admit, AdsServer, Authenticated, Caller, Dialect, Commit, CommitWindow, LayerId, Metrics, PlacementId, Publisher, Replace,
    ServerConfig, Types,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

const ALL: LayerId = LayerId(0);
const ZONES: u32 = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::from_args()?;
    let listener = control::listen()?;
    let port = listener.local_addr()?.port();
    let (publisher, snapshots) = seaway_xds::channel(Types::envoy());
    let mut ours = Ours::new(publisher, options);
    ours.publish_all();
    let config = ServerConfig {
        identifier: "bench".to_owned(),
        ..ServerConfig::default()
    };
    let door = Door(options.nodes);
    let ads = AdsServer::new(snapshots, door, config, Metrics::default());
    tokio::spawn(seaway_xds::serve(listener, ads, CancellationToken::new()));
    control::obey(port, options.size.services, options.size, ours).await
}

/// The writer: what `seaway serve` does between its source and the publisher.
struct Ours {
    publisher: Publisher,
    options: Options,
    window: CommitWindow,
    pending: Vec<Replace>,
}

impl Ours {
    fn new(publisher: Publisher, options: Options) -> Ours {
        Ours {
            publisher,
            options,
            window: CommitWindow::new(Duration::from_millis(options.coalesce.into())),
            pending: Vec::new(),
        }
    }

    fn publish_all(&mut self) {
        let replace = (0..self.options.size.services)
            .map(|service| self.replace(service, 0))
            .collect();
        let placements = match self.options.nodes {
            0 => vec![(PlacementId(0), Some(vec![ALL]))],
            nodes => (0..nodes)
                .map(|node| {
                    let layers = vec![node_layer(node), zone_layer(node), ALL];
                    (PlacementId(node.into()), Some(layers))
                })
                .collect(),
        };
        self.publisher.commit(Commit {
            replace,
            placements,
            since: None,
        });
    }

    /// Everything of a service. With nodes, every second assignment differs by zone, and every
    /// fourth on some nodes too.
    fn replace(&self, service: u32, stamp: u64) -> Replace {
        let name: Arc<str> = world::name(service).into();
        let refs = vec![ResourceRef {
            type_url: TypeUrl::ENDPOINT,
            name: name.clone(),
        }];
        let cluster = Resource::from_bytes(
            TypeUrl::CLUSTER,
            name.clone(),
            world::cluster(service),
            refs,
        );
        let assignment = |place| {
            let value = world::assignment(service, self.options.size, place, stamp);
            Resource::from_bytes(TypeUrl::ENDPOINT, name.clone(), value, Vec::new())
        };
        let mut resources = vec![(ALL, cluster), (ALL, assignment(0))];
        if self.options.nodes > 0 && service.is_multiple_of(2) {
            let zones = (0..ZONES).map(|zone| (zone_layer(zone), assignment(1 + zone)));
            resources.extend(zones);
        }
        if self.options.nodes > 0 && service.is_multiple_of(4) {
            let nodes = (0..3).map(|index| (service + index * 7) % self.options.nodes);
            let nodes = nodes.map(|node| (node_layer(node), assignment(10 + node)));
            resources.extend(nodes);
        }
        Replace {
            origin: name,
            resources,
            hidden: Vec::new(),
        }
    }
}

impl control::Target for Ours {
    fn change(&mut self, service: u32, stamp: u64) {
        let replace = self.replace(service, stamp);
        self.pending.push(replace);
        self.window.due(Instant::now().into_std());
    }

    fn due(&self) -> Option<Instant> {
        self.window.pending().map(Into::into)
    }

    fn flush(&mut self) {
        self.publisher.commit(Commit {
            replace: std::mem::take(&mut self.pending),
            placements: Vec::new(),
            since: None,
        });
        self.window.committed(Instant::now().into_std());
    }
}

fn zone_layer(node: u32) -> LayerId {
    LayerId(1 + node % ZONES)
}

fn node_layer(node: u32) -> LayerId {
    LayerId(1 + ZONES + node)
}

/// Places proxy number i on node i modulo the nodes.
struct Door(u32);

impl Admit for Door {
    type Permissions = ();

    async fn authenticate(&self, _: Caller<'_>) -> Result<Authenticated<()>, Status> {
        Ok(Authenticated::anybody())
    }

    async fn admit(&self, (): &(), node: &Node, _: Dialect) -> Result<Admission, Status> {
        let digits = node.id.trim_start_matches(|c: char| !c.is_ascii_digit());
        let number: u32 = digits.parse().unwrap_or_default();
        Ok(Admission {
            placement: PlacementId(number.checked_rem(self.0).unwrap_or_default().into()),
            forbidden: &[],
            on_demand: None,
            about: Vec::new(),
            lease: Box::new(()),
        })
    }
}
