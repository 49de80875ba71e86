//! Judges HTTP responses: whether one comes from an API server at all, and reads no more of it than
//! its bound.

use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use axum::http::response::Parts;
use axum::http::{HeaderMap, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::core::Status;

use super::wire::Failure;
use crate::process::outside::{quote, quote_bytes};

/// How much of an error response is read, in bytes. A `Status` is shorter, and of an HTML page no
/// more is needed.
const MAX_ERROR: usize = 64 << 10;

/// The body of a successful JSON response.
///
/// # Errors
/// The server refuses, or the response is not an API server's.
pub(super) async fn accept(response: Response<Body>) -> Result<Body, Failure> {
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        let text = beginning(body, MAX_ERROR).await;
        return Err(refusal(&head, &text));
    }
    let encoding = text(&head.headers, CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        let what = format!(
            "a response with Content-Encoding {}, which was not requested",
            quote(encoding)
        );
        return Err(Failure::Foreign(what));
    }
    let media = text(&head.headers, CONTENT_TYPE);
    if !media.is_empty() && !media.to_ascii_lowercase().contains("json") {
        let media = quote(media);
        let begins = quote_bytes(&beginning(body, MAX_ERROR).await);
        let what =
            format!("a response of type {media} instead of JSON, which begins with {begins:?}");
        return Err(Failure::Foreign(what));
    }
    Ok(body)
}

/// Reads a whole body.
///
/// # Errors
/// It breaks, or is longer than `limit` bytes.
pub(super) async fn whole(mut body: Body, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if all.len() + data.len() > limit {
            let what = format!(
                "a response of more than {limit} bytes, which begins with {:?}",
                quote_bytes(&all)
            );
            return Err(Failure::Foreign(what));
        }
        all.extend_from_slice(&data);
    }
    Ok(all)
}

/// Reads up to `limit` bytes of the body of a failed response, and ignores errors.
async fn beginning(mut body: Body, limit: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < limit
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            all.extend_from_slice(&data[..data.len().min(limit - all.len())]);
        }
    }
    all
}

/// The failure that an error response stands for. Load balancers and proxies answer 502, 503 or 504
/// without a `Status`: then the answer is not an API server's.
fn refusal(head: &Parts, text: &[u8]) -> Failure {
    let code = head.status.as_u16();
    let mut failure = match serde_json::from_slice::<Status>(text) {
        Ok(status) => Failure::from(Status {
            code: if status.code == 0 { code } else { status.code },
            ..status
        }),
        Err(_) if head.status.is_redirection() => {
            let target = quote(self::text(&head.headers, LOCATION));
            return Failure::Foreign(format!("a redirect ({}) to {target:?}", head.status));
        }
        Err(_) if matches!(code, 502..=504) => {
            let page = quote_bytes(text);
            return Failure::Foreign(format!("{} without a Status object: {page}", head.status));
        }
        Err(_) => Failure::Refused {
            code,
            message: quote_bytes(text).trim().to_owned(),
            after: None,
        },
    };
    if let Failure::Refused { code, after, .. } = &mut failure
        && after.is_none()
        && *code != 410
    {
        let seconds = self::text(&head.headers, RETRY_AFTER).parse();
        *after = seconds.ok().filter(|s| *s > 0).map(Duration::from_secs);
    }
    failure
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}
