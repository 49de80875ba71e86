//! The transport of a connection: its socket, or TLS over it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::guard::identity::Peer;
use crate::server::socket::Socket;

/// The transport of a connection: its socket, or TLS over it.
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    /// Accepts TLS on a socket. `None` if the peer closed it without sending anything, as load
    /// balancers do that only check whether the port is open.
    ///
    /// # Errors
    ///
    /// The two do not agree, the client's certificate is not accepted, or it took too long.
    pub(crate) async fn handshake(
        socket: Socket,
        config: Arc<ServerConfig>,
        limit: Duration,
    ) -> io::Result<Option<Transport>> {
        let accepting = async {
            if !socket.speaks().await {
                return Ok(None);
            }
            TlsAcceptor::from(config).accept(socket).await.map(Some)
        };
        let accepted = tokio::time::timeout(limit, accepting).await;
        let slow = |_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "the handshake was not complete in time",
            )
        };
        let accepted = accepted.map_err(slow)??;
        Ok(accepted.map(|stream| Transport::Tls(Box::new(stream))))
    }

    /// The peer of the connection, with its certificates under TLS.
    pub(crate) fn peer(&self, address: Option<SocketAddr>) -> Peer {
        let shown = match self {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => stream.get_ref().1.peer_certificates(),
        };
        Peer {
            address,
            certificates: shown.unwrap_or_default().to_vec(),
        }
    }
}

/// Calls a method of the plain or of the TLS stream.
macro_rules! on_either {
    ($self:ident, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Transport::Plain(socket) => {
                let $io = Pin::new(socket);
                $call
            }
            Transport::Tls(stream) => {
                let $io = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self, io => io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, io => io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, io => io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Transport::Plain(socket) => socket.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, io => io.poll_shutdown(cx))
    }
}
