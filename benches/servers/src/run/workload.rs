//! The workloads: what is done to a server and its clients, and what is read off.

use std::time::Duration;

use anyhow::Result;

use super::process::{Answer, Process};
use super::table::Row;
use crate::clock;

/// What a server is, and is to serve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// The program.
    pub(super) program: &'static str,
    /// Services, and proxies that connect.
    pub(super) services: u64,
    pub(super) proxies: u64,
    /// Nodes over which the proxies are spread, or 0.
    pub(super) nodes: u64,
    pub(super) sotw: bool,
    /// The coalescing window of ours, in milliseconds: what `seaway serve --coalesce` says.
    pub(super) coalesce: u64,
    /// Endpoints of each service.
    pub(super) endpoints: u64,
    /// The receive buffer of each client, or 0.
    pub(super) receive: u64,
}

/// A server with its clients.
struct Pair {
    setup: Setup,
    /// Dropped before the server, so that clients do not see it die.
    load: Process,
    server: Process,
}

impl Pair {
    fn start(setup: Setup) -> Result<Pair> {
        let arguments = [
            ("services", setup.services),
            ("endpoints", setup.endpoints),
            ("proxies", setup.proxies),
            ("nodes", setup.nodes),
            ("coalesce", setup.coalesce),
        ];
        let (server, ready) = Process::start(setup.program, &arguments)?;
        let (mut load, _) = Process::start("load", &[])?;
        load.ask(&format!(
            "server port={} clusters={} sotw={} address={} receive={}",
            get(&ready, "port"),
            get(&ready, "clusters"),
            u64::from(setup.sotw),
            u64::from(setup.program == "pipeline"),
            setup.receive,
        ))?;
        Ok(Pair {
            setup,
            load,
            server,
        })
    }

    /// Connects all clients and lets them get everything.
    fn sync(&mut self, parallel: u64) -> Result<Row> {
        let idle = self.server.memory("VmRSS")?;
        let before = self.server.cpu()?;
        let proxies = self.setup.proxies;
        let answer = self
            .load
            .ask(&format!("connect count={proxies} parallel={parallel}"))?;
        pause(300);
        let mut row = Row::from([
            ("sync cpu", self.server.cpu()? - before),
            ("idle rss", idle),
            ("peak", self.server.memory("VmHWM")?),
        ]);
        copy(&mut row, &answer, &["synced", "messages", "mb", "cpu"]);
        row.insert("sync ms", get(&answer, "last_ms"));
        Ok(row)
    }

    /// Changes one assignment every `every` microseconds for `seconds`.
    fn steady(&mut self, every: u64, seconds: f64) -> Result<Row> {
        let client = get(&self.load.ask("mark")?, "cpu");
        let before = self.server.cpu()?;
        let span = (seconds * 1000.0) as u64;
        let ticked = self.server.ask(&format!("tick {every} {span}"))?;
        self.load.ask("settle")?;
        let cpu = self.server.cpu()? - before;
        let answer = self.load.ask("stats")?;
        let views = self.setup.nodes.max(1);
        let stale = self.load.ask(&format!("stale views={views}"))?;
        let (ticks, updates) = (get(&ticked, "ticked"), get(&answer, "updates"));
        let wanted = ticks * self.setup.proxies as f64;
        let mut row = Row::from([
            ("ticks", ticks),
            ("delivered", updates / wanted),
            ("lost", wanted - updates),
            ("cpu", cpu),
            ("deliveries/s", updates / seconds),
            ("per cpu", updates / cpu),
            ("stale", get(&stale, "stale")),
            ("peak", self.server.memory("VmHWM")?),
            ("client cpu", get(&answer, "cpu") - client),
        ]);
        let same = [
            "messages",
            "updates",
            "resources",
            "ended",
            "p50",
            "p90",
            "p99",
            "max",
            "mb",
        ];
        copy(&mut row, &answer, &same);
        row.insert("others", get(&answer, "resources") - updates);
        Ok(row)
    }
}

impl Pair {
    /// Watches the server's use of CPU for `span`; returns when it last used any worth the name.
    fn busy_until(&self, span: Duration) -> Result<u64> {
        let end = clock::now() + u64::try_from(span.as_nanos())?;
        let (mut busy, mut known) = (clock::now(), self.server.cpu()?);
        while clock::now() < end {
            pause(10);
            let cpu = self.server.cpu()?;
            if cpu - known > 0.001 {
                busy = clock::now();
            }
            known = cpu;
        }
        Ok(busy)
    }
}

/// W1: first sync, then one change every 100 ms.
pub(super) fn steady(setup: Setup, every: u64, seconds: f64) -> Result<(Row, Row)> {
    let mut pair = Pair::start(setup)?;
    let sync = pair.sync(setup.proxies)?;
    pause(300);
    Ok((sync, pair.steady(every, seconds)?))
}

/// W2: first sync of a large world.
pub(super) fn sync(setup: Setup) -> Result<Row> {
    Pair::start(setup)?.sync(setup.proxies)
}

/// W4: all connections are cut and come back with what they hold.
pub(super) fn reconnect(setup: Setup) -> Result<Row> {
    let mut pair = Pair::start(setup)?;
    pair.sync(setup.proxies)?;
    let client = get(&pair.load.ask("prepare")?, "cpu");
    pause(300);
    let before = pair.server.cpu()?;
    pair.load.send("reconnect pause=200 watch=4000")?;
    let busy = pair.busy_until(Duration::from_millis(4200))?;
    let answer = pair.load.answer()?;
    let mut row = Row::from([
        ("cpu", pair.server.cpu()? - before),
        ("busy ms", (busy as f64 - get(&answer, "start")) / 1e6),
        ("peak", pair.server.memory("VmHWM")?),
        ("client cpu", get(&answer, "cpu") - client),
    ]);
    copy(
        &mut row,
        &answer,
        &["mb", "resources", "messages", "last_ms", "ended"],
    );
    Ok(row)
}

/// Many streams that have nothing to do: what each costs, and whether a change reaches all.
pub(super) fn idle(setup: Setup) -> Result<Row> {
    let mut pair = Pair::start(setup)?;
    let empty = pair.server.memory("VmRSS")?;
    let mut row = pair.sync(500)?;
    pause(2000);
    let full = pair.server.memory("VmRSS")?;
    row.insert("kb each", (full - empty) * 1024.0 / setup.proxies as f64);
    row.insert("rss", full);
    let steady = pair.steady(1_000_000, 3.0)?;
    let figures = ["delivered", "lost", "p50", "p99", "max", "stale", "ended"];
    row.extend(figures.map(|figure| (figure, steady[figure])));
    Ok(row)
}

/// Changes before and after some clients stop reading, in bytes more than the kernel takes for
/// them.
pub(super) fn stall(setup: Setup, stalled: u64, seconds: f64) -> Result<Row> {
    let mut pair = Pair::start(setup)?;
    pair.sync(setup.proxies)?;
    let before = pair.steady(5000, seconds)?;
    let memory = pair.server.memory("VmRSS")?;
    pair.load.ask(&format!("stall count={stalled}"))?;
    let after = pair.steady(5000, seconds)?;
    let growth = pair.server.memory("VmRSS")? - memory;
    let reading = (setup.proxies - stalled) as f64 / setup.proxies as f64;
    Ok(Row::from([
        ("p99 before", before["p99"]),
        ("p99", after["p99"]),
        ("times", after["p99"] / before["p99"]),
        ("delivered", after["delivered"] / reading),
        ("stale", after["stale"]),
        ("sent", before["mb"] / setup.proxies as f64),
        ("growth", growth),
        ("each", growth / stalled as f64),
        ("peak", after["peak"]),
    ]))
}

fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

fn get(answer: &Answer, name: &str) -> f64 {
    answer.get(name).copied().unwrap_or(f64::NAN)
}

fn copy(row: &mut Row, answer: &Answer, names: &[&'static str]) {
    row.extend(names.iter().map(|name| (*name, get(answer, name))));
}
