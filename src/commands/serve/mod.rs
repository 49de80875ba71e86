//! `seaway serve`: starts and connects the parts of the control plane, and ends the process in
//! order.

mod input;
mod open_files;
mod security;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use seaway_translator::Options;
use seaway_xds::{AdsServer, CommitWindow, Limits, ServerConfig, Types};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::admin::health::Health;
use crate::admin::watch_status::Watches;
use crate::admission::proxy_admission::ProxyAdmission;
use crate::args::{ServeArgs, ServerArgs};
use crate::kube::SourceContext;
use crate::process::exit::Failure;
use crate::process::log;
use crate::process::metrics::Metrics;
use crate::process::signals::Signals;
use crate::process::supervise::{Ended, early, supervisor};
use crate::writer::{Inbox, News, Outbox, Rejections, ServiceSender, StatusSender, Writer};
use input::{Input, Stop, Written};
use security::{Configs, Secured};

/// The backlog of listeners: how many connections the kernel queues while a fleet reconnects.
const BACKLOG: i32 = 4096;
/// The age at which connections are closed, so that proxies spread over replicas that come later.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(3600);
/// The longest time the source may take to end, a last write of its checkpoint included.
const LAST_SAVE: Duration = Duration::from_secs(5);
/// How many updates, and leases of proxies, may wait for the writer.
const QUEUE: usize = 1024;

/// Serves until a signal asks the process to end.
pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    security::check(args.server.xds_listen, &args.security)?;
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
    ServeArgs {
        source: asked,
        server: args,
        security,
        shape,
    }: &ServeArgs,
    options: Options,
    (input, room): (Input, usize),
    health: &Health,
    shutdown: &CancellationToken,
) -> Result<Parts, Failure> {
    let mut registry = Registry::with_prefix("seaway");
    let memory = input.remember(args, &mut registry, health)?;
    let (supervisor, others) = supervisor();
    let secured = Secured::start(security, &input, &mut registry, &supervisor)?;
    let (xds_listener, admin_listener) = listeners(args)?;
    let metrics = Metrics::register(&mut registry);
    health.register(&mut registry);
    let xds_metrics = seaway_xds::Metrics::register(&mut registry);

    let (update_sender, updates) = mpsc::channel(QUEUE);
    let (lease_sender, leases) = mpsc::channel(QUEUE);
    let (releases, released) = mpsc::unbounded_channel();
    let (publisher, snapshots) = seaway_xds::channel(Types::envoy());

    let (outbox, problems, written) = outbox(options.gateway_services);
    let watches = Watches::default();
    registry.register_collector(Box::new(watches.clone()));
    let around = SourceContext {
        updates: update_sender,
        problems,
        watches: watches.clone(),
        errors: metrics.source_errors(input.name()),
        instance: instance(),
        status: input.status(asked, written, &mut registry)?,
        memory,
        supervisor,
    };
    let (source, stop) = input.start(around, &mut registry);
    let writer = Writer::new(
        options,
        publisher,
        CommitWindow::new(args.coalesce),
        health.clone(),
        metrics,
        outbox,
    );
    let admission = ProxyAdmission {
        certificates_on_demand: shape.certificates_on_demand,
        health: health.clone(),
        verifier: secured.verifier,
        leases: lease_sender,
        releases,
    };
    let config = ServerConfig {
        ready: Some(health.serving()),
        ..config(args, security.hold_back, secured.tls, secured.limits, room)
    };
    let ads = AdsServer::new(snapshots.clone(), admission, config, xds_metrics);
    let admin = admin::serve(admin_listener, health.clone(), watches, registry);
    Ok(Parts {
        source,
        writer: tokio::spawn(writer.run(Inbox {
            updates,
            leases,
            releases: released,
            rejections: Rejections::of(&snapshots),
        })),
        admin: tokio::spawn(admin),
        xds: tokio::spawn(seaway_xds::serve(xds_listener, ads, shutdown.clone())),
        others,
        stop,
    })
}

/// The channels that the writer sends to, and their other ends: for problems, and for what the
/// leader of the replicas writes.
fn outbox(makes_services: bool) -> (Outbox, watch::Receiver<News>, Written) {
    let (problems, changes) = watch::channel(News::default());
    let (statuses, status_news) = StatusSender::channel();
    let (services, service_news) = ServiceSender::channel();
    let written = (status_news, makes_services.then_some(service_news));
    let outbox = Outbox {
        problems,
        statuses,
        services,
    };
    (outbox, changes, written)
}

fn config(
    args: &ServerArgs,
    hold_back: usize,
    tls: Option<Configs>,
    limits: Limits,
    room: usize,
) -> ServerConfig {
    let connections = limits.connections.map_or(room, |most| most.min(room));
    let limits = Limits {
        connections: Some(connections),
        ..limits
    };
    ServerConfig {
        identifier: identifier(),
        max_connection_age: Some(MAX_CONNECTION_AGE),
        closing_window: args.drain / 2,
        rejections_to_hold_back: hold_back,
        tls,
        limits,
        ..ServerConfig::default()
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
