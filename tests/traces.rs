//! `serve --otlp-endpoint`: a collector gets a trace of each commit, and none costs anything.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use seaway_testing::certs::Ca;
use seaway_testing::{
    Ask, Connection, Namespace, ServiceManifest, SliceManifest, World, eventually, within,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// Where the collector is, in the fabric.
const COLLECTOR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4317);
/// Every commit is traced.
const FLAGS: [&str; 2] = ["--otlp-endpoint=http://127.0.0.1:4317", "--otlp-sample=1"];
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a collector has been sent.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<ResourceSpans>>>);

impl Received {
    fn all(&self) -> MutexGuard<'_, Vec<ResourceSpans>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service of a collector.
struct Service {
    received: Received,
    /// Whether it keeps its answers to itself.
    hangs: bool,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans;
        self.received.all().extend(spans);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector that runs until this is dropped.
struct Collector {
    received: Received,
    _stop: oneshot::Sender<()>,
}

impl Collector {
    fn start(namespace: &Namespace, hangs: bool) -> Result<Collector> {
        Collector::start_with(namespace, hangs, None)
    }

    fn start_with(
        namespace: &Namespace,
        hangs: bool,
        tls: Option<ServerTlsConfig>,
    ) -> Result<Collector> {
        let received = Received::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (up, is_up) = std::sync::mpsc::channel();
        let service = Service {
            received: received.clone(),
            hangs,
        };
        namespace.thread("collector", move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind(COLLECTOR).await?;
                up.send(())?;
                let mut server = Server::builder();
                if let Some(tls) = tls {
                    server = server.tls_config(tls)?;
                }
                let server = server.add_service(TraceServiceServer::new(service));
                let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
                tokio::select! {
                    ended = serving => Ok(ended?),
                    _ = stopped => Ok(()),
                }
            })
        })?;
        is_up.recv_timeout(PATIENCE).context("no collector")?;
        Ok(Collector {
            received,
            _stop: stop,
        })
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.all();
        let scopes = received.iter().flat_map(|of| &of.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The spans of the trace of a commit, the whole first.
    fn trace(&self, commit: i64) -> Result<Vec<Span>> {
        let all = self.spans();
        let mut roots = all.iter().filter(|span| span.parent_span_id.is_empty());
        let root = roots.find(|span| said(span).get("seaway.commit") == Some(&commit.to_string()));
        let root = root.context("no trace of this commit")?.clone();
        let parts = all.into_iter();
        let parts = parts.filter(|span| span.parent_span_id == root.span_id);
        Ok([root.clone()].into_iter().chain(parts).collect())
    }
}

fn values(of: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |one: &KeyValue| match one.value.clone()?.value? {
        Any::StringValue(text) => Some(text),
        Any::IntValue(number) => Some(number.to_string()),
        Any::BoolValue(is) => Some(is.to_string()),
        other => Some(format!("{other:?}")),
    };
    of.iter()
        .map(|one| (one.key.clone(), value(one).unwrap_or_default()))
        .collect()
}

/// The attributes of a span.
fn said(span: &Span) -> BTreeMap<String, String> {
    values(&span.attributes)
}

fn manifests(endpoint: &str) -> [String; 2] {
    let service = ServiceManifest::new("web")
        .cluster_ip("10.96.0.10")
        .port("http", 80);
    let slice = SliceManifest::new("web").port("http", 8080);
    [service.document(), slice.endpoint(endpoint).document()]
}

/// A Seaway of a cluster, with an Envoy that has a Service of it.
fn with_proxy(flags: &[&str], test: impl FnOnce(&mut World, &Change) -> Result<()>) -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        for manifest in manifests("10.244.1.10") {
            server.apply_yaml(&manifest)?;
        }
        world.start_seaway_on(&server, flags)?;
        let _node = world.start_node("n1", "a")?;
        eventually("the proxy has everything", || {
            let list: Value = serde_json::from_str(&world.admin("/api/v1/proxies")?)?;
            ensure!(list["items"][0]["state"] == "synced", "{list}");
            Ok(())
        })?;
        let apply = |number: u8| {
            let [_, slice] = manifests(&format!("10.244.1.{number}"));
            server.apply_yaml(&slice)
        };
        test(world, &apply)
    })
}

/// Gives the Service this endpoint alone.
type Change<'a> = dyn Fn(u8) -> Result<()> + 'a;

/// Changes the endpoint, and waits until the proxy has answered; returns what is known of it.
fn change(world: &World, apply: &Change, number: u8) -> Result<Value> {
    let newest = |world: &World| -> Result<Value> {
        let list = world.admin("/api/v1/changes?limit=1")?;
        Ok(serde_json::from_str::<Value>(&list)?["items"][0].clone())
    };
    let before = newest(world)?["commit"].clone();
    apply(number)?;
    eventually("the change has its ACK", || {
        let row = newest(world)?;
        let is_new = row["commit"] != before && row["ack_ms"].is_number();
        ensure!(is_new && row["waiting"] == 0, "{row}");
        // Why there was a commit is known a moment after it.
        ensure!(row["causes"] != json!([]), "{row}");
        Ok(row)
    })
}

/// How many spans have had this outcome.
fn outcome(world: &World, outcome: &str) -> Result<f64> {
    world.metric("seaway_otlp_spans_total", &format!("\"{outcome}\""))
}

/// A span that takes as long as the log of changes says, in milliseconds.
fn check_time(what: &str, nanos: u64, logged: &Value) -> Result<()> {
    let millis = nanos as f64 / 1e6;
    let logged = logged.as_f64().with_context(|| what.to_owned())?;
    ensure!((millis - logged).abs() < 1.0, "{what}: {millis}, {logged}");
    Ok(())
}

/// The delays name the trace of a commit.
fn check_exemplar(world: &World, commit: i64, trace: &[u8]) -> Result<()> {
    let at = "127.0.0.1:18001";
    let asked = Ask::get(at, "/metrics").header("accept", "application/openmetrics-text");
    let answer = Connection::open(world.fabric(), at.parse()?, false)?.ask(&asked)?;
    ensure!(answer.status == 200, "{answer:?}");
    let trace: String = trace.iter().map(|byte| format!("{byte:02x}")).collect();
    let exemplar = format!("# {{commit=\"{commit}\",trace_id=\"{trace}\"}}");
    for metric in ["to_sent", "to_ack"] {
        let begin = format!("seaway_change_{metric}_seconds_bucket");
        let mut lines = answer.body.lines();
        let found = lines.any(|line| line.starts_with(&begin) && line.contains(&exemplar));
        ensure!(found, "{metric}: no {exemplar} in {}", answer.body);
    }
    Ok(())
}

#[test]
fn the_trace_of_a_change_has_the_times_of_the_log_of_changes() -> Result<()> {
    with_proxy(&FLAGS, |world, apply| {
        let collector = Collector::start(world.fabric(), false)?;
        let row = change(world, apply, 11)?;
        let commit = row["commit"].as_i64().context("no number")?;
        let trace = within(PATIENCE, "the trace", || collector.trace(commit))?;
        let names: Vec<_> = trace.iter().map(|span| &*span.name).collect();
        let expected = ["commit", "translate and publish", "deliver endpoint"];
        ensure!(names == expected, "{names:?}");
        let [whole, made, delivered] = &*trace else {
            bail!("{trace:?}");
        };
        ensure!(trace.iter().all(|span| span.trace_id == whole.trace_id));
        check_exemplar(world, commit, &whole.trace_id)?;
        // When the event was read, which the log cuts to a millisecond.
        let nanos = i128::from(whole.start_time_unix_nano);
        let at = row["at"].as_str().context("no time")?;
        let at: k8s_openapi::jiff::Timestamp = at.parse()?;
        let apart = nanos - at.as_nanosecond();
        ensure!((-1_000_000..2_000_000).contains(&apart), "{apart} ns");
        let took = |span: &Span| span.end_time_unix_nano - whole.start_time_unix_nano;
        check_time("the whole", took(whole), &row["ack_ms"])?;
        let of = &row["types"][0];
        ensure!(of["type"] == "endpoint", "{row}");
        check_time("the delivery", took(delivered), &of["ack_ms"])?;
        let sent = delivered.events.first().context("no event")?;
        let sent = sent.time_unix_nano - whole.start_time_unix_nano;
        check_time("the last send", sent, &of["sent_ms"])?;
        ensure!(made.start_time_unix_nano == whole.start_time_unix_nano);
        ensure!(made.end_time_unix_nano == delivered.start_time_unix_nano);
        // Why, and how much.
        let (about, cause) = (said(whole), &row["causes"][0]);
        let is = |key: &str, value: &str| about.get(key).is_some_and(|said| said == value);
        let version = cause["version"].as_str();
        let version = version.with_context(|| format!("no version: {row}"))?;
        ensure!(is("seaway.cause.kind", "EndpointSlice"), "{about:?}");
        ensure!(is("seaway.cause.resource_version", version), "{about:?}");
        ensure!(is("seaway.streams", "1") && is("seaway.objects", "1"));
        ensure!(said(delivered)["seaway.bytes"] == of["bytes"].to_string());
        // Nothing names the proxy.
        let all = collector.spans();
        let named = all
            .iter()
            .find(|span| said(span).values().any(|text| text.contains("n1")));
        ensure!(named.is_none(), "{named:?}");
        let received = collector.received.all().clone();
        let sender = received[0].resource.clone().context("nobody")?;
        ensure!(values(&sender.attributes)["service.name"] == "seaway");
        within(PATIENCE, "the count", || {
            let sent = outcome(world, "sent")?;
            ensure!(sent >= collector.spans().len() as f64, "{sent}");
            Ok(())
        })
    })
}

#[test]
fn without_the_flag_nobody_looks_for_traces() -> Result<()> {
    with_proxy(&["--otlp-sample=1"], |world, apply| {
        let collector = Collector::start(world.fabric(), false)?;
        change(world, apply, 11)?;
        let metrics = world.admin("/metrics")?;
        ensure!(!metrics.contains("otlp"), "{metrics}");
        ensure!(collector.spans().is_empty());
        Ok(())
    })
}

#[test]
fn a_collector_that_hangs_holds_nothing_up() -> Result<()> {
    with_proxy(&FLAGS, |world, apply| {
        let collector = Collector::start(world.fabric(), true)?;
        let mut number = 10;
        // What it was sent and never answered is given up, while changes reach the proxy.
        within(PATIENCE, "spans are dropped", || {
            number += 1;
            let row = change(world, apply, number)?;
            ensure!(row["types"][0]["rejected"] == 0, "{row}");
            let dropped = outcome(world, "dropped")?;
            ensure!(dropped > 0.0, "{dropped}");
            Ok(())
        })?;
        ensure!(number > 12, "changes were held up");
        ensure!(!collector.spans().is_empty(), "it was sent none");
        ensure!(outcome(world, "sent")? == 0.0);
        let log = world.replica(0)?.log();
        let lines = log.matches("the collector does not take traces").count();
        ensure!(lines == 1, "{log}");
        Ok(())
    })
}

#[test]
fn a_collector_that_was_away_gets_the_traces_that_come_later() -> Result<()> {
    with_proxy(&FLAGS, |world, apply| {
        change(world, apply, 11)?;
        within(PATIENCE, "spans are dropped", || {
            let dropped = outcome(world, "dropped")?;
            ensure!(dropped > 0.0, "{dropped}");
            Ok(())
        })?;
        world.replica(0)?.log_line("does not take traces")?;
        let collector = Collector::start(world.fabric(), false)?;
        let row = change(world, apply, 12)?;
        let commit = row["commit"].as_i64().context("no number")?;
        within(PATIENCE, "the trace", || collector.trace(commit))?;
        world.replica(0)?.log_line("takes traces again")?;
        Ok(())
    })
}

/// The file with its authorities is read again after each failure.
#[test]
fn a_collector_whose_certificate_is_not_trusted_gets_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ca.crt");
    let (right, wrong) = (Ca::new("collectors")?, Ca::new("others")?);
    fs::write(&file, wrong.pem())?;
    let ca = format!("--otlp-ca={}", file.display());
    let flags = [
        "--otlp-endpoint=https://localhost:4317",
        "--otlp-sample=1",
        &ca,
    ];
    with_proxy(&flags, |world, apply| {
        let leaf = right.server(&["localhost"])?;
        let identity = Identity::from_pem(leaf.pem(), leaf.key_pem());
        let tls = ServerTlsConfig::new().identity(identity);
        let collector = Collector::start_with(world.fabric(), false, Some(tls))?;
        change(world, apply, 11)?;
        within(PATIENCE, "spans are dropped", || {
            let dropped = outcome(world, "dropped")?;
            ensure!(dropped > 0.0, "{dropped}");
            Ok(())
        })?;
        ensure!(collector.spans().is_empty() && outcome(world, "sent")? == 0.0);
        fs::write(&file, right.pem())?;
        let row = change(world, apply, 12)?;
        let commit = row["commit"].as_i64().context("no number")?;
        within(PATIENCE, "the trace", || collector.trace(commit)).map(drop)
    })
}
