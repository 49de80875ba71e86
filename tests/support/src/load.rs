//! Loads: a steady one of new connections, open loop (a slow answer never delays the next request),
//! and one over a connection that is kept.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HOST};
use hyper_util::rt::TokioIo;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::client::{outcome, read};
use crate::namespace::Inside;
use crate::{Answer, Client, Namespace, Outcome};

/// One request of a [`Load`].
#[derive(Clone, Debug)]
pub struct Record {
    /// Before the connection was opened.
    pub start: Instant,
    /// After the last byte of the answer, or the failure.
    pub end: Instant,
    /// What became of it.
    pub outcome: Outcome,
}

/// A running load. It ends when [`Load::stop`] is called or it is dropped.
#[derive(Debug)]
pub struct Load {
    stop: Option<oneshot::Sender<()>>,
    thread: Inside<Result<Vec<Record>>>,
}

impl Load {
    /// Sends `rate` requests a second (1-2000), each over a new connection, from inside
    /// `namespace`.
    pub fn start(namespace: &Namespace, client: Client, rate: u32) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = namespace.thread("load", move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(run(
                client,
                Duration::from_secs(1) / rate.clamp(1, 2000),
                stopped,
            ))
        })?;
        Ok(Self {
            stop: Some(stop),
            thread,
        })
    }

    /// Sends requests over one connection, one after the other with a pause between, from inside
    /// `namespace`; connects again only when the server has said that it closes the connection, or
    /// after a failure.
    pub fn keep_alive(namespace: &Namespace, client: Client, pause: Duration) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = namespace.thread("keep-alive", move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(stay(client, pause, stopped))
        })?;
        Ok(Self {
            stop: Some(stop),
            thread,
        })
    }

    /// Ends the load, waits for the last answers and returns all records in the order of their
    /// ends.
    pub fn stop(mut self) -> Result<Vec<Record>> {
        self.stop = None;
        self.thread.join()?
    }
}

/// Starts a request at every tick until told to stop.
async fn run(
    client: Client,
    pause: Duration,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Vec<Record>> {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut running = JoinSet::new();
    let mut records = Vec::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = ticks.tick() => {
                let client = client.clone();
                running.spawn(async move {
                    let start = Instant::now();
                    let outcome = client.send().await;
                    Record { start, end: Instant::now(), outcome }
                });
            }
            Some(done) = running.join_next() => records.push(done.map_err(|error| anyhow!("a request panicked: {error}"))?),
        }
    }
    while let Some(done) = running.join_next().await {
        records.push(done.map_err(|error| anyhow!("a request panicked: {error}"))?);
    }
    Ok(records)
}

/// Asks over one connection until told to stop.
async fn stay(
    client: Client,
    pause: Duration,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Vec<Record>> {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut connection, mut records) = (None, Vec::new());
    loop {
        tokio::select! {
            _ = &mut stopped => return Ok(records),
            _ = ticks.tick() => {
                let start = Instant::now();
                let outcome = outcome(again(&client, &mut connection)).await;
                records.push(Record { start, end: Instant::now(), outcome });
            }
        }
    }
}

/// One request over `connection`, or over a new one when there is none.
async fn again(
    client: &Client,
    connection: &mut Option<SendRequest<Empty<Bytes>>>,
) -> Result<Answer> {
    let mut sender = match connection.take() {
        Some(sender) => sender,
        None => {
            let stream = client.connect().await?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(driver);
            sender
        }
    };
    let request = Request::get("/").header(HOST, &client.host);
    let response = sender
        .send_request(request.body(Empty::<Bytes>::new())?)
        .await?;
    let closing = response.headers().get(CONNECTION).is_some();
    let answer = read(response).await?;
    // The server may have closed without a word: then the next request fails, as it would for any
    // client.
    *connection = (!closing).then_some(sender);
    Ok(answer)
}

impl Record {
    /// The records without a successful answer, as "3 x connection refused, 1 x timed out"; `None`
    /// when there are none.
    pub fn failures(records: &[Self]) -> Option<String> {
        let mut failures = BTreeMap::<String, usize>::new();
        for record in records
            .iter()
            .filter(|record| record.outcome.backend().is_none())
        {
            *failures.entry(record.outcome.to_string()).or_default() += 1;
        }
        let listed: Vec<String> = failures
            .iter()
            .map(|(failure, count)| format!("{count} x {failure}"))
            .collect();
        (!listed.is_empty()).then(|| listed.join(", "))
    }

    /// How many requests each backend answered.
    pub fn answered_by(records: &[Self]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for backend in records.iter().filter_map(|record| record.outcome.backend()) {
            *counts.entry(backend.to_owned()).or_default() += 1;
        }
        counts
    }

    /// The start of the last request that `backend` answered.
    pub fn last_start(records: &[Self], backend: &str) -> Option<Instant> {
        records
            .iter()
            .filter(|record| record.outcome.backend() == Some(backend))
            .map(|record| record.start)
            .max()
    }
}
