//! The admin surface: `/livez`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::health::Health;
use crate::watches::Watches;

#[derive(Clone, Debug)]
struct Admin {
    health: Health,
    watches: Watches,
    registry: Arc<Registry>,
}

/// Serves until the process ends.
pub(crate) async fn serve(
    listener: TcpListener,
    health: Health,
    watches: Watches,
    registry: Registry,
) -> std::io::Result<()> {
    let admin = Admin {
        health,
        watches,
        registry: Arc::new(registry),
    };
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin);
    axum::serve(listener, router).await
}

/// The first line says whether to send traffic here, further lines what is not as it should be all the same: stale is ready, since
/// a proxy that comes finds all there is to serve.
async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let (status, line) = match admin.health.ready() {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    let stale = admin.health.stale().map(|stale| format!("stale: {stale}"));
    let mut lines = vec![line.to_owned()];
    lines.extend(stale.into_iter().chain(admin.watches.degraded()));
    (status, lines.join("\n") + "\n")
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    exposition(&admin.registry)
}

/// Serves the metrics alone, for as long as it is polled.
pub(crate) async fn serve_metrics(
    listener: TcpListener,
    registry: Arc<Registry>,
) -> std::io::Result<()> {
    let answer = move || async move { exposition(&registry) };
    axum::serve(listener, Router::new().route("/metrics", get(answer))).await
}

/// All metrics, as Prometheus reads them.
fn exposition(registry: &Registry) -> impl IntoResponse + use<> {
    let mut text = String::new();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match encode(&mut text, registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, content_type)], text),
        Err(error) => {
            let text = format!("{error}\n");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                [(header::CONTENT_TYPE, "text/plain")],
                text,
            )
        }
    }
}
