//! A client that adds nothing to HTTP.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use seaway_testing::ApiServer;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::soon;

/// The token of a server that was not told otherwise.
const TOKEN: &str = "Bearer seaway-test-token";

pub(crate) const SERVICES: &str = "/api/v1/services";
pub(crate) const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";

/// Sends one request on a connection of its own.
pub(crate) async fn send(
    server: &ApiServer,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>> {
    let stream = TcpStream::connect(server.address()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(soon(sender.send_request(request)).await??)
}

pub(crate) fn request(
    method: &str,
    path: &str,
    media: &str,
    body: &str,
) -> Result<Request<Full<Bytes>>> {
    Ok(Request::builder()
        .method(method)
        .uri(path)
        .header("host", "test")
        .header("authorization", TOKEN)
        .header("content-type", media)
        .header("user-agent", "tests")
        .body(Full::from(body.to_owned()))?)
}

/// Status and object of an answer; of one that is plain text, the text.
pub(crate) async fn ask(
    server: &ApiServer,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(u16, Value)> {
    let media = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let response = send(server, request(method, path, media, body)?).await?;
    let status = response.status().as_u16();
    let is_text = response.headers()["content-type"] != "application/json";
    let body = soon(response.into_body().collect()).await??.to_bytes();
    if is_text {
        return Ok((status, String::from_utf8(body.into())?.into()));
    }
    Ok((status, serde_json::from_slice(&body).context("not JSON")?))
}

pub(crate) async fn get(server: &ApiServer, path: &str) -> Result<(u16, Value)> {
    ask(server, "GET", path, "").await
}

/// The names of a list, of objects or of their events.
pub(crate) fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items
        .filter_map(|item| Some(item["metadata"]["name"].as_str()?.to_owned()))
        .collect()
}

/// An open watch.
pub(crate) struct Watch {
    body: Incoming,
    unread: Vec<u8>,
    lines: VecDeque<String>,
}

impl Watch {
    /// Opens one with these parameters; fails when the answer is not 200.
    pub(crate) async fn open(server: &ApiServer, path: &str, query: &str) -> Result<Self> {
        let path = format!("{path}?watch=true&{query}");
        let response = send(server, request("GET", &path, "", "")?).await?;
        anyhow::ensure!(response.status() == 200, "status {}", response.status());
        Ok(Self {
            body: response.into_body(),
            unread: Vec::new(),
            lines: VecDeque::new(),
        })
    }

    /// The next line; `None` is an end in good order.
    pub(crate) async fn line(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            let Some(frame) = soon(self.body.frame()).await? else {
                let rest = String::from_utf8(std::mem::take(&mut self.unread))?;
                return Ok((!rest.is_empty()).then_some(rest));
            };
            self.unread
                .extend_from_slice(frame?.data_ref().context("no data")?);
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.unread.drain(..=end).collect();
                self.lines.push_back(String::from_utf8(line)?);
            }
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Result<Value> {
        let line = self.line().await?.context("the watch has ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// The type and the name of the next event; of a bookmark the revision.
    pub(crate) async fn next(&mut self) -> Result<String> {
        let event = self.event().await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &event["object"]["metadata"];
        let name = if event["type"] == "BOOKMARK" {
            "resourceVersion"
        } else {
            "name"
        };
        Ok(format!(
            "{} {}",
            text(&event["type"]),
            text(&metadata[name])
        ))
    }

    /// [`Self::next`] so many times.
    pub(crate) async fn take(&mut self, count: usize) -> Result<Vec<String>> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.next().await?);
        }
        Ok(events)
    }
}
