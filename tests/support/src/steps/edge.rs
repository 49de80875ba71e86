//! Steps through an ingress Envoy: Gateway API over HTTP and HTTPS.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use crate::certs::Ca;
use crate::scene::say;
use crate::{
    Ask, Client, Connection, EnvoyOptions, GatewayManifest, Load, Record, RouteManifest, Scene,
    ServiceManifest, SliceManifest, Tls, World, eventually, join, secret,
};

const HOST: &str = "shop.example.com";
/// The Envoys of the scene are on the nodes 1 to 3.
const NODE: u8 = 4;
/// How many requests a second there are while the weights change.
const RATE: u32 = 200;

/// An ingress Envoy serves a Gateway: plain HTTP, and HTTPS with a certificate from a Secret.
pub fn ingress(scene: &mut Scene<'_>) -> Result<()> {
    let ca = Ca::new("demo")?;
    let leaf = ca.server(&[HOST])?;
    let class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n\
                 metadata: {name: ours}\n\
                 spec: {controllerName: seaway.dev/gateway-controller}\n";
    let gateway = GatewayManifest::new("edge").listener("http", HOST);
    let service = |name: &str, endpoint: &str| {
        let service = ServiceManifest::new(name).port("http", 8080);
        let slice = SliceManifest::new(name).port("http", 8080);
        join([service.document(), slice.endpoint(endpoint).document()])
    };
    let manifests = scene.world.manifests();
    manifests.save(
        "edge.yaml",
        &join([
            class.to_owned(),
            gateway.secured("https", HOST, &["shop"]).document(),
            service("blue", "10.244.1.50"),
            service("green", "10.244.2.50"),
        ]),
    )?;
    manifests.save(
        "edge-tls.yaml",
        &secret("shop", &leaf.pem(), &leaf.key_pem()),
    )?;
    manifests.save("edge-route.yaml", &route(100, 0))?;
    let options = EnvoyOptions {
        bootstrap: ["--role", "ingress"].map(str::to_owned).to_vec(),
        ..EnvoyOptions::default()
    };
    let envoy = scene.world.start_envoy("edge", &options)?;
    envoy.await_outcome(&client(), "the route to serve", |outcome| {
        outcome.backend() == Some("api-1")
    })?;
    say(&format!("    edge  {}  ->  api-1", client()));
    let tls = Tls::new(&ca, HOST)?.http2();
    let reply = eventually("HTTPS to serve", || {
        let mut connection = Connection::secured(scene.world.fabric(), at(443), &tls)?;
        ensure!(connection.is_http2());
        connection.ask(&Ask::get(HOST, "/"))
    })?;
    ensure!(reply.body == "api-1", "{reply:?}");
    say(&format!(
        "    edge  GET https://{HOST}/  (HTTP/2)  ->  {}",
        reply.body
    ));
    Ok(())
}

/// The weight of a route's backends goes from one Service to the other while requests run.
pub fn shift_weights(scene: &mut Scene<'_>) -> Result<()> {
    let load = Load::start(scene.world.fabric(), client(), RATE)?;
    for (blue, green) in [(100, 0), (75, 25), (25, 75), (0, 100)] {
        scene
            .world
            .manifests()
            .save("edge-route.yaml", &route(blue, green))?;
        let busy = if green > blue { "api-2" } else { "api-1" };
        scene.await_requests(busy, RATE.into())?;
        say(&format!("    blue {blue}, green {green}"));
    }
    let records = load.stop()?;
    let failures = Record::failures(&records);
    ensure!(failures.is_none(), "{failures:?}");
    let counted = Record::answered_by(&records);
    say(&format!(
        "    {} requests, none failed: {counted:?}",
        records.len()
    ));
    Ok(())
}

fn at(port: u16) -> SocketAddr {
    (World::node_address(NODE), port).into()
}

fn client() -> Client {
    Client::new(at(80)).host(HOST)
}

fn route(blue: u32, green: u32) -> String {
    let backends = format!(
        "backendRefs: [{{name: blue, port: 8080, weight: {blue}}}, \
         {{name: green, port: 8080, weight: {green}}}]"
    );
    let route = RouteManifest::new("shop").parent("name: edge").host(HOST);
    route.only(&backends).document()
}
