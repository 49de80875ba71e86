//! nebucloud-xds 0.1.0. It answers requests only: a change never reaches a client by itself. Its
//! snapshots are per node.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use nebucloud_xds::prelude::{
    BoxResource, Cache, NodeHash, Resource, ShardedCache, Snapshot, TypeUrl, XdsServer,
};
use prost_types_of_neb::Any;
use seaway_bench_servers::control::{self, Options};
use seaway_bench_servers::world;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_of_neb::transport::Server;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::from_args()?;
    let listener = control::listen()?;
    let port = listener.local_addr()?.port();
    let cache = Arc::new(ShardedCache::new());
    let snapshot = snapshot(options);
    for proxy in 0..options.proxies {
        let node = NodeHash::from_id(&format!("node-{proxy}"));
        cache.set_snapshot(node, snapshot.clone());
    }
    let neb = XdsServer::builder()
        .cache(cache)
        .enable_sotw()
        .enable_delta()
        .build()?;
    let (ads, ..) = neb.service_state().create_services();
    let incoming = TcpListenerStream::new(listener).map(|tcp| {
        let tcp = tcp?;
        tcp.set_nodelay(true)?;
        Ok::<_, std::io::Error>(tcp)
    });
    let router = Server::builder().add_service(ads.into_service());
    tokio::spawn(router.serve_with_incoming(incoming));
    control::obey(port, options.size.services, options.size, Deaf).await
}

fn snapshot(options: Options) -> Snapshot {
    let resource = |type_url, service, value| -> BoxResource {
        Arc::new(Encoded {
            type_url,
            name: world::name(service),
            value,
        })
    };
    let services = 0..options.size.services;
    let clusters = services
        .clone()
        .map(|service| resource(world::CLUSTER, service, world::cluster(service)));
    let assignments = services.map(|service| {
        let value = world::assignment(service, options.size, 0, 0);
        resource(world::ASSIGNMENT, service, value)
    });
    Snapshot::builder()
        .version("1")
        .resources(TypeUrl::new(world::CLUSTER), clusters)
        .resources(TypeUrl::new(world::ASSIGNMENT), assignments)
        .build()
}

/// A resource that is encoded already.
#[derive(Debug)]
struct Encoded {
    type_url: &'static str,
    name: String,
    value: Bytes,
}

impl Resource for Encoded {
    fn type_url(&self) -> &str {
        self.type_url
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self) -> Result<Any, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Any {
            type_url: self.type_url.to_owned(),
            value: self.value.to_vec(),
        })
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Nothing would come of a change.
struct Deaf;

impl control::Target for Deaf {
    fn change(&mut self, _: u32, _: u64) {}
}
