//! From a request to its answer: who may, which fault strikes, and who else knows.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use tokio::time::sleep;

use super::activity::Seen;
use super::body::Content;
use super::discovery;
use super::faults::{Fault, endless, not_json, spoiled};
use super::forward;
use super::list::page;
use super::query::{self, Call};
use super::shared::Shared;
use super::status::Refusal;
use super::watch;
use super::write::write;

/// Answers one request.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Content>, Infallible> {
    let answered = match unstored(&shared, request.uri().path()) {
        Some(bytes) => Ok(respond(200, Content::Whole(bytes))),
        None => serve(&shared, request).await,
    };
    Ok(answered.unwrap_or_else(|refusal| refused(&refusal)))
}

/// What lies beside the objects and is open to everybody.
fn unstored(shared: &Shared, path: &str) -> Option<Bytes> {
    match path {
        "/livez" | "/readyz" | "/healthz" => Some(Bytes::from_static(b"ok")),
        "/version" => {
            let minor = if shared.settings().streaming_lists {
                "36"
            } else {
                "30"
            };
            let version = json!({
                "major": "1", "minor": minor, "gitVersion": format!("v1.{minor}.0"), "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
            });
            Some(Bytes::from(version.to_string()))
        }
        _ => None,
    }
}

async fn serve(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Content>, Refusal> {
    if let Some(call) = query::call(request.method(), request.uri())
        && call.subresource.as_deref() == Some("portforward")
    {
        authenticate(shared, request.headers())?;
        shared.authorize(&call)?;
        return forward::answer(request).ok_or_else(|| Refusal::of_code(400));
    }
    let (head, body) = request.into_parts();
    let Some(call) = query::call(&head.method, &head.uri) else {
        authenticate(shared, &head.headers)?;
        if let Some(document) = discovery::document(shared, &head)? {
            return Ok(document);
        }
        shared.authorize_path(&head.method, head.uri.path())?;
        return Err(Refusal::of_code(404));
    };
    let agent = text(&head.headers, USER_AGENT);
    shared.book(|book| book.add(Seen::new(&call, agent)));
    shared
        .activity
        .send_modify(|activity| activity.count(&call));
    authenticate(shared, &head.headers)?;
    shared.authorize(&call)?;
    if !shared.is_installed(call.kind) {
        return Ok(discovery::nothing());
    }
    let taken = shared.take_faults(&call);
    hang(shared, &call, &taken).await;
    if let Some(instead) = instead(shared, &call, &taken)? {
        return Ok(instead);
    }
    let (code, bytes) = match call.verb {
        "create" if !call.kind.stored => review(shared, head.uri.path(), body).await?,
        _ if !call.kind.stored => return Err(Refusal::of_code(404)),
        "watch" => return Ok(respond(200, watch::start(shared, call, taken)?)),
        "list" => (200, list(shared, &call, &taken)?),
        "get" => (200, get(shared, &call, &taken)?),
        _ => {
            let body = whole(body).await?;
            let media = text(&head.headers, CONTENT_TYPE);
            let manager = call.query.get("fieldManager").map_or(agent, String::as_str);
            write(shared, &call, media, manager, &body)?
        }
    };
    Ok(respond(
        code,
        deliver(bytes, &shared.faults_of(&call, &taken)),
    ))
}

/// What faults answer instead of what was asked for.
fn instead(
    shared: &Shared,
    call: &Call,
    taken: &[Fault],
) -> Result<Option<Response<Content>>, Refusal> {
    for fault in shared.faults_of(call, taken) {
        match fault {
            Fault::Answer { code, retry_after } => {
                return Err(Refusal {
                    retry_after,
                    ..Refusal::of_code(code)
                });
            }
            Fault::NotJson => return Ok(Some(respond(200, Content::Whole(not_json())))),
            Fault::Instead {
                code,
                headers,
                body,
            } => {
                let mut response = respond(code, Content::Whole(body));
                for (name, value) in headers {
                    let value = HeaderValue::from_static(value);
                    response.headers_mut().insert(name, value);
                }
                return Ok(Some(response));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Waits while requests of this kind are not to be answered.
async fn hang(shared: &Shared, call: &Call, taken: &[Fault]) {
    let mut bell = shared.bell.subscribe();
    loop {
        bell.borrow_and_update();
        let faults = shared.faults_of(call, taken);
        let hangs = faults.iter().any(|fault| matches!(fault, Fault::Hang));
        if !hangs || bell.changed().await.is_err() {
            return;
        }
    }
}

fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = shared.settings().token else {
        return Ok(());
    };
    if text(headers, AUTHORIZATION) == format!("Bearer {token}") {
        Ok(())
    } else {
        Err(Refusal::of_code(401))
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    let collected = body.collect().await;
    let collected = collected.map_err(|error| Refusal::bad_request(error.to_string()))?;
    Ok(collected.to_bytes())
}

/// A POST that the test answers, or nothing that is known.
async fn review(shared: &Shared, path: &str, body: Incoming) -> Result<(u16, Bytes), Refusal> {
    let review = shared.review(path).ok_or_else(|| Refusal::of_code(404))?;
    let asked = serde_json::from_slice(&whole(body).await?);
    let asked = asked.map_err(|error| Refusal::bad_request(error.to_string()))?;
    Ok((201, Bytes::from(review(asked).to_string())))
}

fn list(shared: &Shared, call: &Call, taken: &[Fault]) -> Result<Bytes, Refusal> {
    let (mut options, settings) = (call.options()?, shared.settings());
    let faults = shared.faults_of(call, taken);
    let (next, asked) = endless(&faults, options.resume.take());
    options.resume = asked;
    let mut page = shared.read(|store| page(store, call.kind, &options, &settings))?;
    page.resume = next.or(page.resume);
    let mut body = page.head(call.kind).into_bytes();
    for (at, object) in page.objects.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        match spoiled(&faults, object) {
            Some(value) => body.extend_from_slice(value.to_string().as_bytes()),
            None => body.extend_from_slice(&object.item),
        }
    }
    body.extend_from_slice(b"]}\n");
    Ok(Bytes::from(body))
}

fn get(shared: &Shared, call: &Call, taken: &[Fault]) -> Result<Bytes, Refusal> {
    let name = call.name.clone().unwrap_or_default();
    let key = (call.namespace.clone().unwrap_or_default(), name);
    let object = shared.read(|store| store.get(call.kind, &key).cloned());
    let object = object.ok_or_else(|| Refusal::not_found(call.kind, &key.1))?;
    let spoiled = spoiled(&shared.faults_of(call, taken), &object);
    Ok(spoiled.map_or_else(|| object.full(), |value| Bytes::from(value.to_string())))
}

/// A body as faults let it through.
fn deliver(bytes: Bytes, faults: &[Fault]) -> Content {
    let half = bytes.len() / 2;
    let (mut bytes, mut cut, mut slow) = (bytes, false, None);
    for fault in faults {
        match fault {
            Fault::Cut { .. } => cut = true,
            Fault::Truncate { .. } => bytes.truncate(half),
            Fault::Slow { piece, pause } => slow = Some((*piece, *pause)),
            _ => {}
        }
    }
    if !cut && slow.is_none() {
        return Content::Whole(bytes);
    }
    let (writer, content) = Content::stream();
    tokio::spawn(async move {
        let (piece, pause) = slow.unwrap_or((bytes.len(), std::time::Duration::ZERO));
        let end = if cut { half } else { bytes.len() };
        for piece in bytes.slice(..end.min(bytes.len())).chunks(piece.max(1)) {
            if writer
                .send(Ok(Bytes::copy_from_slice(piece)))
                .await
                .is_err()
            {
                return;
            }
            sleep(pause).await;
        }
        if cut {
            let broken = io::Error::from(io::ErrorKind::ConnectionReset);
            let _ = writer.send(Err(broken)).await;
        }
    });
    content
}

pub(super) fn respond(code: u16, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn refused(refusal: &Refusal) -> Response<Content> {
    let body = Bytes::from(refusal.status().to_string());
    let mut response = respond(refusal.code, Content::Whole(body));
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
