//! A connection's socket that records whether it can be written to. Only this tells a peer that has
//! stopped reading from one that has nothing to read: a ping waits behind the bytes that are not
//! taken.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::guard::liveness::Progress;

/// A TCP socket that records in a [`Progress`] whether its bytes wait for the peer.
pub(crate) struct Socket {
    inner: TcpStream,
    progress: Arc<Progress>,
}

impl Socket {
    pub(crate) fn new(inner: TcpStream, progress: Arc<Progress>) -> Socket {
        Socket { inner, progress }
    }

    /// Whether the peer sends anything before it closes.
    pub(crate) async fn speaks(&self) -> bool {
        self.inner.peek(&mut [0]).await.is_ok_and(|bytes| bytes > 0)
    }

    /// Records whether a write is pending.
    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        match written.is_pending() {
            true => self.progress.waits(),
            false => self.progress.moved(),
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
