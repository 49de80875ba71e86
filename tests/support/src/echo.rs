//! What an echoing backend answers: everything that it got of a request, after it has done what
//! headers of the request ask for.
//!
//! - `echo-status: 500`: the status of the answer;
//! - `echo-delay: 1000`: milliseconds before the answer begins;
//! - `echo-drip: 3`: the body takes so many seconds more, with some of it every second;
//! - `echo-abort: yes`: the connection is closed instead;
//! - `echo-times: 2`: the status, the delay and the end of the connection are for so many requests
//!   of this host and path, the first ones;
//! - `echo-read: yes`: the body of the request is read before the answer begins, and counted;
//! - `echo-answer: name=value`: a header of the answer, as often as it is given.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Interval, interval_at};

/// The body of an answer: at once, or in drops.
pub(crate) type AnswerBody = Either<Full<Bytes>, Drip>;

/// A request as the backend got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echoed {
    /// The name of the backend.
    pub backend: String,
    /// The method.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The host name that was asked for.
    pub host: String,
    /// The HTTP version: `HTTP/1.1`, `HTTP/2.0`.
    pub version: String,
    /// How many bytes its body had, if it was told to read it.
    pub body: u64,
    /// All headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Echoed {
    /// Reads the body of an answer; `None` when no echoing backend made it.
    pub fn read(body: &str) -> Option<Self> {
        let body = body.trim_matches(char::is_whitespace);
        let value: Value = serde_json::from_str(body).ok()?;
        let text = |field: &str| Some(value[field].as_str()?.to_owned());
        let headers = value["headers"].as_array()?.iter();
        let headers = headers.map(|pair| {
            let part = |at: usize| Some(pair[at].as_str()?.to_owned());
            Some((part(0)?, part(1)?))
        });
        Some(Self {
            backend: text("backend")?,
            method: text("method")?,
            path: text("path")?,
            host: text("host")?,
            version: text("version")?,
            body: value["body"].as_u64()?,
            headers: headers.collect::<Option<_>>()?,
        })
    }

    /// The values of a header, joined as a list.
    pub fn header(&self, name: &str) -> Option<String> {
        let all = self.headers.iter().filter(|(n, _)| n == name);
        let values: Vec<&str> = all.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

/// The host name that a request asks for.
pub(crate) fn host(request: &Request<Incoming>) -> String {
    let header = request.headers().get(HOST);
    let header = header.and_then(|host| host.to_str().ok());
    let authority = request.uri().authority();
    let host = header.or(authority.map(|authority| authority.as_str()));
    host.unwrap_or_default().to_owned()
}

/// Does what the request asks for, and echoes it. It is request number `count` of its host and
/// path.
pub(crate) async fn answer(
    mut request: Request<Incoming>,
    name: &str,
    count: u64,
) -> Result<Response<AnswerBody>> {
    let read = match request.headers().contains_key("echo-read") {
        true => length(request.body_mut()).await,
        false => 0,
    };
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    if header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket")) {
        return Ok(upgrade(request));
    }
    let number = |name: &str| header(name).and_then(|value| value.parse::<u64>().ok());
    let told = number("echo-times").is_none_or(|times| count <= times);
    if told && header("echo-abort").is_some() {
        anyhow::bail!("the request asks for no answer");
    }
    if let Some(delay) = number("echo-delay").filter(|_| told) {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let body = Bytes::from(described(&request, name, read).to_string());
    let body = match number("echo-drip") {
        Some(seconds) => Either::Right(Drip::new(seconds, body)),
        None => Either::Left(Full::new(body)),
    };
    let mut response = Response::new(body);
    let status = header("echo-status").and_then(|value| value.parse::<StatusCode>().ok());
    *response.status_mut() = status.filter(|_| told).unwrap_or_default();
    for pair in request.headers().get_all("echo-answer") {
        let pair = pair.to_str().ok().and_then(|pair| pair.split_once('='));
        let pair = pair.and_then(|(name, value)| {
            let name: HeaderName = name.parse().ok()?;
            Some((name, value.parse::<HeaderValue>().ok()?))
        });
        if let Some((name, value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

/// How many bytes a body has; as many as came, if it has no end.
async fn length(body: &mut Incoming) -> u64 {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    length
}

fn described(request: &Request<Incoming>, name: &str, body: u64) -> Value {
    let headers = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        json!([name.as_str(), value])
    });
    let path = request.uri().path_and_query();
    json!({
        "backend": name,
        "method": request.method().as_str(),
        "path": path.map_or("", |path| path.as_str()),
        "host": host(request),
        "version": format!("{:?}", request.version()),
        "body": body,
        "headers": headers.collect::<Vec<_>>(),
    })
}

/// Takes the connection over and sends back every byte.
fn upgrade(request: Request<Incoming>) -> Response<AnswerBody> {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await?;
        let mut stream = TokioIo::new(upgraded);
        let mut buffer = [0; 1024];
        loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return anyhow::Ok(());
            }
            stream.write_all(&buffer[..count]).await?;
            stream.flush().await?;
        }
    });
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

/// A body with a space every second, and the content after the last.
#[derive(Debug)]
pub(crate) struct Drip {
    ticks: Interval,
    left: u64,
    content: Option<Bytes>,
}

impl Drip {
    fn new(seconds: u64, content: Bytes) -> Self {
        let second = Duration::from_secs(1);
        Self {
            ticks: interval_at(tokio::time::Instant::now() + second, second),
            left: seconds,
            content: Some(content),
        }
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(self.content.take().map(|content| Ok(Frame::data(content))));
        }
        ready!(self.ticks.poll_tick(context));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}

/// [`Echoed::read`], for an answer that has to come from an echoing backend.
pub(crate) fn echoed(body: &str) -> Result<Echoed> {
    Echoed::read(body).with_context(|| format!("no echo: {body:?}"))
}
