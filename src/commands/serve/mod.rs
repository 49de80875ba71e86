//! `seaway serve`: starts and connects the parts of the control plane, and ends the process in
//! order.

mod channels;
mod input;
mod open_files;
mod peers;
mod security;
mod shown;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use seaway_translator::{Options, View};
use seaway_xds::{AdsServer, CommitWindow, Limits, LoadReports, ServerConfig, Snapshots, Types};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::admin::health::Health;
use crate::admin::watch_status::Watches;
use crate::admin::{self, Configs};
use crate::admission::identity::Verifier;
use crate::admission::proxy_admission::{ProxyAdmission, targets};
use crate::args::{LoadArgs, ServeArgs, ServerArgs};
use crate::inspect::metrics::Proxies;
use crate::kube::SourceContext;
use crate::loads::Loads;
use crate::peers::Exchange;
use crate::process::exit::Failure;
use crate::process::log;
use crate::process::metrics::Metrics;
use crate::process::signals::Signals;
use crate::process::supervise::{Ended, early, supervisor};
use crate::writer::{Lease, Published, Writer};
use channels::{inbox, outbox};
use input::{Input, Stop};
use peers::Surroundings;
use security::Secured;
use shown::Shown;

/// The backlog of listeners: how many connections the kernel queues while a fleet reconnects.
const BACKLOG: i32 = 4096;
/// The age at which connections are closed, so that proxies spread over replicas that come later.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(3600);
/// The longest time the source may take to end, a last write of its checkpoint included.
const LAST_SAVE: Duration = Duration::from_secs(5);

/// Serves until a signal asks the process to end.
pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    security::check(args.server.xds_listen, &args.security)?;
    peers::check(&args.peers, &args.security)?;
    let checked = args.shape.check_gateway_services(Some(&args.source));
    checked.map_err(Failure::unusable)?;
    let options = args.shape.options(args.source.files.is_some());
    log::init().map_err(Failure::Unusable)?;
    let room = open_files::share_out();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .context("starting the runtime")
        .map_err(Failure::Broken)?;
    let result = runtime.block_on(async {
        let input = Input::of(&args.source).await?;
        serve(args, options, input, room).await
    });
    // What still runs after the drain is not waited for.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// The running parts of `serve`, each of which ends the process when it ends.
struct Parts {
    source: tokio::task::JoinHandle<()>,
    writer: tokio::task::JoinHandle<()>,
    admin: tokio::task::JoinHandle<io::Result<()>>,
    xds: tokio::task::JoinHandle<Result<(), seaway_xds::ServeError>>,
    /// Reports the end of any other part that serving needs.
    others: Ended,
    /// Ends the source.
    stop: Stop,
}

/// Runs all parts until a signal or a failure. `room` is how many proxies' connections there are
/// open files for.
async fn serve(
    args: &ServeArgs,
    options: Options,
    input: Input,
    room: usize,
) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(Failure::Broken)?;
    let health = Health::default();
    let shutdown = CancellationToken::new();
    let mut parts = start(args, options, (input, room), &health, &shutdown)?;
    let ended = tokio::select! {
        name = signals.next() => Ok(name),
        ended = &mut parts.source => Err(early("the source", ended.map(|()| None))),
        ended = &mut parts.writer => Err(early("the writer", ended.map(|()| None))),
        ended = &mut parts.admin => Err(early("the admin server", ended.map(|result| result.err().map(Into::into)))),
        ended = &mut parts.xds => Err(early("the xDS server", ended.map(|result| result.err().map(Into::into)))),
        failure = parts.others.next() => Err(failure),
    };
    let name = ended?;
    health.set_draining();
    tracing::info!(
        signal = name,
        drain = ?args.server.drain,
        "shutting down: proxies are sent GOAWAY"
    );
    shutdown.cancel();
    tokio::select! {
        _ = &mut parts.xds => tracing::info!("all connections have ended"),
        () = tokio::time::sleep(args.server.drain) => tracing::warn!("the drain time has passed; the remaining connections are closed"),
        _ = signals.next() => return Err(Failure::Aborted),
    }
    // What the checkpoint lacks is written before the end.
    drop(parts.stop);
    let _ = tokio::time::timeout(LAST_SAVE, parts.source).await;
    Ok(())
}

fn start(
    all: &ServeArgs,
    options: Options,
    (input, room): (Input, usize),
    health: &Health,
    shutdown: &CancellationToken,
) -> Result<Parts, Failure> {
    let args = &all.server;
    let mut registry = Registry::with_prefix("seaway");
    let memory = input.remember(args, &mut registry, health)?;
    let (supervisor, others) = supervisor();
    let secured = Secured::start(&all.security, &input, &mut registry, &supervisor)?;
    let (xds_listener, admin_listener) = listeners(args)?;
    let metrics = Metrics::register(&mut registry);
    let watches = register(health, &mut registry);
    let xds_metrics = seaway_xds::Metrics::register(&mut registry);

    let cluster_domain = options.cluster_domain.clone();
    let (publisher, snapshots) = seaway_xds::channel(Types::envoy());

    let (outbox, told) = outbox(options.gateway_services);
    let (shown, questions) = Shown::start(told.board, &mut registry, &supervisor);
    let (inbox, senders) = inbox(&snapshots, questions);
    let seen = (&watches, &snapshots, &outbox.published);
    let surroundings = surroundings(&secured, health, seen);
    let exchange = peers::start(all, &options, &mut registry, &supervisor, surroundings);
    let around = SourceContext {
        updates: senders.updates,
        problems: told.problems,
        watches: watches.clone(),
        errors: metrics.source_errors(input.name()),
        instance: instance(),
        status: input.status(&all.source, told.written, &mut registry)?,
        memory,
        supervisor,
    };
    let (source, stop) = input.start(around, &mut registry);
    let window = CommitWindow::new(args.coalesce);
    let writer = Writer::new(options, publisher, window, health.clone(), metrics, outbox);
    let placed = (senders.leases, senders.releases);
    let admin_tls = secured.admin_tls();
    let admission = admission(all, health, secured.verifier, placed);
    let config = config(
        all,
        (secured.tls, health.serving()),
        (secured.limits, room),
        exchange,
        load_reports(&all.loads, &snapshots, &mut registry),
    );
    let ads = AdsServer::new(snapshots.clone(), admission, config, xds_metrics.clone());
    shown.trace(all.traces.config(), (&ads, &xds_metrics), &mut registry);
    let asked = (&*cluster_domain, secured.readers);
    let paths = shown.paths(&ads, &snapshots, (health, &watches), asked);
    registry.register_collector(Box::new(Proxies(ads.inspector())));
    let admin = admin::serve(
        (admin_listener, admin_tls),
        health.clone(),
        watches,
        registry,
        paths,
    );
    Ok(Parts {
        source,
        writer: tokio::spawn(writer.run(inbox)),
        admin: tokio::spawn(admin),
        xds: tokio::spawn(seaway_xds::serve(xds_listener, ads, shutdown.clone())),
        others,
        stop,
    })
}

/// What the exchange with other replicas looks at.
fn surroundings(
    secured: &Secured,
    health: &Health,
    (watches, snapshots, published): (&Watches, &Snapshots, &watch::Sender<Published>),
) -> Surroundings {
    Surroundings {
        verifier: secured.verifier.clone(),
        health: health.clone(),
        watches: watches.clone(),
        snapshots: snapshots.clone(),
        published: published.clone(),
    }
}

/// What admits proxies, and asks the writer for their placements.
fn admission(
    args: &ServeArgs,
    health: &Health,
    verifier: Option<Arc<Verifier>>,
    (leases, releases): (mpsc::Sender<Lease>, mpsc::UnboundedSender<View>),
) -> ProxyAdmission {
    ProxyAdmission {
        certificates_on_demand: args.shape.certificates_on_demand,
        targets: targets(&args.shape.options(false)),
        health: health.clone(),
        verifier,
        leases,
        releases,
    }
}

/// What takes the load that proxies report, if it is asked for.
fn load_reports(
    args: &LoadArgs,
    snapshots: &Snapshots,
    registry: &mut Registry,
) -> Option<Arc<dyn LoadReports>> {
    let loads = Loads::register(args.interval()?, snapshots.clone(), registry);
    Some(Arc::new(loads))
}

/// Registers what is shown of health; returns what the watches show.
fn register(health: &Health, registry: &mut Registry) -> Watches {
    health.register(registry);
    let watches = Watches::default();
    registry.register_collector(Box::new(watches.clone()));
    watches
}

fn config(
    args: &ServeArgs,
    (tls, ready): (Option<Configs>, watch::Receiver<bool>),
    (limits, room): (Limits, usize),
    exchange: Option<Exchange>,
    load_reports: Option<Arc<dyn LoadReports>>,
) -> ServerConfig {
    let connections = limits.connections.map_or(room, |most| most.min(room));
    let limits = Limits {
        connections: Some(connections),
        ..limits
    };
    ServerConfig {
        identifier: identifier(),
        max_connection_age: Some(MAX_CONNECTION_AGE),
        closing_window: args.server.drain / 2,
        rejections_to_hold_back: args.security.hold_back,
        tls,
        limits,
        other_calls: exchange.as_ref().map(|exchange| exchange.calls.clone()),
        shed: exchange.map(|exchange| exchange.shed),
        load_reports,
        ready: Some(ready),
        reflection: true,
    }
}

/// Listens on the xDS port and the admin port, and says so.
fn listeners(args: &ServerArgs) -> Result<(TcpListener, TcpListener), Failure> {
    let xds = listen("--xds-listen", args.xds_listen)?;
    let admin = listen("--admin-listen", args.admin_listen)?;
    log_start(&xds, &admin);
    Ok((xds, admin))
}

fn log_start(xds: &TcpListener, admin: &TcpListener) {
    let shown = |listener: &TcpListener| {
        listener
            .local_addr()
            .map_or_else(|_| String::new(), |at| at.to_string())
    };
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, xds = shown(xds), admin = shown(admin), "listening");
}

/// Binds a listener with a long backlog. The error names the flag.
fn listen(flag: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let open = || -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open()
        .with_context(|| format!("{flag} {address}"))
        .map_err(Failure::Unusable)
}

/// The `control_plane.identifier` of every response.
fn identifier() -> String {
    format!("seaway/{} {}", env!("CARGO_PKG_VERSION"), instance())
        .trim_end()
        .to_owned()
}

/// The name of this replica: its host's name, which in a cluster is that of its pod.
fn instance() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}
