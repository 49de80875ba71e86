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

#[derive(Clone, Debug)]
struct Admin {
    health: Health,
    registry: Arc<Registry>,
}

/// Serves until the process ends.
pub(crate) async fn serve(
    listener: TcpListener,
    health: Health,
    registry: Registry,
) -> std::io::Result<()> {
    let admin = Admin {
        health,
        registry: Arc::new(registry),
    };
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin);
    axum::serve(listener, router).await
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.health.ready() {
        // Stale is ready: a proxy that comes finds all there is to serve.
        Ok(()) => {
            let stale = admin.health.stale();
            let stale = stale.map_or_else(String::new, |stale| format!("stale: {stale}\n"));
            (StatusCode::OK, format!("ok\n{stale}"))
        }
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let mut text = String::new();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match encode(&mut text, &admin.registry) {
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
