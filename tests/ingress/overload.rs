//! An Envoy that is almost out of memory.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use seaway_testing::RouteManifest;

use crate::case::{Case, get};
use crate::edge::{Edge, port_80, with_gateway};

/// How many clients there are, each with so many bytes of a header that does not end: together more
/// than the Envoy of this test may have.
const CLIENTS: usize = 1_200;
const HEADER: usize = 50_000;

/// Clients that begin a request and never end it. Envoy gives them half a minute.
fn slow_clients(edge: &Edge<'_>) -> Result<Vec<TcpStream>> {
    let target = port_80();
    let header = format!(
        "GET / HTTP/1.1\r\nhost: small.test\r\nx-long: {}",
        "x".repeat(HEADER)
    );
    edge.world.fabric().run(move || {
        let connect = |_| {
            let mut stream = TcpStream::connect(target)?;
            stream.set_write_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(header.as_bytes())?;
            Ok(stream)
        };
        (0..CLIENTS).map(connect).collect()
    })?
}

#[test]
fn an_envoy_that_is_almost_out_of_memory_answers_503_until_it_is_not() -> Result<()> {
    let route = RouteManifest::new("small").host("small.test");
    let case = Case::new("small")
        .with(route.prefix("/", "s1").document())
        .rows([get("small.test/").to("s1")]);
    let limit = ["--max-memory", "64Mi"];
    Edge::run_as(&limit, &[], &with_gateway(vec![case]), |edge| {
        let clients = slow_clients(edge)?;
        edge.settle(&get("small.test/").status(503))?;
        drop(clients);
        edge.settle(&get("small.test/").to("s1"))
    })
}
