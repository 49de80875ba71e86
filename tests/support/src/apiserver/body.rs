//! The bodies of answers: whole, or as a stream that some task writes to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// An error of the stream breaks the connection.
pub(super) type Writer = mpsc::Sender<io::Result<Bytes>>;

#[derive(Debug)]
pub(super) enum Content {
    Whole(Bytes),
    Stream(mpsc::Receiver<io::Result<Bytes>>),
    /// A stream that is to break once what came before has left.
    Broken(Option<io::Error>),
}

impl Content {
    /// A stream, and where to write it.
    pub(super) fn stream() -> (Writer, Self) {
        let (writer, reader) = mpsc::channel(64);
        (writer, Self::Stream(reader))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream(reader) => {
                let Poll::Ready(piece) = reader.poll_recv(context) else {
                    return Poll::Pending;
                };
                if let Some(Err(error)) = piece {
                    *self = Self::Broken(Some(error));
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
            Self::Broken(error) => Poll::Ready(error.take().map(Err)),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) | Self::Broken(_) => SizeHint::default(),
        }
    }
}
