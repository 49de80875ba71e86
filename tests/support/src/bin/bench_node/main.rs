//! What a node's Services cost and gain: an Envoy that Seaway tells in each capture, kube-proxy
//! where there is a binary, and the way to an endpoint without a Service, all in one run and in
//! turn.
//!
//! `make bench-node` runs it; `docs/beside-kube-proxy.md` says what came out and what to make of
//! it.

#![expect(clippy::print_stdout, reason = "the measurements are its output")]

mod effect;
mod endpoint;
mod load;
mod side;
mod table;

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{Namespace, Setup, World};

use effect::Effect;
use load::{Load, Round};
use side::{DNS, Side, service};
use table::{Table, number, percentile};

/// New flows of a round. `deploy/node/setup.sh` limits those of one client by the files that Envoy
/// may have: with 20,000 of them a client may begin about this many at once at the port of DNS, and
/// then 1,700 a second.
const FLOWS: usize = 700;

/// A way that loads are sent: from the client of a side to an address, which has another port for
/// UDP.
struct Lane<'a> {
    name: &'a str,
    from: &'a Namespace,
    tcp: SocketAddr,
    udp: SocketAddr,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (rounds, seconds) = parse(&arguments).context("usage: seaway-bench-node ROUNDS SECONDS")?;
    let kube_proxy = env::var_os("KUBE_PROXY")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    match &kube_proxy {
        None => println!("skipped: kube-proxy (KUBE_PROXY names no binary)"),
        Some(path) => ensure!(
            path.is_file(),
            "no program at {} (KUBE_PROXY)",
            path.display()
        ),
    }
    let (mut bind, mut namespace, mut kept) =
        (World::create()?, World::create()?, World::create()?);
    let mut other = kube_proxy.as_ref().map(|_| World::create()).transpose()?;
    let captures = setups();
    let mut sides = vec![
        Side::seaway("bind", &mut bind, &captures[0])?,
        Side::seaway("namespace", &mut namespace, &captures[1])?,
        Side::seaway("namespace, kept addresses", &mut kept, &captures[2])?,
    ];
    if let (Some(binary), Some(world)) = (&kube_proxy, &mut other) {
        sides.push(Side::kube_proxy(world, binary)?);
    }
    let (table, failures) = measure(&sides, rounds, seconds)?;
    sides.iter_mut().try_for_each(Side::check)?;
    println!("{}", table.markdown());
    for failure in failures {
        println!("failed: {failure}");
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Option<(usize, Duration)> {
    let [rounds, seconds] = arguments else {
        return None;
    };
    let rounds = rounds.parse().ok().filter(|rounds| *rounds > 0)?;
    let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    Some((rounds, seconds))
}

/// `bind`, `namespace`, and the latter with the addresses of clients kept.
fn setups() -> [Setup<'static>; 3] {
    let namespace = Setup {
        namespace: true,
        ..Setup::default()
    };
    let kept = Setup {
        keep_source: true,
        ..namespace.clone()
    };
    [Setup::default(), namespace, kept]
}

/// The table, and what failed.
fn measure(sides: &[Side<'_>], rounds: usize, length: Duration) -> Result<(Table, Vec<String>)> {
    // The first node's endpoint, asked without a Service, is what all are compared with.
    let mut lanes = vec![Lane {
        name: "direct",
        from: sides[0].client()?,
        tcp: sides[0].endpoint("a")?,
        udp: sides[0].endpoint("a")?,
    }];
    for side in sides {
        lanes.push(Lane {
            name: side.name,
            from: side.client()?,
            tcp: service(0),
            udp: (service(0).ip(), DNS).into(),
        });
    }
    let names: Vec<&str> = lanes.iter().map(|lane| lane.name).collect();
    let mut table = Table::new(&names);
    let mut failures = Vec::new();
    loads(&lanes, rounds, length, &mut table, &mut failures)?;
    effects(sides, &mut table, &mut failures)?;
    Ok((table, failures))
}

/// The rows of loads, each lane's rounds in turn with the others'.
fn loads(
    lanes: &[Lane<'_>],
    rounds: usize,
    length: Duration,
    table: &mut Table,
    failures: &mut Vec<String>,
) -> Result<()> {
    let mut run = |load: Load| -> Result<Vec<Vec<Round>>> {
        let mut columns: Vec<Vec<Round>> = lanes.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (lane, column) in lanes.iter().zip(&mut columns) {
                let to = if load.is_udp() { lane.udp } else { lane.tcp };
                let round = load.run(lane.from, to, length)?;
                if let Some(why) = &round.why {
                    failures.push(format!("{} x {load:?}, {}: {why}", round.failed, lane.name));
                }
                column.push(round);
            }
        }
        Ok(columns)
    };
    let microseconds = |round: &Round| round.seconds_per_unit() * 1e6;

    let columns = run(Load::Connections(32))?;
    table.rounds(
        "new connections with a request each, 32 at a time, /s",
        &columns,
        Round::rate,
    );
    table.rounds("... CPU us each", &columns, microseconds);
    let columns = run(Load::Paced)?;
    table.percentile("500 of them a second: p50 us", &columns, 0.5);
    table.percentile("... p99 us", &columns, 0.99);
    let columns = run(Load::Requests(1))?;
    table.rounds("requests on a kept connection, /s", &columns, Round::rate);
    table.percentile("... p50 us", &columns, 0.5);
    let columns = run(Load::Requests(32))?;
    table.rounds("requests on 32 kept connections, /s", &columns, Round::rate);
    table.rounds("... CPU us each", &columns, microseconds);
    let columns = run(Load::Bulk)?;
    table.rounds("bulk, one connection, GiB/s", &columns, Round::rate);
    table.rounds("... CPU s per GiB", &columns, Round::seconds_per_unit);
    let columns = run(Load::Datagrams(16))?;
    table.rounds("UDP requests in 16 flows, /s", &columns, Round::rate);
    table.rounds("... CPU us each", &columns, microseconds);
    let columns = run(Load::NewFlows(FLOWS))?;
    table.rounds("UDP requests, each a new flow, /s", &columns, Round::rate);
    table.rounds("... CPU us each", &columns, microseconds);
    Ok(())
}

/// The rows of changes.
fn effects(sides: &[Side<'_>], table: &mut Table, failures: &mut Vec<String>) -> Result<()> {
    let replaced = sides
        .iter()
        .map(effect::replaced)
        .collect::<Result<Vec<_>>>()?;
    let added = sides
        .iter()
        .map(effect::added)
        .collect::<Result<Vec<_>>>()?;
    let shown = |effect: &Effect| {
        let milliseconds = |part| number(percentile(effect.times.clone(), part) * 1e3);
        format!("{} / {}", milliseconds(0.5), milliseconds(0.99))
    };
    table.texts(
        "an endpoint replaced: p50 / p99 ms to effect",
        replaced.iter().map(shown),
    );
    table.texts(
        "a new Service: p50 / p99 ms to its first answer",
        added.iter().map(shown),
    );
    for (side, effect) in sides
        .iter()
        .zip(&replaced)
        .filter(|(_, effect)| effect.failed > 0)
    {
        failures.push(format!(
            "{} x while an endpoint was replaced, {}",
            effect.failed, side.name
        ));
    }
    Ok(())
}
