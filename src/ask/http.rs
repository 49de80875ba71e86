//! One request to the inspection API.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::Way;
use crate::inspect::api::ApiError;
use crate::process::outside::brief;

/// The largest answer that is read, in bytes.
const LONGEST: usize = 64 << 20;

/// What a replica answers to what it cannot be asked: it is there, and well.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

/// What the API answers to a GET of this path and query.
pub(super) async fn get<T: DeserializeOwned>(
    way: &Way,
    target: &str,
    patience: Duration,
) -> anyhow::Result<T> {
    let (status, body) = within(way, target, patience).await?;
    if status != 200 {
        let error: Result<ApiError, _> = serde_json::from_slice(&body);
        match (error, way) {
            (Ok(error), _) if status == 400 || status == 404 => {
                return Err(Refused(brief(&error.error)).into());
            }
            (Ok(error), Way::Secured(way)) => {
                bail!("{}{}", brief(&error.error), way.after_refusal(status))
            }
            (Ok(error), _) => bail!("{}", brief(&error.error)),
            (Err(_), _) => {
                bail!("answers {status}; is this the admin port of a Seaway that has /api/v1?")
            }
        }
    }
    serde_json::from_slice(&body).context("the answer is not of this version's API")
}

/// What is answered to a GET of this path, as text.
pub(super) async fn text(way: &Way, target: &str, patience: Duration) -> anyhow::Result<String> {
    let (status, body) = within(way, target, patience).await?;
    ensure!(status == 200, "answers {status}");
    Ok(String::from_utf8_lossy(&body).into_owned())
}

async fn within(way: &Way, target: &str, patience: Duration) -> anyhow::Result<(u16, Bytes)> {
    let answer = tokio::time::timeout(patience, exchange(way, target));
    let seconds = patience.as_secs();
    answer
        .await
        .map_err(|_| anyhow!("no answer within {seconds} s"))?
}

async fn exchange(way: &Way, target: &str) -> anyhow::Result<(u16, Bytes)> {
    match way {
        Way::Direct(at) => {
            let stream = TcpStream::connect((at.host.as_str(), at.port)).await?;
            over(stream, request(&at.to_string(), target)?).await
        }
        Way::Forwarded(forward) => {
            over(forward.connect().await?, request("localhost", target)?).await
        }
        Way::Secured(way) => {
            let (stream, address) = way.connect().await?;
            // Its name may be one that a foreign page could have, too; its address is not.
            let mut request = request(&address.to_string(), target)?;
            if let Some(value) = way.authorization() {
                let headers = request.headers_mut();
                headers.insert(header::AUTHORIZATION, value.clone());
            }
            let answer = over(stream, request).await;
            answer.map_err(|error| way.after_handshake(error))
        }
    }
}

/// Whether an error of [`over`] is that the connection ended without an answer: another one is of
/// what was answered.
pub(super) fn has_ended(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| {
        let error = cause.downcast_ref::<hyper::Error>();
        error.is_some_and(|error| !error.is_parse())
    })
}

fn request(host: &str, target: &str) -> anyhow::Result<Request<Empty<Bytes>>> {
    let request = Request::get(target)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())?;
    Ok(request)
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> anyhow::Result<(u16, Bytes)> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await?;
    // It ends with the answer, or with whoever waits for that.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(|error| {
        let is_http = !error.is_parse();
        let error = anyhow::Error::new(error);
        match is_http {
            true => error,
            false => {
                error.context("what answers is no HTTP/1.1; is this the admin port of a Seaway?")
            }
        }
    })?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LONGEST).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => anyhow!("the answer is larger than {} MiB", LONGEST >> 20),
        false => anyhow!("{error}"),
    })?;
    Ok((status, body.to_bytes()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The error of a request that is answered like this before the connection ends.
    async fn error_of(answer: &[u8]) -> anyhow::Error {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let serve = async move {
            let mut asked = [0; 1 << 10];
            assert_ne!(server.read(&mut asked).await.unwrap(), 0);
            server.write_all(answer).await.unwrap();
        };
        let request = request("localhost", "/").unwrap();
        let (answer, ()) = tokio::join!(over(client, request), serve);
        answer.unwrap_err()
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_an_answer_is_told_from_an_answer_that_is_none() {
        assert!(has_ended(&error_of(b"").await));
        let other = error_of(b"SSH-2.0-OpenSSH_9.6\r\n").await;
        assert!(format!("{other:#}").contains("no HTTP/1.1"));
        assert!(!has_ended(&other));
        let cut = error_of(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await;
        assert!(!has_ended(&cut), "{cut:#}");
        let large = 1 + LONGEST;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {large}\r\n\r\n");
        let large = error_of(head.as_bytes()).await;
        assert!(!has_ended(&large), "{large:#}");
    }
}
