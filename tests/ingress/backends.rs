//! Backends of routes: those that lead nowhere, and the protocols that they speak.

use anyhow::Result;
use seaway_testing::{RouteManifest, ServiceManifest, join};

use crate::case::{Case, get};
use crate::edge::{Edge, play, port_80, service, slice, with_gateway};

#[test]
fn backends_that_lead_nowhere_are_answered_by_the_proxy() -> Result<()> {
    play(vec![
        gw088_without_a_valid_backend_the_answer_is_500(),
        gw089_without_endpoints_the_answer_is_503(),
        gw090_a_port_that_a_service_does_not_have(),
    ])
}

fn gw088_without_a_valid_backend_the_answer_is_500() -> Case {
    let rule = |path: &str, backends: &str| {
        format!("matches: [{{path: {{value: {path}}}}}], backendRefs: [{backends}]")
    };
    let zero = "{name: s1, port: 8080, weight: 0}, {name: s2, port: 8080, weight: 0}";
    let absent = "{name: absent, port: 8080}, {name: other, kind: Foo, port: 1}";
    let route = RouteManifest::new("gw088").host("gw088.test");
    let route = route
        .prefix("/ok", "s1")
        .only(&rule("/zero", zero))
        .only(&rule("/invalid", absent))
        .only("matches: [{path: {value: /none}}]");
    Case::new("GW088")
        .with(route.document())
        .rows([
            get("gw088.test/ok").to("s1"),
            get("gw088.test/zero").status(500),
            get("gw088.test/none").status(500),
            get("gw088.test/invalid").status(500),
            get("gw088.test/else").status(404),
        ])
        .problem("BackendNotFound", "HTTPRoute default/gw088")
        .problem("UnsupportedBackend", "HTTPRoute default/gw088")
}

fn gw089_without_endpoints_the_answer_is_503() -> Case {
    let route = RouteManifest::new("gw089").host("gw089.test");
    let route = route.prefix("/", "s1").prefix("/empty", "empty");
    Case::new("GW089")
        .with(service("empty", &[]))
        .with(route.document())
        .rows([
            get("gw089.test/").to("s1"),
            get("gw089.test/empty").status(503),
        ])
}

fn gw090_a_port_that_a_service_does_not_have() -> Case {
    let rule = |path: &str, backend: &str| {
        format!("matches: [{{path: {{value: {path}}}}}], backendRefs: [{backend}]")
    };
    let external = ServiceManifest::new("external")
        .spec("type", "ExternalName")
        .spec("externalName", "partner.example.com")
        .port("http", 8080);
    let route = RouteManifest::new("gw090").host("gw090.test");
    let route = route
        .prefix("/", "s1")
        .only(&rule("/port", "{name: s1, port: 81}"))
        .prefix("/external", "external");
    Case::new("GW090")
        .with(external.document())
        .with(route.document())
        .rows([
            get("gw090.test/").to("s1"),
            get("gw090.test/port").status(500),
            get("gw090.test/external").status(500),
        ])
        .problem("BackendNotFound", "HTTPRoute default/gw090")
        .problem("ExternalNameRefused", "HTTPRoute default/gw090")
}

/// A Service whose port has an `appProtocol`, behind it `s1`.
fn speaking(name: &str, protocol: &str) -> String {
    let service = ServiceManifest::new(name).port("http", 8080);
    let service = service.on_port("appProtocol", protocol);
    join([service.document(), slice(name, &["10.244.1.1"])])
}

/// GW092. TLS is inferred from no name (Gateway rule 84): backends of `https` are asked over plain
/// HTTP.
#[test]
fn gw092_backends_are_spoken_to_as_their_ports_say() -> Result<()> {
    let route = RouteManifest::new("gw092").host("gw092.test");
    let route = route
        .prefix("/h2c", "h2c")
        .prefix("/ws", "ws")
        .prefix("/own", "own")
        .prefix("/https", "https")
        .prefix("/http", "plain")
        .prefix("/unset", "s1");
    let case = Case::new("GW092")
        .with(speaking("h2c", "kubernetes.io/h2c"))
        .with(speaking("ws", "kubernetes.io/ws"))
        .with(speaking("own", "mycorp.com/x"))
        .with(speaking("https", "HTTPS"))
        .with(speaking("plain", "http"))
        .with(route.document());
    let of = |path: &str, version: &str| {
        let row = get(&format!("gw092.test{path}")).to("s1");
        row.version(version)
    };
    let case = case.rows([
        of("/h2c", "HTTP/2.0"),
        of("/h2c", "HTTP/2.0").http2(),
        of("/ws", "HTTP/1.1"),
        of("/ws", "HTTP/1.1").http2(),
        of("/https", "HTTP/1.1"),
        of("/https", "HTTP/1.1").http2(),
        of("/own", "HTTP/1.1"),
        of("/http", "HTTP/1.1"),
        of("/unset", "HTTP/1.1").http2(),
    ]);
    Edge::run(&[], &with_gateway(vec![case]), |edge| {
        web_socket(edge, "gw092.test", "/ws")?;
        // A WebSocket needs no word of it at the Service.
        web_socket(edge, "gw092.test", "/unset")
    })
}

/// Opens a WebSocket and sees that bytes go both ways.
pub(crate) fn web_socket(edge: &Edge<'_>, host: &str, path: &str) -> Result<()> {
    seaway_testing::web_socket(edge.world.fabric(), port_80(), host, path)
}
