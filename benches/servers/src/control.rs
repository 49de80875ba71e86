//! A server process: says where it listens, changes resources when it is told to, ends with its
//! standard input.
//!
//! `tick EVERY_MICROSECONDS FOR_MILLISECONDS` on standard input changes one assignment after the
//! other and is answered by `ticked=COUNT`. A server that falls behind makes fewer changes.

use std::io::{BufRead, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::world::{Size, pick};

/// All connections of a workload come at once.
const BACKLOG: u32 = 4096;

/// What a server is started with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The world to serve.
    pub size: Size,
    /// Over how many layers, for the servers that have them: 0 is one for all.
    pub nodes: u32,
    /// The coalescing window, in milliseconds.
    pub coalesce: u32,
    /// How many proxies connect, for servers that must know each beforehand.
    pub proxies: u32,
}

impl Options {
    /// From `--name number` pairs.
    pub fn from_args() -> Result<Options> {
        let mut options = Options {
            size: Size {
                services: 1000,
                endpoints: 10,
            },
            nodes: 0,
            coalesce: 10,
            proxies: 500,
        };
        let mut args = std::env::args().skip(1);
        while let Some(name) = args.next() {
            let value = args.next().context("a number is missing")?.parse()?;
            match name.as_str() {
                "--services" => options.size.services = value,
                "--endpoints" => options.size.endpoints = value,
                "--nodes" => options.nodes = value,
                "--coalesce" => options.coalesce = value,
                "--proxies" => options.proxies = value,
                _ => bail!("unknown argument {name}"),
            }
        }
        Ok(options)
    }
}

/// What a tick does to a server.
pub trait Target: Send + 'static {
    /// Changes this service's assignment, which is to carry `stamp`.
    fn change(&mut self, service: u32, stamp: u64);

    /// When changes that are not yet published are to be.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Publishes them.
    fn flush(&mut self) {}
}

/// A listener with room for everybody.
pub fn listen() -> Result<TcpListener> {
    crate::load::raise_file_limit()?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    Ok(socket.listen(BACKLOG)?)
}

/// Says where the server listens and how many clusters a client gets, and does what standard input
/// says until it ends.
pub async fn obey(port: u16, clusters: u32, size: Size, mut target: impl Target) -> Result<()> {
    let mut lines = lines();
    say(&format!("port={port} clusters={clusters}"))?;
    let mut ticks = 0;
    while let Some(line) = lines.recv().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["tick", every, span] = words[..] else {
            bail!("no such command: {line}");
        };
        let every = Duration::from_micros(every.parse()?);
        let span = Duration::from_millis(span.parse()?);
        let count = tick(&mut target, size, &mut ticks, every, span).await;
        say(&format!("ticked={count}"))?;
    }
    Ok(())
}

async fn tick(
    target: &mut impl Target,
    size: Size,
    ticks: &mut u64,
    every: Duration,
    span: Duration,
) -> u64 {
    let (first, start) = (*ticks, Instant::now());
    let mut next = start;
    loop {
        let now = Instant::now();
        if target.due().is_some_and(|due| due <= now) {
            target.flush();
            continue;
        }
        let over = next >= start + span;
        if over && target.due().is_none() {
            return *ticks - first;
        }
        if !over && next <= now {
            target.change(pick(*ticks, size), crate::clock::now());
            *ticks += 1;
            while next <= now {
                next += every;
            }
            continue;
        }
        let next = (!over).then_some(next);
        let wake = next.into_iter().chain(target.due()).min();
        sleep_until(wake.unwrap_or(now)).await;
    }
}

/// Standard input by lines. A thread of its own, which ends with the process.
pub fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        for line in lines.map_while(std::io::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Writes a line to whoever started this process.
pub fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
