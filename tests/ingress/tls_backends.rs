//! Backends that speak TLS.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{
    Ask, Connection, EnvoyOptions, IngressManifest, RouteManifest, ServiceManifest, SliceManifest,
    World, eventually, join,
};

use crate::case::Case;
use crate::edge::{Edge, port_80, with_gateway};

/// Where the server is that speaks TLS: at an address of a backend.
const SERVER: &str = "10.244.1.2:8443";

/// What becomes of a request: the status, and the version of TLS if a server of TLS answers.
fn asked(world: &World, host: &str) -> Result<String> {
    let reply = Connection::open(world.fabric(), port_80(), false)?.ask(&Ask::get(host, "/"))?;
    let version = ["TLSv1.3", "TLSv1.2"];
    let version = version.into_iter().find(|name| reply.body.contains(name));
    Ok(format!("{} {}", reply.status, version.unwrap_or_default()))
}

fn becomes(world: &World, host: &str, wanted: &str) -> Result<()> {
    eventually(format!("{wanted} from {host}"), || {
        let found = asked(world, host)?;
        ensure!(found == wanted, "{found}");
        Ok(())
    })
}

/// GW092: HTTP/1.1 over TLS, of which nothing says how to check the certificate, which is a
/// problem of the Service.
#[test]
fn gw092_wss_is_spoken_over_tls() -> Result<()> {
    let service = ServiceManifest::new("wss").port("http", 8080);
    let service = service.on_port("appProtocol", "kubernetes.io/wss");
    let slice = SliceManifest::new("wss").port("http", 8443);
    let slice = slice.endpoint("10.244.1.2");
    let route = RouteManifest::new("wss")
        .host("wss.test")
        .prefix("/", "wss");
    let case = Case::new("GW092")
        .with(join([service.document(), slice.document()]))
        .with(route.document())
        .problem("UnverifiedBackend", "Service default/wss");
    Edge::run(&[], &with_gateway(vec![case]), |edge| {
        let leaf = Ca::new("nobody's")?.server(&["other.test"])?;
        let _server = edge.world.tls_server(SERVER, &leaf)?;
        becomes(edge.world, "wss.test", "200 TLSv1.3")?;
        edge.envoy.check_nothing_rejected()
    })
}

/// T099: of an ExternalName with `https` the certificate has to be for that name, from an authority
/// that is trusted.
#[test]
fn t099_https_behind_an_external_name_is_checked() -> Result<()> {
    World::run(|world| {
        let ca = Ca::new("public")?;
        let trusted = ca.write(world.folder())?;
        let dns = world.dns()?;
        dns.set("www.example.com", [10, 244, 1, 2].into());
        let _address = world.backend("address", "10.244.1.2")?;
        let service = ServiceManifest::new("far")
            .spec("type", "ExternalName")
            .spec("externalName", "www.example.com.")
            .port("https", 8443)
            .on_port("appProtocol", "https");
        let ingress = IngressManifest::new("far").host("t099.test");
        let ingress = ingress.path_to(
            "Prefix",
            "/",
            "{service: {name: far, port: {number: 8443}}}",
        );
        let class = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: ours}\n\
                     spec: {controller: seaway.dev/ingress-controller}\n";
        let all = join([class.to_owned(), service.document(), ingress.document()]);
        world.manifests().save("all.yaml", &all)?;
        start(world, &trusted)?;
        let server = world.tls_server(SERVER, &ca.server(&["www.example.com"])?)?;
        becomes(world, "t099.test", "200 TLSv1.3")?;
        drop(server);
        // For another name, or from somebody else.
        let others = [
            ca.server(&["other.example.com"])?,
            Ca::new("other")?.server(&["www.example.com"])?,
        ];
        for leaf in &others {
            let _server = world.tls_server(SERVER, leaf)?;
            listening(world)?;
            let found = asked(world, "t099.test")?;
            ensure!(found == "503 ", "{found}");
        }
        Ok(())
    })
}

fn start(world: &mut World, trusted: &Path) -> Result<()> {
    let trusted = trusted.display().to_string();
    world.start_seaway(&["--external-name", "all", "--trusted-ca", &trusted])?;
    let options = EnvoyOptions {
        bootstrap: ["--role", "ingress"].map(str::to_owned).to_vec(),
        overlay: Some(World::resolver()),
        ..EnvoyOptions::default()
    };
    world.start_envoy("edge", &options)?;
    Ok(())
}

/// Waits until the server takes connections.
fn listening(world: &World) -> Result<()> {
    let at: SocketAddr = SERVER.parse()?;
    eventually("the server of TLS to listen", || {
        world
            .fabric()
            .run(move || std::net::TcpStream::connect(at).map(drop))??;
        Ok(())
    })
}
