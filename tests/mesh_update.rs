//! Mesh proxies of before: from one table to scopes while requests are under way, and who stays
//! with the table.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_proto::envoy::core::Node;
use seaway_testing::{
    Ask, Client, Connection, Envoy, EnvoyOptions, Inside, Load, MESH, Namespace, Record,
    ServiceManifest, SliceManifest, World, bootstrap, join,
};
use seaway_translator::{Object, Options, Role, View, read, translate_once};
use seaway_xds::{
    Admission, Admit, AdsServer, Authenticated, Caller, Commit, Dialect, LayerId, Metrics,
    PlacementId, Replace, ServerConfig, Types, channel, serve,
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

/// How long the slow requests take.
const SLOW: &str = "2500";

/// A control plane that has nothing but the table for anybody, as Seaway was before scopes.
struct Older {
    _stop: DropGuard,
    _thread: Inside<Result<()>>,
}

impl Older {
    fn start(namespace: &Namespace, address: SocketAddr, manifests: &str) -> Result<Self> {
        let view = View {
            whole_table: true,
            ..View::of(Role::Mesh)
        };
        let objects = manifests.split("\n---\n").map(object);
        let objects: Vec<Object> = objects.collect::<Result<_>>()?;
        let resources = translate_once(Options::default(), objects, &view).resources;
        let everybody = PlacementId(0);
        let all = Replace {
            origin: "older".into(),
            resources: resources
                .into_values()
                .map(|resource| (LayerId(0), resource))
                .collect(),
            ..Replace::default()
        };
        let commit = Commit {
            replace: vec![all],
            placements: vec![(everybody, Some(vec![LayerId(0)]))],
            since: None,
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = namespace.thread("older", move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let (mut publisher, snapshots) = channel(Types::envoy());
                publisher.commit(commit);
                let config = ServerConfig::default();
                let server = AdsServer::new(snapshots, LetAllIn, config, Metrics::default());
                serve(TcpListener::bind(address).await?, server, stopped).await?;
                Ok(())
            })
        })?;
        Ok(Self {
            _stop: stop.drop_guard(),
            _thread: thread,
        })
    }
}

struct LetAllIn;

impl Admit for LetAllIn {
    type Permissions = ();

    async fn authenticate(&self, _: Caller<'_>) -> Result<Authenticated<()>, Status> {
        Ok(Authenticated::anybody())
    }

    async fn admit(&self, (): &(), _: &Node, _: Dialect) -> Result<Admission, Status> {
        Ok(Admission {
            placement: PlacementId(0),
            forbidden: &[],
            on_demand: None,
            about: Vec::new(),
            lease: Box::new(()),
        })
    }
}

fn object(document: &str) -> Result<Object> {
    let value: Value = seaway_proto::json::from_yaml(document)?;
    let read = match value["kind"].as_str() {
        Some("Service") => read::service(&serde_json::from_value(value)?),
        _ => read::endpoint_slice(&serde_json::from_value(value)?),
    };
    read.map_err(|problem| anyhow::anyhow!("{problem:?}"))
}

fn service(name: &str, endpoint: &str) -> String {
    let service = ServiceManifest::new(name).port("http", 80);
    let slice = SliceManifest::new(name)
        .port("http", 8080)
        .endpoint(endpoint);
    join([service.document(), slice.document()])
}

fn client(host: &str) -> Client {
    Client::new(MESH).host(host)
}

fn settle(envoy: &Envoy, host: &str, backend: &str) -> Result<()> {
    let what = format!("{backend} to answer for {host}");
    let is = |outcome: &seaway_testing::Outcome| outcome.backend() == Some(backend);
    envoy.await_outcome(&client(host), &what, is).map(drop)
}

/// Whether the Envoy is older than those that ask for scopes at any time (envoy#43392).
fn is_old(envoy: &Envoy) -> Result<bool> {
    let info: Value = serde_json::from_str(&envoy.admin("/server_info")?)?;
    let version = info["version"].as_str().and_then(|v| v.split('/').nth(1));
    let minor = version.and_then(|version| version.split('.').nth(1));
    Ok(minor.context("no version")?.parse::<u32>()? < 38)
}

/// Whether its routes are the table.
fn has_table(envoy: &Envoy) -> Result<bool> {
    let dump: Value =
        serde_json::from_str(&envoy.admin("/config_dump?resource=dynamic_listeners")?)?;
    let text = dump.to_string();
    let (table, scopes) = ("\"route_config_name\"", "\"scope_key_builder\"");
    ensure!(text.contains(table) != text.contains(scopes), "{text}");
    Ok(text.contains(table))
}

/// A world in which an Envoy with this bootstrap has a table from an older control plane; then that
/// is replaced by Seaway while requests are under way. `then` says whether it has the table still.
fn update(
    config: impl FnOnce(String) -> String,
    then: impl FnOnce(&Envoy) -> Result<bool>,
) -> Result<()> {
    World::run(|world| {
        let _web = world.backend("web-1", "10.244.1.10")?;
        let backend = world.echo_at("slow-1", "10.244.1.11:8080")?;
        let before = join([
            service("web", "10.244.1.10"),
            service("slow", "10.244.1.11"),
        ]);
        world.manifests().save("before.yaml", &before)?;
        world.start_seaway(&[])?;
        let seaway = world.seaway()?.address();
        let older_address = SocketAddr::new(seaway.ip(), 18009);
        let _older = Older::start(world.fabric(), older_address, &before)?;
        let relay = world.relay()?;
        relay.lead_to(older_address);
        let options = EnvoyOptions {
            control_plane: Some(relay.address()),
            drain_seconds: Some(5),
            ..World::mesh_options(&[])
        };
        let options = EnvoyOptions {
            config: Some(config(bootstrap("mesh", &options)?)),
            ..options
        };
        let envoy = world.start_envoy("mesh", &options)?;
        settle(&envoy, "web.default", "web-1")?;
        ensure!(has_table(&envoy)?, "it has scopes from the older one");

        let load = Load::start(envoy.namespace(), client("web.default"), 200)?;
        let kept = Load::keep_alive(
            envoy.namespace(),
            client("web.default"),
            Duration::from_millis(5),
        )?;
        let slow = [false, true].map(|http2| slow_request(&envoy, http2));
        // They are under way when the backend has them.
        seaway_testing::eventually("both requests to be under way", || {
            ensure!(backend.requests() == 2, "{}", backend.requests());
            Ok(())
        })?;
        world
            .manifests()
            .save("after.yaml", &service("after", "10.244.1.10"))?;
        relay.lead_to(seaway);
        settle(&envoy, "after.default", "web-1")?;
        ensure!(has_table(&envoy)? == then(&envoy)?, "the other form");
        for slow in slow {
            let status = slow.join().map_err(|_| anyhow::anyhow!("a panic"))??;
            ensure!(status == 200, "{status}");
        }
        for load in [load, kept] {
            let records = load.stop()?;
            let failures = Record::failures(&records);
            ensure!(failures.is_none(), "{failures:?}");
            ensure!(records.len() > 50, "only {}", records.len());
        }
        settle(&envoy, "WEB.default:80", "web-1")
    })
}

/// A request that is under way for longer than an update takes: its status.
fn slow_request(envoy: &Arc<Envoy>, http2: bool) -> thread::JoinHandle<Result<u16>> {
    let envoy = envoy.clone();
    thread::spawn(move || {
        let mut connection = Connection::open(envoy.namespace(), MESH, http2)?;
        let ask = Ask::get("slow.default", "/").header("echo-delay", SLOW);
        Ok(connection.ask(&ask)?.status)
    })
}

#[test]
fn a_table_becomes_scopes_without_a_failed_request() -> Result<()> {
    update(|config| config, |_| Ok(false))
}

/// The bootstrap of before says nothing of routes, and has no listener that asks for scopes. An
/// Envoy that could not ask for them now would answer with 404.
#[test]
fn with_a_bootstrap_of_before_only_an_envoy_that_can_leaves_its_table() -> Result<()> {
    let before = |config: String| {
        let (head, rest) = config.split_once("  listeners:\n").unwrap_or((&config, ""));
        let rest = rest.find("admin:\n").map_or("", |end| &rest[end..]);
        let rest = rest.to_owned();
        head.replace("      routes: scopes\n", "") + &rest
    };
    update(before, is_old)
}
