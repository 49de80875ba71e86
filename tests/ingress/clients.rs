//! Clients of all sorts: versions of HTTP, headers that they forge.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{Ask, RouteManifest};

use crate::case::{Case, get};
use crate::edge::{Edge, play, port_80, with_gateway};

/// A route of a host to a backend.
fn route(host: &str, backend: &str) -> String {
    let route = RouteManifest::new(&host.replace(['.', '*'], "x"));
    route.host(host).prefix("/", backend).document()
}

/// What the proxy and the control plane say to one another in headers is theirs alone.
#[test]
fn forged_headers_of_seaway_lead_nobody_astray() -> Result<()> {
    let names = [
        "x-seaway-listener",
        "x-seaway-host",
        "x-seaway-scope",
        "x-seaway-table",
        "x-seaway-wildcard",
        "X-Seaway-Route",
    ];
    let mut case = Case::new("forged")
        .with(route("a.forged.test", "s1"))
        .with(route("b.forged.test", "s2"))
        .with(route("*.w.forged.test", "s3"));
    for forged in ["b.forged.test", "*.w.forged.test", "*", ""] {
        for http2 in [false, true] {
            for (host, backend) in [("a.forged.test", "s1"), ("x.w.forged.test", "s3")] {
                let row = get(&format!("{host}/"));
                let row = if http2 { row.http2() } else { row };
                let row = names.iter().fold(row, |row, name| row.with(name, forged));
                let row = row.saw_no("x-seaway-host").saw_no("x-seaway-table");
                case = case.rows([row.to(backend)]);
            }
        }
        let nobody = get("nobody.forged.test/");
        let nobody = names
            .iter()
            .fold(nobody, |row, name| row.with(name, forged));
        case = case.rows([nobody.status(404)]);
    }
    play(vec![case])
}

/// Many hosts over one connection of each version.
#[test]
fn one_connection_asks_for_many_hosts() -> Result<()> {
    let case = Case::new("many")
        .with(route("a.many.test", "s1"))
        .with(route("b.many.test", "s2"))
        .with(route("*.many.test", "s3"));
    let hosts = [
        ("a.many.test", Some("s1")),
        ("b.many.test", Some("s2")),
        ("c.many.test", Some("s3")),
        ("many.test", None),
        ("A.MANY.test:80", Some("s1")),
    ];
    let rows = hosts.map(|(host, backend)| match backend {
        Some(backend) => get(&format!("{host}/")).to(backend),
        None => get(&format!("{host}/")).status(404),
    });
    let case = case.rows(rows);
    Edge::run(&[], &with_gateway(vec![case]), |edge| {
        for http2 in [false, true] {
            let mut connection = edge.connect(http2)?;
            for (host, backend) in hosts.iter().cycle().take(50) {
                let reply = connection.ask(&Ask::get(host, "/"))?;
                let found = reply.backend();
                ensure!(found.as_deref() == *backend, "{host}: {reply:?}");
            }
        }
        Ok(())
    })
}

/// Methods, paths and headers come through as they are.
#[test]
fn requests_come_through_as_they_are() -> Result<()> {
    let route = RouteManifest::new("through").host("through.test");
    let asking = |path: &str| get(&format!("through.test{path}")).to("s1").path(path);
    let case = Case::new("through")
        .with(route.prefix("/", "s1").document())
        .rows([
            asking("/a%2Fb"),
            asking("/a//b"),
            asking("/a;v=1/b?x=%20&y=/../z"),
            asking("/a?"),
            asking(
                "/ünï"
                    .replace('ü', "%C3%BC")
                    .replace('ï', "%C3%AF")
                    .as_str(),
            ),
            get("through.test/a/../b").to("s1").path("/b"),
            get("through.test/a/./b").to("s1").path("/a/b"),
            asking("/").with("x_under", "score").saw("x_under", "score"),
            asking("/").method("DELETE"),
            asking("/").method("PATCH").http2(),
            asking("/").with("x-empty", "").saw("x-empty", ""),
        ]);
    play(vec![case])
}

/// Of two Host headers neither is believed, equal or not (RFC 9112, 3.2): Envoy joins them with a
/// comma, and a wildcard would cover what comes of it.
#[test]
fn two_host_headers_are_refused() -> Result<()> {
    let case = Case::new("twice")
        .with(route("a.twice.test", "s1"))
        .with(route("b.twice.test", "s2"))
        .with(route("*.twice.test", "s3"))
        .rows([get("a.twice.test/").to("s1")]);
    Edge::run(&[], &with_gateway(vec![case]), |edge| {
        for (one, other) in [
            ("a.twice.test", "b.twice.test"),
            ("a.twice.test", "a.twice.test"),
            ("b.twice.test", "nobody.example"),
        ] {
            let answer = raw(
                edge,
                &format!("GET / HTTP/1.1\r\nhost: {one}\r\nhost: {other}\r\n\r\n"),
            )?;
            let status = answer.get(9..12).unwrap_or_default();
            ensure!(status == "400", "{one} and {other}: {answer}");
        }
        Ok(())
    })
}

/// The beginning of the answer to bytes.
fn raw(edge: &Edge<'_>, request: &str) -> Result<String> {
    let target = port_80();
    let fabric = edge.world.fabric();
    let mut stream = fabric.run(move || TcpStream::connect(target))??;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 1024];
    let count = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
}
