//! A control plane in forty lines: one cluster, written by hand, for every proxy that asks.

use seaway_proto::envoy::{cluster::Cluster, core::Node};
use seaway_proto::{Resource, TypeUrl};
use seaway_xds::{
    Admission, Admit, AdsServer, Authenticated, Caller, Commit, Dialect, LayerId, Metrics,
    PlacementId, Replace, ServerConfig, Types, channel, serve,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

const EVERYBODY: PlacementId = PlacementId(0);
const COMMON: LayerId = LayerId(0);

struct LetAllIn;

impl Admit for LetAllIn {
    type Permissions = ();

    async fn authenticate(&self, _: Caller<'_>) -> Result<Authenticated<()>, Status> {
        Ok(Authenticated::anybody())
    }

    async fn admit(&self, (): &(), _: &Node, _: Dialect) -> Result<Admission, Status> {
        Ok(Admission {
            placement: EVERYBODY,
            forbidden: &[],
            on_demand: None,
            about: Vec::new(),
            lease: Box::new(()),
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut publisher, snapshots) = channel(Types::envoy());
    let name = "hand-written";
    let cluster = Cluster {
        name: name.into(),
        ..Cluster::default()
    };
    let resource = Resource::new(TypeUrl::CLUSTER, name, &cluster, vec![]);
    let made = Replace {
        origin: "by hand".into(),
        resources: vec![(COMMON, resource)],
        ..Replace::default()
    };
    publisher.commit(Commit {
        replace: vec![made],
        placements: vec![(EVERYBODY, Some(vec![COMMON]))],
        since: None,
    });
    let config = ServerConfig::default();
    let server = AdsServer::new(snapshots, LetAllIn, config, Metrics::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:18000").await?;
    serve(listener, server, CancellationToken::new()).await?;
    Ok(())
}
