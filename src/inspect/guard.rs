//! Who may ask, and how many at a time.
//!
//! Who asks in plain text has to be on this machine. Over TLS, if `--admin-allow` names anybody, it
//! is those who prove to be one of them, as proxies do on the xDS port.
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

use tonic::{Code, Status};

use super::api::ApiError;
use crate::admin::Caller;
use crate::admission::identity::{Verifier, Who};

/// How many requests are answered at a time.
const AT_ONCE: usize = 4;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who is answered over TLS.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    /// Authenticates them.
    pub(crate) verifier: Arc<Verifier>,
    /// The identities of `--admin-allow`.
    pub(crate) allowed: Arc<[Who]>,
}

/// What requests are held against.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    turns: Arc<Semaphore>,
    /// `None` if nobody is answered but on loopback.
    readers: Option<Readers>,
    /// The end of the names of Services: `.svc.cluster.local`.
    services: Arc<str>,
}

impl Guard {
    /// For a cluster with this DNS domain, and these who are answered over TLS.
    pub(super) fn new(cluster_domain: &str, readers: Option<Readers>) -> Guard {
        let domain = cluster_domain.trim_matches('.').to_ascii_lowercase();
        Guard {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            readers,
            services: format!(".svc.{domain}").into(),
        }
    }

    /// The answer to who may not ask at all; `None` to who may.
    async fn refuse(&self, caller: Option<Caller>, headers: &HeaderMap) -> Option<Response> {
        let forbidden = |why: &str| Some(error(StatusCode::FORBIDDEN, why));
        // What follows may take a question to the API server.
        if let Err(why) = allowed(headers, &self.services) {
            return forbidden(&why);
        }
        match (caller, &self.readers) {
            (Some(Caller::Loopback), _) => None,
            (Some(Caller::Tls(shown)), Some(readers)) => {
                let otherwise = "may not read this: no --admin-allow says so";
                let (verifier, shown) = (&readers.verifier, (&*shown, headers));
                let one = verifier.verify_one_of(shown, &readers.allowed, otherwise);
                one.await.err().map(|status| refusal(&status))
            }
            (_, None) => {
                forbidden("this is answered on loopback only: kubectl port-forward gets there")
            }
            (_, Some(_)) => forbidden(
                "this is answered on loopback, which kubectl port-forward gets to, and over TLS to those whom --admin-allow names",
            ),
        }
    }
}

/// How HTTP says that a proof does not hold, or cannot be verified now.
fn refusal(status: &Status) -> Response {
    let code = match status.code() {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = error(code, status.message());
    if code == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

/// Lets a request through if it may ask, when it has its turn.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get().cloned();
    if let Some(refusal) = guard.refuse(caller, request.headers()).await {
        return refusal;
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
            "Host {host:?} is neither an address nor localhost nor a name of the cluster, which ends in .svc: seaway.seaway.svc"
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
    is_address || host == "localhost" || host.ends_with(".svc") || host.ends_with(services)
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
        allowed(&headers, &Guard::new("cluster.local", None).services).is_ok()
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
