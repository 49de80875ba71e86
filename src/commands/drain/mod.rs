//! `seaway drain`: runs beside an Envoy that is to be replaced, and lets it end without breaking
//! connections.
//!
//! Envoy ends at once on SIGTERM, with all connections. So this container, which runs beside
//! Envoy's, is ended first. On SIGTERM it has Envoy accept no more connections, and ends when those
//! that are open have had their time. Until then it reports what Envoy had to refuse ([`limited`]).

mod limited;

use std::convert::Infallible;
use std::future;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::admin;
use crate::args::DrainArgs;
use crate::commands::envoy_admin::{connections, stop_accepting};
use crate::process::exit::Failure;
use crate::process::log;
use crate::process::signals::Signals;
use limited::LimitMetrics;

/// The pause between two looks at open connections.
const PAUSE: Duration = Duration::from_secs(1);
/// How long Envoy's count of connections may lag: it is updated every five seconds.
const UP_TO_DATE: Duration = Duration::from_secs(6);

/// Reports refusals until there is a signal, then drains Envoy.
pub(crate) fn run(args: &DrainArgs) -> Result<ExitCode, Failure> {
    log::init().map_err(Failure::Unusable)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("no runtime").map_err(Failure::Broken)?;
    let mut registry = Registry::with_prefix("seaway");
    let metrics = LimitMetrics::register(&mut registry);
    let registry = Arc::new(registry);
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(Failure::Broken)?;
        let signal = tokio::select! {
            signal = signals.next() => signal,
            never = limited::watch(&args.envoy, args.look, &metrics) => match never {},
            never = serve_metrics(args.metrics_listen, registry) => match never {},
        };
        tracing::info!(
            signal,
            "shutting down: Envoy accepts connections until the hold time has passed"
        );
        tokio::select! {
            () = drain(args) => Ok(ExitCode::SUCCESS),
            _ = signals.next() => Err(Failure::Aborted),
        }
    })
}

/// Serves the metrics of refusals. While the address is taken, by the `seaway drain` that this one
/// replaces, binding is retried.
async fn serve_metrics(address: Option<SocketAddr>, registry: Arc<Registry>) -> Infallible {
    let Some(address) = address else {
        return future::pending().await;
    };
    let mut said = false;
    loop {
        let served = async {
            let listener = TcpListener::bind(address).await?;
            said = false;
            admin::serve_metrics(listener, Arc::clone(&registry)).await
        };
        if let Err(error) = served.await
            && !said
        {
            tracing::warn!(%address, %error, "metrics cannot be served yet; trying again every second");
            said = true;
        }
        sleep(PAUSE).await;
    }
}

async fn drain(args: &DrainArgs) {
    sleep(args.hold).await;
    if let Err(error) = stop_accepting(&args.envoy) {
        // It is gone, or never came. Nothing is left to wait for.
        tracing::warn!(error = format!("{error:#}"), "Envoy cannot be drained");
        return;
    }
    let began = Instant::now();
    tracing::info!("Envoy accepts no more connections");
    while began.elapsed() < args.drain_time {
        if began.elapsed() >= UP_TO_DATE && is_idle(&args.envoy) {
            tracing::info!("all connections are closed");
            return;
        }
        sleep(PAUSE.min(args.drain_time.saturating_sub(began.elapsed()))).await;
    }
    tracing::info!("the drain time has passed");
}

/// Whether Envoy has no open connections. An Envoy that does not answer counts as idle.
fn is_idle(envoy: &Path) -> bool {
    connections(envoy).unwrap_or_default() == 0
}
