//! The way of a change from an API server to a proxy, in a large cluster: 10,000 Services with 10
//! endpoints each.
//!
//! The API server is the tests' stand-in, in this process; Seaway is a process of its own, as is
//! usual. What the stand-in takes to write a change down and to send it is in the times.

#![expect(clippy::print_stdout, reason = "the figures are its output")]

mod large;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_proto::TypeUrl;
use seaway_proto::discovery::{
    AggregatedDiscoveryServiceClient, DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use seaway_proto::envoy::core::Node;
use seaway_testing::ApiServer;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use large::{ENDPOINTS, SERVICES, Server, free_port, service_json, slice_json};

/// Changes that are timed, one after the other.
const CHANGES: u32 = 1000;
/// Between two changes: longer than the window in which changes are collected.
const QUIET: Duration = Duration::from_millis(15);

fn main() -> Result<()> {
    // `cargo test --benches` runs each benchmark once; a full server is not worth that.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    let api = ApiServer::start()?;
    api.load((0..SERVICES).flat_map(|number| [service_json(number), slice_json(number, 0)]))?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    api.kubeconfig(&kubeconfig)?;
    for streams in [true, false] {
        api.configure(|settings| settings.streaming_lists = streams);
        let lists = if streams { "as streams" } else { "in pages" };
        let started = Instant::now();
        let port = free_port()?;
        let mut server = Server::start(port, |command| {
            command.arg("--kube").env("KUBECONFIG", &kubeconfig);
        })?;
        server.wait_ready()?;
        let ready = started.elapsed();
        println!(
            "\nseaway serve with {SERVICES} Services x {ENDPOINTS} endpoints from an API server, lists {lists}: ready after {ready:.1?}, \
             sending the lists included"
        );
        server.print_memory()?;
        let times = changes(&api, port).await?;
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        println!(
            "  one slice changed, to a proxy: median {:.2?}, p99 {:.2?}, slowest {:.2?} of {CHANGES}",
            at(0.5),
            at(0.99),
            at(1.0)
        );
        server.print_memory()?;
    }
    Ok(())
}

/// How long changes of single slices take to reach a proxy, sorted.
async fn changes(api: &ApiServer, port: u16) -> Result<Vec<Duration>> {
    let number = |change: u32| (change * 7919) % SERVICES;
    let names = (0..CHANGES).map(|change| assignment(number(change)));
    let mut proxy = Proxy::connect(port, names.collect()).await?;
    let mut times = Vec::new();
    for change in 0..CHANGES {
        tokio::time::sleep(QUIET).await;
        let number = number(change);
        let begin = Instant::now();
        let changed = slice_json(number, 1);
        let meta = &changed["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        api.edit(
            "endpointslices",
            &text(&meta["namespace"]),
            &text(&meta["name"]),
            |slice| {
                slice["endpoints"] = changed["endpoints"].clone();
            },
        )?;
        let response = proxy.next().await?;
        times.push(begin.elapsed());
        let sent: Vec<_> = response
            .resources
            .iter()
            .map(|resource| resource.name.as_str())
            .collect();
        ensure!(sent == [assignment(number)], "sent {sent:?}");
    }
    times.sort();
    // As it was, for the next run.
    for change in 0..CHANGES {
        api.apply(slice_json(number(change), 0))?;
    }
    Ok(times)
}

fn assignment(number: u32) -> String {
    format!("team-{}/service-{number}/80", number % 100)
}

/// A proxy that watches assignments.
struct Proxy {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Proxy {
    async fn connect(port: u16, names: Vec<String>) -> Result<Self> {
        let (requests, receiver) = mpsc::channel(8);
        let (count, node) = (
            names.len(),
            Node {
                id: "bench".into(),
                ..Node::default()
            },
        );
        let first = DeltaDiscoveryRequest {
            node: Some(node),
            type_url: TypeUrl::ENDPOINT.as_str().into(),
            resource_names_subscribe: names,
            ..DeltaDiscoveryRequest::default()
        };
        requests.send(first).await?;
        let mut client =
            AggregatedDiscoveryServiceClient::connect(format!("http://127.0.0.1:{port}")).await?;
        let responses = client
            .delta_aggregated_resources(ReceiverStream::new(receiver))
            .await?;
        let mut proxy = Self {
            requests,
            responses: responses.into_inner(),
        };
        let mut got = 0;
        while got < count {
            got += proxy.next().await?.resources.len();
        }
        Ok(proxy)
    }

    /// The next response, acknowledged.
    async fn next(&mut self) -> Result<DeltaDiscoveryResponse> {
        let response = self
            .responses
            .message()
            .await?
            .context("the stream ended")?;
        let ack = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(ack).await?;
        Ok(response)
    }
}
