//! Who may ask, and how many at a time.
//!
//! A page that a browser shows may send requests to any address that its machine reaches, loopback
//! included, under a name of its choice (DNS rebinding). So `Host` has to be an address, or a name
//! that only the cluster or this machine gives, and `Origin` must not be another one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::api::ApiError;
use crate::admin::Caller;

/// How many requests are answered at a time.
const AT_ONCE: usize = 4;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// What requests are held against.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    turns: Arc<Semaphore>,
    /// The end of the names of Services: `.svc.cluster.local`.
    services: Arc<str>,
}

impl Guard {
    /// For a cluster with this DNS domain.
    pub(super) fn new(cluster_domain: &str) -> Guard {
        let domain = cluster_domain.trim_matches('.').to_ascii_lowercase();
        Guard {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            services: format!(".svc.{domain}").into(),
        }
    }
}

/// Lets a request through if it may ask, when it has its turn.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if request.extensions().get() != Some(&Caller::Loopback) {
        let why = "this is answered on loopback only: kubectl port-forward gets there";
        return error(StatusCode::FORBIDDEN, why);
    }
    if let Err(why) = allowed(request.headers(), &guard.services) {
        return error(StatusCode::FORBIDDEN, why);
    }
    let turn = tokio::time::timeout(PATIENCE, guard.turns.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        let why = "too many requests at a time";
        let mut response = error(StatusCode::TOO_MANY_REQUESTS, why);
        let seconds = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        return response;
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let set = |headers: &mut HeaderMap, name, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(headers, header::CACHE_CONTROL, "no-cache");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// An answer that is none.
pub(super) fn error(status: StatusCode, why: impl Into<String>) -> Response {
    let error = ApiError { error: why.into() };
    (status, Json(error)).into_response()
}

/// Whether the names that a request was sent to, and from, are not those of a foreign page.
fn allowed(headers: &HeaderMap, services: &str) -> Result<(), String> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let host = headers.get(header::HOST).map(text).unwrap_or_default();
    if !is_ours(host_of(&host), services) {
        return Err(format!(
            "Host {host:?} is neither an address nor localhost nor a name of the cluster"
        ));
    }
    let Some(origin) = headers.get(header::ORIGIN).map(text) else {
        return Ok(());
    };
    let from = origin.split_once("://").map(|(_, rest)| rest);
    match from {
        Some(from) if from == host => Ok(()),
        _ => Err(format!("requests of {origin:?} are not answered")),
    }
}

/// A host without its port.
fn host_of(host: &str) -> &str {
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Whether nobody outside can give this name to an address.
fn is_ours(host: &str, services: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_address = host.parse::<IpAddr>().is_ok();
    let ends = ["localhost", ".svc", services];
    is_address
        || ends.iter().any(|end| match end.strip_prefix('.') {
            Some(_) => host.ends_with(end),
            None => host == *end,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        allowed(&headers, &Guard::new("cluster.local").services).is_ok()
    }

    #[test]
    fn only_names_that_a_foreign_page_cannot_have_are_answered() {
        for host in [
            "127.0.0.1:18001",
            "[::1]:18001",
            "10.0.0.7",
            "localhost:18001",
            "seaway-admin.seaway.svc:18001",
            "seaway-admin.seaway.svc.cluster.local",
        ] {
            assert!(said(host, None), "{host}");
        }
        for host in [
            "rebound.example.com:18001",
            "localhost.example.com",
            "a.svc.example.com",
            "",
        ] {
            assert!(!said(host, None), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_not_answered() {
        let host = "127.0.0.1:18001";
        assert!(said(host, Some("http://127.0.0.1:18001")));
        for origin in ["http://127.0.0.1:8080", "https://example.com", "null"] {
            assert!(!said(host, Some(origin)), "{origin}");
        }
    }
}
