//! The paths of the API, and what answers them.

use std::fmt::Display;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router, middleware};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::Page;
use super::guard::{self, Guard, Readers, error};
use super::query::{
    ChangeQuery, Cut, DiffQuery, LayerQuery, ProblemQuery, ProxyQuery, ResourceQuery, ServiceQuery,
    WatchQuery,
};
use super::questions::{explain, objects};
use super::resources::differences::{self, Unanswered};
use super::resources::layers;
use super::times::Now;
use super::{Inspect, changes, openapi, problems, proxies, resources, services, status};

/// The paths below `/api/v1`, for a cluster with this DNS domain; `readers` are answered over TLS.
pub(crate) fn router(inspect: Inspect, cluster_domain: &str, readers: Option<Readers>) -> Router {
    let paths = Router::new()
        .route("/status", get(status))
        .route("/proxies", get(proxies))
        .route("/services", get(services))
        .route("/resources", get(resources))
        .route("/layers", get(layers))
        .route("/diff", get(diff))
        .route("/problems", get(problems))
        .route("/changes", get(changes))
        .route("/watches", get(watches))
        .route("/explain", get(explain::explain))
        .route("/objects", get(objects::objects))
        .route("/openapi.json", get(openapi))
        .fallback(unknown)
        .method_not_allowed_fallback(|| async {
            error(StatusCode::METHOD_NOT_ALLOWED, "there is GET alone")
        })
        .with_state(inspect);
    let guard = Guard::new(cluster_domain, readers);
    let paths = paths.layer(middleware::from_fn_with_state(guard, guard::check));
    Router::new()
        .nest("/api/v1", paths)
        // What is nested has no path with this end.
        .route("/api/v1/", any(unknown))
}

async fn unknown() -> Response {
    error(StatusCode::NOT_FOUND, "there is no such path")
}

/// The query of a request. One that cannot be read is answered with the reason.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked<T>, Response> {
        let asked = Query::from_request_parts(parts, state).await;
        match asked {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(rejection) => Err(unreadable(&rejection)),
        }
    }
}

fn unreadable(rejection: &QueryRejection) -> Response {
    let text = rejection.body_text();
    let why = text.trim_start_matches("Failed to deserialize query string: ");
    error(StatusCode::BAD_REQUEST, why)
}

/// Runs `answer` where it may take a while.
pub(super) async fn apart<T: Send + 'static>(
    answer: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Response> {
    let broken = |_| error(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed");
    tokio::task::spawn_blocking(answer).await.map_err(broken)
}

/// A page of a list, as JSON.
pub(super) fn page<T: Serialize>(inspect: &Inspect, cut: Cut<T>, now: Now) -> Json<Page<T>> {
    Json(Page {
        now: now.text(),
        replica: inspect.replica.to_string(),
        commit: inspect.inspector.seq(),
        total: cut.total,
        next: cut.next,
        items: cut.items,
    })
}

/// The same of a list that may not know what it is asked for.
fn page_of<T: Serialize>(inspect: &Inspect, cut: Result<Cut<T>, String>, now: Now) -> Response {
    match cut {
        Ok(cut) => page(inspect, cut, now).into_response(),
        Err(why) => error(StatusCode::BAD_REQUEST, why),
    }
}

/// An answer that stays the same until `edition` changes: to who has it, nothing is sent.
fn unless_known<R: IntoResponse>(
    headers: &HeaderMap,
    inspect: &Inspect,
    edition: impl Display,
    answer: impl FnOnce() -> R,
) -> Response {
    let (replica, started) = (&inspect.replica, inspect.number);
    let tag = format!("\"{replica}-{started:x}-{edition}\"");
    let known = headers.get(header::IF_NONE_MATCH);
    let mut response = match known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => answer().into_response(),
    };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The state of this replica.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = super::api::Replica)))]
pub(super) async fn status(State(inspect): State<Inspect>) -> Result<Response, Response> {
    let answer = apart(move || status::replica(&inspect, Now::read())).await?;
    Ok(Json(answer).into_response())
}

/// The proxies that are connected, the worst first.
#[utoipa::path(get, path = "/api/v1/proxies", params(ProxyQuery),
    responses((status = 200, body = Page<super::api::ProxyRow>), (status = 400, description = "The query cannot be read.", body = super::api::ApiError)))]
pub(super) async fn proxies(
    State(inspect): State<Inspect>,
    Asked(query): Asked<ProxyQuery>,
) -> Result<Response, Response> {
    let answer = move || {
        let (streams, now) = (inspect.inspector.streams(), Now::read());
        let tables = inspect.board.read();
        let cut = proxies::page(&streams, &query, &tables, now);
        page_of(&inspect, cut, now)
    };
    apart(answer).await
}

/// The Services, by namespace and name.
#[utoipa::path(get, path = "/api/v1/services", params(ServiceQuery),
    responses((status = 200, body = Page<super::api::ServiceRow>), (status = 304, description = "It is what `If-None-Match` says."), (status = 400, description = "The query cannot be read.", body = super::api::ApiError)))]
pub(super) async fn services(
    State(inspect): State<Inspect>,
    headers: HeaderMap,
    Asked(query): Asked<ServiceQuery>,
) -> Result<Response, Response> {
    let answer = move || {
        let tables = inspect.board.read();
        let page = || page_of(&inspect, services::page(&tables, &query), Now::read());
        unless_known(&headers, &inspect, tables.edition, page)
    };
    apart(answer).await
}

/// The problems that stand, errors first.
#[utoipa::path(get, path = "/api/v1/problems", params(ProblemQuery),
    responses((status = 200, body = Page<super::api::ProblemRow>), (status = 304, description = "It is what `If-None-Match` says."), (status = 400, description = "The query cannot be read.", body = super::api::ApiError)))]
pub(super) async fn problems(
    State(inspect): State<Inspect>,
    headers: HeaderMap,
    Asked(query): Asked<ProblemQuery>,
) -> Result<Response, Response> {
    let answer = move || {
        let tables = inspect.board.read();
        let page = || page_of(&inspect, problems::page(&tables, &query), Now::read());
        unless_known(&headers, &inspect, tables.edition, page)
    };
    apart(answer).await
}

/// What is published, in which layer, and who has it.
#[utoipa::path(get, path = "/api/v1/resources", params(ResourceQuery),
    responses((status = 200, body = Page<super::api::ResourceRow>), (status = 400, description = "The query cannot be read.", body = super::api::ApiError)))]
pub(super) async fn resources(
    State(inspect): State<Inspect>,
    Asked(query): Asked<ResourceQuery>,
) -> Result<Response, Response> {
    let answer = move || {
        let (tables, now) = (inspect.board.read(), Now::read());
        let cut = resources::page(&inspect.inspector, &tables, &query, now);
        page_of(&inspect, cut, now)
    };
    apart(answer).await
}

/// The layers that resources lie in: what each has, and how many proxies look through it.
#[utoipa::path(get, path = "/api/v1/layers", params(LayerQuery),
    responses((status = 200, body = Page<super::api::LayerRow>), (status = 400, description = "The query cannot be read.", body = super::api::ApiError)))]
pub(super) async fn layers(
    State(inspect): State<Inspect>,
    Asked(query): Asked<LayerQuery>,
) -> Result<Response, Response> {
    let answer = move || {
        let cut = layers::page(&inspect.inspector, &inspect.board.read(), &query);
        page(&inspect, cut, Now::read())
    };
    Ok(apart(answer).await?.into_response())
}

/// What a proxy has otherwise than it is to have it, as far as it has answered: nothing of what is
/// as it should be.
#[utoipa::path(get, path = "/api/v1/diff", params(DiffQuery),
    responses((status = 200, body = Page<super::api::DifferenceRow>), (status = 400, description = "The query cannot be read.", body = super::api::ApiError), (status = 404, description = "The proxy is not connected to this replica.", body = super::api::ApiError)))]
pub(super) async fn diff(
    State(inspect): State<Inspect>,
    Asked(query): Asked<DiffQuery>,
) -> Result<Response, Response> {
    let answer = move || {
        let now = Now::read();
        let status = match differences::page(&inspect.inspector, &query, now) {
            Ok(cut) => return page(&inspect, cut, now).into_response(),
            Err(ref why @ Unanswered::Unreadable(_)) => (StatusCode::BAD_REQUEST, why.to_string()),
            Err(why) => (StatusCode::NOT_FOUND, why.to_string()),
        };
        error(status.0, status.1)
    };
    apart(answer).await
}

/// The last commits, the newest first: why they were made, and who has them.
#[utoipa::path(get, path = "/api/v1/changes", params(ChangeQuery),
    responses((status = 200, body = Page<super::api::ChangeRow>), (status = 400, description = "The query cannot be read.", body = super::api::ApiError)))]
pub(super) async fn changes(
    State(inspect): State<Inspect>,
    Asked(query): Asked<ChangeQuery>,
) -> Result<Response, Response> {
    let answer = move || {
        let (log, now) = (inspect.inspector.changes(), Now::read());
        let tables = inspect.board.read();
        let cut = changes::page(log, &tables, &query, now);
        page_of(&inspect, cut, now)
    };
    apart(answer).await
}

/// The watches of the source.
#[utoipa::path(get, path = "/api/v1/watches", params(WatchQuery),
    responses((status = 200, body = Page<super::api::WatchRow>), (status = 400, description = "The query cannot be read.", body = super::api::ApiError)))]
pub(super) async fn watches(
    State(inspect): State<Inspect>,
    Asked(query): Asked<WatchQuery>,
) -> Response {
    let now = Now::read();
    page(&inspect, status::watches(&inspect, &query, now), now).into_response()
}

/// The description of this API.
async fn openapi() -> Response {
    Json(openapi::document()).into_response()
}
