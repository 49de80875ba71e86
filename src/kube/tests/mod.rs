//! The whole source against a stand-in for the API server, with a checkpoint of the last run.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context as Cx, Poll};

use anyhow::{Context, Result, ensure};
use prometheus_client::registry::Registry;
use seaway_testing::ApiServer;
use seaway_translator::{Change, Object};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::codegen::{Body, Bytes, Service, http};

use super::client::Source;
use super::*;
use crate::admin::health::Health;
use crate::process::supervise::{Ended, supervisor};
use crate::source::checkpoint::{self, Memory};

mod freshness;
mod optional;
mod secrets;
mod status;

/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(20);

struct Running {
    updates: mpsc::Receiver<Update>,
    health: Health,
    watches: Watches,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A client of the server; its kubeconfig is written into the folder.
pub(super) async fn client(server: &ApiServer, folder: &Path) -> Result<Client> {
    let kubeconfig = folder.join("kubeconfig");
    server.kubeconfig(&kubeconfig)?;
    let files = vec![kubeconfig];
    Client::open(Source::Kubeconfig { files }).await
}

/// Waits until `look` succeeds.
pub(super) async fn until(what: &str, look: impl Fn() -> Result<()>) -> Result<()> {
    let end = now() + LIMIT;
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(why) if now() > end => return Err(why.context(format!("waited for {what}"))),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// What surrounds a source that tells this channel.
fn surroundings(updates: mpsc::Sender<Update>) -> (SourceContext, Ended) {
    let (supervisor, ended) = supervisor();
    let around = SourceContext {
        updates,
        problems: tokio::sync::watch::channel(Default::default()).1,
        watches: Watches::default(),
        errors: Default::default(),
        instance: "test".to_owned(),
        status: None,
        memory: None,
        supervisor,
    };
    (around, ended)
}

fn wanted(namespaces: &[&str]) -> Wanted {
    Wanted {
        namespaces: namespaces.iter().map(|name| (*name).into()).collect(),
        service_selector: None,
        // The stand-in sends no bookmarks of itself, and tests may wait long for their turn.
        silence: 15 * LIMIT,
        probing: Probing::every(Duration::ZERO),
        kinds: ObjectKind::TABLE,
        pace: Pace::default(),
    }
}

/// Starts the source on the server as `seaway serve --checkpoint` does.
async fn start(server: &ApiServer, folder: &Path, namespaces: &[&str]) -> Result<Running> {
    start_with(server, folder, wanted(namespaces)).await
}

async fn start_with(server: &ApiServer, folder: &Path, wanted: Wanted) -> Result<Running> {
    let client = client(server, folder).await?;
    let metrics = checkpoint::Metrics::default();
    let (found, keeper) = checkpoint::open(&folder.join("kept"), "kube:test", &metrics)?;
    let (sender, updates) = mpsc::channel(1024);
    let (health, watches) = (Health::default(), Watches::default());
    let memory = Memory {
        found,
        keeper,
        grace: Duration::from_millis(300),
        health: health.clone(),
    };
    let around = SourceContext {
        memory: Some(memory),
        watches: watches.clone(),
        ..surroundings(sender).0
    };
    let events = EventMetrics::register(&mut Registry::default());
    let kube = Kube::start(&client, &wanted, around, events);
    let stop = CancellationToken::new();
    let task = tokio::spawn(kube.run(stop.clone()));
    Ok(Running {
        updates,
        health,
        watches,
        stop,
        task,
    })
}

impl Running {
    /// The next update, in short: `+a` and `-a`.
    async fn next(&mut self) -> Result<Vec<String>> {
        self.next_update().await.map(|(changes, _)| changes)
    }

    /// The next update, in short, and whether Secrets have yet to be read.
    async fn next_update(&mut self) -> Result<(Vec<String>, bool)> {
        let update = timeout(LIMIT, self.updates.recv()).await?;
        let update = update.context("the source has ended")?;
        ensure!(update.synced, "{update:?}");
        let short = |change: &Change| match change {
            Change::Apply(Object::Service(service)) => format!("+{}", service.key),
            Change::Apply(other) => format!("+{}", other.id()),
            Change::Delete(id) => format!("-{}/{}", id.namespace, id.name),
        };
        let changes = update.changes.iter().map(short).collect();
        Ok((changes, update.awaits_secrets))
    }

    /// Waits until no watch fails and all are synced.
    async fn well(&self) -> Result<()> {
        let well = async {
            while !self.watches.degraded().is_empty() || self.health.stale().is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let well = timeout(LIMIT, well).await;
        well.with_context(|| {
            let (watches, stale) = (self.watches.degraded(), self.health.stale());
            format!("not well: {watches:?}, {stale:?}")
        })
    }

    async fn end(self) -> Result<()> {
        self.stop.cancel();
        Ok(timeout(LIMIT, self.task).await??)
    }
}

fn service(namespace: &str, name: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
    })
}

/// A server with two Services, of which a checkpoint has been written.
async fn remembered(folder: &Path) -> Result<ApiServer> {
    let server = ApiServer::start()?;
    server.apply(service("shop", "a"))?;
    server.apply(service("shop", "b"))?;
    let mut first = start(&server, folder, &[]).await?;
    ensure!(first.next().await? == ["+shop/a", "+shop/b"]);
    first.end().await?;
    Ok(server)
}

#[tokio::test]
async fn a_restart_while_the_server_is_away_begins_with_the_checkpoint() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = remembered(folder.path()).await?;
    server.refuse()?;
    let mut second = start(&server, folder.path(), &[]).await?;
    assert_eq!(second.next().await?, ["+shop/a", "+shop/b"]);
    let stale = second.health.stale().context("not stale")?;
    assert!(stale.why.contains("watch of services: failing"), "{stale}");
    // What changed in the meantime is all that is told, and then it is a world like any other.
    server.delete("services", "shop", "a")?;
    server.apply(service("shop", "c"))?;
    server.listen()?;
    assert_eq!(second.next().await?, ["-shop/a", "+shop/c"]);
    second.well().await?;
    second.end().await?;
    let third = start(&server, folder.path(), &[]).await?;
    third.well().await?;
    server.refuse()?;
    third.end().await?;
    let mut fourth = start(&server, folder.path(), &[]).await?;
    assert_eq!(fourth.next().await?, ["+shop/b", "+shop/c"]);
    Ok(())
}

#[tokio::test]
async fn a_server_that_answers_in_time_is_waited_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = remembered(folder.path()).await?;
    server.delete("services", "shop", "a")?;
    let mut second = start(&server, folder.path(), &[]).await?;
    // Nobody has been told of the other one yet.
    let told = second.next().await?;
    assert!(
        told.contains(&"+shop/b".to_owned()) && !told.contains(&"+shop/a".to_owned()),
        "{told:?}"
    );
    assert_eq!(second.health.stale(), None);
    Ok(())
}

#[tokio::test]
async fn each_list_that_is_read_replaces_its_part_of_the_checkpoint() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = remembered(folder.path()).await?;
    server.forbid("*", "nodes");
    server.delete("services", "shop", "a")?;
    let mut second = start(&server, folder.path(), &[]).await?;
    let told = second.next().await?;
    assert!(
        told.contains(&"+shop/b".to_owned()) && !told.contains(&"+shop/a".to_owned()),
        "{told:?}"
    );
    let stale = second.health.stale().context("not stale")?;
    assert!(
        stale.why.contains("watch of nodes") && !stale.why.contains("services"),
        "{stale}"
    );
    server.apply(service("shop", "c"))?;
    assert_eq!(second.next().await?, ["+shop/c"]);
    server.allow("*", "nodes");
    second.well().await
}

#[tokio::test]
async fn what_is_no_longer_watched_is_not_remembered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = remembered(folder.path()).await?;
    server.refuse()?;
    let mut second = start(&server, folder.path(), &["elsewhere"]).await?;
    assert_eq!(second.next().await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn without_a_checkpoint_nothing_is_told_before_every_list_is_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    server.apply(service("shop", "a"))?;
    server.forbid("*", "nodes");
    let mut first = start(&server, folder.path(), &[]).await?;
    let early = timeout(Duration::from_secs(1), first.updates.recv()).await;
    assert!(early.is_err(), "{early:?}");
    server.allow("*", "nodes");
    assert_eq!(first.next().await?, ["+shop/a"]);
    Ok(())
}

/// An API server whose answers about Nodes make their reader panic.
#[derive(Clone, Debug)]
struct Trap;

impl Service<http::Request<::kube::client::Body>> for Trap {
    type Response = http::Response<TrapBody>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Cx<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<::kube::client::Body>) -> Self::Future {
        let springs = request.uri().path().ends_with("/nodes");
        std::future::ready(Ok(http::Response::new(TrapBody { springs })))
    }
}

/// Never ends, unless it panics.
struct TrapBody {
    springs: bool,
}

impl Body for TrapBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Cx<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        assert!(!self.springs, "out of luck");
        Poll::Pending
    }
}

/// One resource would stay frozen, and nothing would show it.
#[tokio::test]
async fn a_watch_that_panics_is_a_reason_to_end_the_process() -> Result<()> {
    let (sender, _updates) = mpsc::channel(1);
    let (around, mut ended) = surroundings(sender);
    let client = Client::of(::kube::Client::new(Trap, "default"));
    let events = EventMetrics::register(&mut Registry::default());
    let _kube = Kube::start(&client, &wanted(&[]), around, events);
    let failure = timeout(LIMIT, ended.next()).await?.to_string();
    for word in ["the watch of nodes ended", "out of luck"] {
        ensure!(failure.contains(word), "{failure}");
    }
    Ok(())
}
