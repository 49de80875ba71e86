//! The port-forward of pods: a WebSocket, of which channel 0 is the connection. A pod's port is the
//! one on loopback where the server runs.

use bytes::{Buf, Bytes};
use futures::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::body::Content;

/// The subprotocol.
const PROTOCOL: &str = "v4.channel.k8s.io";

/// Answers with a WebSocket to the port; `None` if the request is no such one.
pub(super) fn answer(request: Request<Incoming>) -> Option<Response<Content>> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, port) = pairs.find(|(name, _)| name == "ports")?;
    let port: u16 = port.parse().ok()?;
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?;
    let accept = derive_accept_key(key.as_bytes());
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let io = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
            // An error is a side that went away.
            let _ = forward(socket, port).await;
        }
    });
    let response = Response::builder()
        .status(101)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .header(SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
        .body(Content::Whole(Bytes::new()));
    response.ok()
}

async fn forward(
    mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
    port: u16,
) -> Result<(), Error> {
    // Each channel begins with the port, the data's and then that of errors.
    for channel in [0, 1] {
        let [low, high] = port.to_le_bytes();
        socket
            .send(Message::binary(vec![channel, low, high]))
            .await?;
    }
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        let message = [&[1][..], b"connection refused"].concat();
        socket.send(Message::binary(message)).await?;
        return socket.close(None).await;
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                Some(Message::Binary(mut bytes)) if bytes.first() == Some(&0) => {
                    bytes.advance(1);
                    stream.write_all(&bytes).await?;
                }
                Some(Message::Close(_)) | None => return Ok(()),
                Some(_) => {}
            },
            read = stream.read(&mut buffer) => match read? {
                0 => return socket.close(None).await,
                count => {
                    let message = [&[0], &buffer[..count]].concat();
                    socket.send(Message::binary(message)).await?;
                }
            }
        }
    }
}
