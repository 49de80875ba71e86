//! The processes and objects that the measurements begin with.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use seaway_testing::{
    ApiServer, Backend, Connection, Envoy, EnvoyOptions, GatewayManifest, RouteManifest,
    ServiceManifest, SliceManifest, World, join,
};

/// The kinds of Gateway API that are served.
const KINDS: [&str; 4] = [
    "gatewayclasses",
    "gateways",
    "httproutes",
    "gateway.networking.k8s.io/v1/referencegrants",
];

/// A cluster with a Gateway and two Services, `s1` and `s2`, and an Envoy that serves them.
pub(crate) struct Stage<'w> {
    pub(crate) world: &'w mut World,
    pub(crate) server: ApiServer,
    pub(crate) envoy: Arc<Envoy>,
    _backends: [Backend; 2],
}

impl Stage<'_> {
    /// Sets it up and goes on with `then`.
    pub(crate) fn run(then: impl FnOnce(&mut Stage<'_>) -> Result<()>) -> Result<()> {
        World::run(|world| {
            let backends = [
                world.echo_at("s1", "10.244.1.1:8080")?,
                world.echo_at("s2", "10.244.1.2:8080")?,
            ];
            let server = world.api_server()?;
            for kind in KINDS {
                server.install(kind)?;
            }
            let class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n\
                         metadata: {name: ours}\n\
                         spec: {controllerName: seaway.dev/gateway-controller}\n";
            let service = |name: &str, address: &str| {
                let service = ServiceManifest::new(name).port("http", 8080);
                let slice = SliceManifest::new(name).port("http", 8080);
                join([service.document(), slice.endpoint(address).document()])
            };
            server.apply_yaml(&join([
                class.to_owned(),
                GatewayManifest::new("g").listener("h", "").document(),
                service("s1", "10.244.1.1"),
                service("s2", "10.244.1.2"),
                route("first", "s1"),
            ]))?;
            world.start_seaway_on(&server, &[])?;
            let options = EnvoyOptions {
                bootstrap: ["--role", "ingress"].map(str::to_owned).to_vec(),
                ..EnvoyOptions::default()
            };
            let envoy = world.start_envoy("edge", &options)?;
            then(&mut Stage {
                world,
                server,
                envoy,
                _backends: backends,
            })
        })
    }

    /// A new connection to the Envoy.
    pub(crate) fn connect(&self) -> Result<Connection> {
        let address: SocketAddr = (World::node_address(1), 80).into();
        Connection::open(self.world.fabric(), address, false)
    }
}

/// The route of a host of this name, to a Service.
pub(crate) fn route(name: &str, service: &str) -> String {
    let route = RouteManifest::new(name).host(&host(name));
    route.prefix("/", service).document()
}

/// The host of a route.
pub(crate) fn host(name: &str) -> String {
    format!("{name}.test")
}
