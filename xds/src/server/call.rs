//! What all gRPC calls have in common: whether an HTTP request is one, how long its client waits,
//! and the frame with which an answer ends.
//!
//! Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md of grpc/grpc).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::{ALLOW, CONTENT_TYPE};
use tonic::codegen::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

/// The content type of all gRPC calls and answers, perhaps with a suffix (`+proto`) or parameters.
const GRPC: &str = "application/grpc";
/// The accepted encodings of messages: no compression.
const ACCEPTED: &str = "identity";

/// The answer to a request that is no gRPC call, in plain HTTP, since its client would not
/// understand a gRPC status.
pub(crate) fn not_grpc<B>(request: &Request<B>) -> Option<Response<Body>> {
    let mut answer = Response::new(Body::empty());
    if request.method() != Method::POST {
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let post = HeaderValue::from_static("POST");
        answer.headers_mut().insert(ALLOW, post);
        return Some(answer);
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let rest = content_type.and_then(|value| value.strip_prefix(GRPC));
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';'])) {
        return None;
    }
    *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(answer)
}

/// Sets the headers that every gRPC answer has.
pub(crate) fn mark(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    let accepted = HeaderValue::from_static(ACCEPTED);
    headers.insert("grpc-accept-encoding", accepted);
}

/// How long the client of a call waits; `None`: for ever.
///
/// # Errors
///
/// INTERNAL, as in other servers, if the header is malformed.
pub(crate) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let read = value.to_str().ok().and_then(read_timeout);
    match read {
        Some(time) => Ok(Some(time)),
        None => Err(Status::internal("malformed grpc-timeout")),
    }
}

/// When the client of a call stops waiting (`grpc-timeout`), if ever.
#[derive(Debug)]
pub(crate) struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// So much later than now.
    pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
        Deadline(timeout.map(|timeout| Box::pin(tokio::time::sleep(timeout))))
    }

    /// The status with which the call ends when its time is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let Some(sleep) = &mut self.0 else {
            return Poll::Pending;
        };
        let text = "the deadline of grpc-timeout has passed";
        let status = |()| Status::deadline_exceeded(text);
        sleep.as_mut().poll(cx).map(status)
    }
}

/// The frame with which the body of an answer ends.
///
/// # Errors
///
/// The status has what no header can have.
pub(crate) fn end(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

/// Parses a `grpc-timeout`: at most eight digits and a unit.
fn read_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: &str, content_type: Option<&str>) -> Option<u16> {
        let mut request = Request::builder().method(method);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        not_grpc(&request.body(()).unwrap()).map(|answer| answer.status().as_u16())
    }

    #[test]
    fn what_is_no_call_of_grpc_is_answered_in_http() {
        for grpc in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;x=y",
        ] {
            assert_eq!(answer("POST", Some(grpc)), None, "{grpc}");
        }
        for other in ["application/grpc-web", "application/json", "text/plain", ""] {
            assert_eq!(answer("POST", Some(other)), Some(415), "{other}");
        }
        assert_eq!(answer("POST", None), Some(415));
        for method in ["GET", "PUT", "HEAD", "OPTIONS"] {
            assert_eq!(
                answer(method, Some("application/grpc")),
                Some(405),
                "{method}"
            );
        }
    }

    #[test]
    fn a_timeout_has_eight_digits_and_a_unit() {
        let check = |text, expected| assert_eq!(read_timeout(text), expected, "{text}");
        check("1H", Some(Duration::from_secs(3600)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3600)));
        check("2M", Some(Duration::from_secs(120)));
        check("0S", Some(Duration::ZERO));
        check("250m", Some(Duration::from_millis(250)));
        check("7u", Some(Duration::from_micros(7)));
        check("7n", Some(Duration::from_nanos(7)));
        for bad in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", "1é"] {
            check(bad, None);
        }
    }
}
