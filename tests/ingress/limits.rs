//! How large requests may be, and how many there may be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{Ask, IngressManifest};

use crate::backends::web_socket;
use crate::case::{Case, Row, get};
use crate::edge::{Edge, port_80};

/// An Ingress of these hosts, to `s1`.
fn ingress(name: &str, hosts: &[&str]) -> IngressManifest {
    let ingress = IngressManifest::new(name);
    hosts.iter().fold(ingress, |ingress, host| {
        ingress.host(host).path("Prefix", "/", "s1")
    })
}

fn limited(name: &str, limit: &str, hosts: &[&str]) -> String {
    let ingress = ingress(name, hosts);
    ingress.annotation("seaway.dev/max-body", limit).document()
}

/// Rows for hosts with a limit of 2,000 bytes, over both versions of HTTP.
fn small(host: &str) -> Vec<Row> {
    let url = format!("{host}/");
    let rows = [
        get(&url).to("s1"),
        get(&url).body(0).to("s1").read(0),
        get(&url).body(2_000).to("s1").read(2_000),
        get(&url).body(2_001).status(413),
        get(&url).streamed(2_000).to("s1").read(2_000),
        get(&url).streamed(200_000).status(413),
    ];
    let again = rows.clone().map(Row::http2);
    // A body is one with any method; of HTTP/1.1 the tests' client sends none with this.
    let asked = get(&url).streamed(200_000).method("GET").http2();
    // Of HTTP/2 what comes with the end of the body is let through.
    let chunked = get(&url).streamed(2_001);
    let again = again
        .into_iter()
        .chain([asked, chunked].map(|row| row.status(413)));
    rows.into_iter().chain(again).collect()
}

#[test]
fn bodies_are_as_large_as_an_annotation_says() -> Result<()> {
    let free = ingress("free", &["free.test"]).document();
    let (large, huge) = ("large.test/", "huge.test/");
    let case = Case::new("bodies")
        .with(free)
        .with(limited("small", "2000", &["small.test", "*.small.test"]))
        .with(limited("large", "1Mi", &["large.test"]))
        .with(limited("huge", "1g", &["huge.test"]))
        .rows(small("small.test"))
        // Its route is found by the lookup, after Envoy has chosen its filters.
        .rows(small("a.small.test"))
        .rows(small("SMALL.test:80"))
        .rows([
            get("free.test/").streamed(200_000).to("s1").read(200_000),
            get(large).body(1 << 20).to("s1").read(1 << 20),
            get(large).body((1 << 20) + 1).status(413),
            get(large).streamed(1 << 20).to("s1").read(1 << 20),
            get(large).streamed((1 << 20) + 1).status(413),
            get(huge).body(3 << 20).to("s1").read(3 << 20),
            // What is held until it is whole is not larger.
            get(huge).streamed(1 << 20).http2().to("s1").read(1 << 20),
            get(huge).streamed(2 << 20).status(413),
            get(huge).streamed(2 << 20).http2().status(413),
            get("nobody.example/").streamed(20_000).status(404),
        ]);
    Edge::run(&[], &[case], |edge| {
        begins_early(edge, "large.test")?;
        web_socket(edge, "small.test", "/")
    })
}

/// A body whose length is said is not held back: the backend answers before it has ended.
fn begins_early(edge: &Edge<'_>, host: &str) -> Result<()> {
    let target = port_80();
    let fabric = edge.world.fabric();
    let mut stream = fabric.run(move || TcpStream::connect(target))??;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\nbegins");
    stream.write_all(head.as_bytes())?;
    let mut answer = [0; 12];
    stream
        .read_exact(&mut answer)
        .context("no answer before the body has ended")?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    Ok(())
}

/// How many of so many requests are not answered with 429.
fn taken(edge: &Edge<'_>, host: &str, path: &str, count: usize) -> Result<usize> {
    let mut connection = edge.connect(true)?;
    let mut taken = 0;
    for _ in 0..count {
        let reply = connection.ask(&Ask::get(host, path))?;
        ensure!(matches!(reply.status, 200 | 429), "{reply:?}");
        taken += usize::from(reply.status == 200);
    }
    Ok(taken)
}

/// The time of the limits is a minute, in which few of the requests that were taken come back.
#[test]
fn requests_are_as_many_as_an_annotation_says() -> Result<()> {
    let limit = "seaway.dev/rate-limit";
    let hosts = ["one.test", "other.test", "*.wild.test"];
    let slow = ingress("slow", &hosts).path("Exact", "/path", "s1");
    let slow = slow.annotation(limit, "30/m");
    let beside = IngressManifest::new("beside").host("one.test");
    let beside = beside.path("Prefix", "/beside", "s2");
    let own = IngressManifest::new("own").host("one.test");
    let own = own.path("Prefix", "/own", "s3").annotation(limit, "10/m");
    let case = Case::new("rates")
        .with(slow.document())
        .with(beside.document())
        .with(own.document())
        .rows([get("one.test/beside").to("s2")]);
    Edge::run(&[], &[case], |edge| {
        for (host, path) in [("one.test", "/"), ("other.test", "/"), ("a.wild.test", "/")] {
            edge.settle(&get(&format!("{host}{path}")).to("s1"))?;
            let found = taken(edge, host, path, 100)?;
            ensure!((20..40).contains(&found), "{host}: {found}");
        }
        // All paths and names of one host have one bucket, and another Ingress has its own.
        let found = taken(edge, "b.wild.test", "/path", 50)?;
        ensure!(found < 10, "{found} of another name");
        let found = taken(edge, "one.test", "/beside", 100)?;
        ensure!(found == 100, "{found} of an Ingress without a limit");
        let found = taken(edge, "one.test", "/own", 100)?;
        ensure!((5..15).contains(&found), "{found} of another Ingress");
        Ok(())
    })
}
