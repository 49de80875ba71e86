//! A TCP connection with one gRPC stream on it. Connection and stream are one task: an
//! acknowledgement goes out with the same wake-up in which the response came.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use tokio::net::TcpSocket;

use super::session::Session;
use crate::clock;

/// Large enough that no first answer waits for a window, as with Envoy.
const WINDOW: u32 = 16 << 20;

/// What a connection needs to know.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) server: SocketAddr,
    pub(super) source: Ipv4Addr,
    pub(super) session: Arc<Mutex<Session>>,
    /// Set: stops reading for good with the next message.
    pub(super) stalled: Arc<AtomicBool>,
}

enum End {
    Closed,
    Stalled,
}

impl Connection {
    /// Connects and stays until the server ends the stream.
    pub(super) async fn run(&self) -> Result<()> {
        let socket = TcpSocket::new_v4()?;
        if self.source != Ipv4Addr::LOCALHOST {
            socket.bind((self.source, 0).into())?;
        }
        let receive_buffer = self.with(|session| session.config.receive_buffer);
        if receive_buffer > 0 {
            socket.set_recv_buffer_size(receive_buffer)?;
        }
        let tcp = socket.connect(self.server).await.context("connecting")?;
        tcp.set_nodelay(true)?;
        // Closed connections leave nothing behind that would make the next workload's ports hard to
        // find.
        tcp.set_zero_linger()?;
        let mut builder = Builder::new();
        builder
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let (client, mut connection) = builder.handshake::<_, Bytes>(tcp).await?;
        let end = tokio::select! {
            biased;
            end = &mut connection => end.map(|()| End::Closed)?,
            end = self.talk(client) => end?,
        };
        match end {
            End::Closed => bail!("the server closed the connection"),
            // The socket stays open and nobody reads it.
            End::Stalled => std::future::pending().await,
        }
    }

    async fn talk(&self, client: SendRequest<Bytes>) -> Result<End> {
        let dialect = match self.with(|session| session.config.delta) {
            true => "DeltaAggregatedResources",
            false => "StreamAggregatedResources",
        };
        let service = "envoy.service.discovery.v3.AggregatedDiscoveryService";
        let request = http::Request::post(format!("http://{}/{service}/{dialect}", self.server))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let (response, mut requests) = client.ready().await?.send_request(request, false)?;
        for request in self.with(Session::start) {
            requests.send_data(request, false)?;
        }
        let response = response.await?;
        if let Some(status) = response.headers().get("grpc-status") {
            bail!("the server refused the stream: {status:?}");
        }
        let mut body = response.into_body();
        let mut buffer = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            let now = clock::now();
            buffer.extend_from_slice(&chunk);
            while let Some(length) = complete(&buffer) {
                let message = &buffer[5..5 + length];
                let answers = self.with(|session| session.message(message, now));
                for answer in answers.into_iter().flatten() {
                    requests.send_data(answer, false)?;
                }
                buffer.advance(5 + length);
                if self.stalled.load(Ordering::Relaxed) {
                    return Ok(End::Stalled);
                }
            }
            if buffer.is_empty() && buffer.capacity() > 1 << 16 {
                // Thousands of idle streams need not keep the room of their first answer.
                buffer = BytesMut::new();
            }
        }
        let trailers = body.trailers().await?;
        bail!("the server ended the stream: {trailers:?}")
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(&mut session)
    }
}

/// The length of the first message, if all of it is there.
fn complete(buffer: &[u8]) -> Option<usize> {
    let prefix = buffer.get(1..5)?.try_into().ok()?;
    let length = u32::from_be_bytes(prefix) as usize;
    (buffer.len() >= 5 + length).then_some(length)
}
