//! Changes under load: no request fails.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{Ask, Client, Connection, Load, Record, RouteManifest, World, eventually};

use crate::case::{Case, get};
use crate::edge::{Edge, port_80, service, with_gateway};

const HOST: &str = "load.test";
const ROUNDS: usize = 20;

/// The route of the load, with these weights of `s1` and `moves`.
fn route(weights: (u32, u32)) -> String {
    let (one, other) = weights;
    let backends = format!(
        "backendRefs: [{{name: s1, port: 8080, weight: {one}}}, \
         {{name: moves, port: 8080, weight: {other}}}]"
    );
    RouteManifest::new("load")
        .host(HOST)
        .only(&backends)
        .document()
}

/// Weights go from 0 to 100 and back, and the backend behind one of them is another each time.
#[test]
fn twenty_rounds_of_weights_and_backends_fail_no_request() -> Result<()> {
    let cases = with_gateway(vec![
        Case::new("moves").with(service("moves", &["10.244.1.2"])),
        Case::new("route").with(route((100, 0))),
        Case::new("probe").rows([get(&format!("{HOST}/")).to("s1")]),
    ]);
    Edge::run(&[], &cases, |edge| {
        let loads = loads(edge)?;
        let mut kept = vec![edge.connect(false)?, edge.connect(true)?];
        let ask = Ask::get(HOST, "/").patience(Duration::from_secs(20));
        for round in 0..ROUNDS {
            let (name, address) = match round % 2 {
                0 => ("s3", "10.244.1.3"),
                _ => ("s2", "10.244.1.2"),
            };
            edge.save("route.yaml", &route((0, 100)))?;
            let other = if name == "s3" { "s2" } else { "s3" };
            await_backend(edge, &mut kept, &ask, other)?;
            // The backend changes while all requests are for it.
            edge.save("moves.yaml", &service("moves", &[address]))?;
            await_backend(edge, &mut kept, &ask, name)?;
            edge.save("route.yaml", &route((100, 0)))?;
            await_backend(edge, &mut kept, &ask, "s1")?;
        }
        for (version, load) in loads {
            let records = load.stop()?;
            let failures = Record::failures(&records);
            ensure!(failures.is_none(), "{version}: {failures:?}");
            ensure!(records.len() > 1000, "{version}: only {}", records.len());
        }
        Ok(())
    })
}

/// 500 requests a second, half of them over HTTP/2, each over a new connection.
fn loads(edge: &Edge<'_>) -> Result<Vec<(&'static str, Load)>> {
    let client = Client::new(port_80()).host(HOST);
    let fabric = World::fabric(edge.world);
    Ok(vec![
        ("HTTP/1.1", Load::start(fabric, client.clone(), 250)?),
        ("HTTP/2", Load::start(fabric, client.http2(), 250)?),
    ])
}

/// How many requests of the load each change is given.
const REQUESTS: u64 = 40;

/// Asks over connections that stay open until a backend has answered on each, and until it has had
/// requests of the load. Every answer has to be one of a backend.
fn await_backend(edge: &Edge<'_>, kept: &mut [Connection], ask: &Ask, backend: &str) -> Result<()> {
    for connection in kept {
        eventually(format!("{backend} to answer"), || {
            let reply = connection.ask(ask);
            // A failure is one, and nothing to wait for.
            let reply = match reply {
                Ok(reply) if reply.status == 200 => reply,
                failed => return Ok(Err(anyhow::anyhow!("{failed:?}"))),
            };
            ensure!(reply.backend().as_deref() == Some(backend), "{reply:?}");
            Ok(Ok(()))
        })??;
    }
    let backends = edge.backends.iter();
    let mut backends = backends.filter(|one| one.name() == backend);
    let backend = backends.next().context("no such backend")?;
    let before = backend.requests();
    eventually("requests of the load", || {
        let count = backend.requests() - before;
        ensure!(count >= REQUESTS, "{count}");
        Ok(())
    })
}
