//! The HTTP body of a stream's responses: the proxy is admitted first, then messages are made when
//! the transport asks for them.
//!
//! There is no task and no queue between a stream and its connection: the transport polls the
//! stream through this body. tonic's own encoder would copy every message into a buffer per stream;
//! here large parts go to the transport without a copy.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tonic::{Code, Status};

use crate::guard::liveness::{Closing, OpenStream};
use crate::server::Admit;
use crate::server::call::{self, Deadline};
use crate::server::stream::{Stream, replaced};
use crate::wire::response::Message;

/// The most bytes given to the transport at once, so that a slow reader is seen to read
/// (`liveness`).
pub(crate) const PIECE: usize = 256 << 10;

/// The future that admits a stream; `None` if the client sent no request.
type Opening<A> = Pin<Box<dyn Future<Output = Result<Option<Box<Stream<A>>>, Status>> + Send>>;

/// The HTTP body of a stream's responses: it admits the stream, polls it for messages, and ends
/// with the gRPC status.
pub(crate) struct ResponseBody<A> {
    state: State<A>,
    /// The message that is being sent, its parts in reverse order.
    parts: Message,
    open: OpenStream,
    deadline: Deadline,
}

/// The state of a [`ResponseBody`]: waiting for admission, open, or ended.
enum State<A> {
    Opening(Opening<A>),
    Open(Box<Stream<A>>),
    Ended,
}

impl<A: Admit> ResponseBody<A> {
    pub(crate) fn new(
        opening: impl Future<Output = Result<Option<Box<Stream<A>>>, Status>> + Send + 'static,
        open: OpenStream,
        timeout: Option<Duration>,
    ) -> ResponseBody<A> {
        ResponseBody {
            state: State::Opening(Box::pin(opening)),
            parts: Message::new(),
            open,
            deadline: Deadline::after(timeout),
        }
    }

    /// Polls the next message, unless the time of the call is over.
    fn poll_in_time(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Status>> {
        match self.deadline.poll(cx) {
            Poll::Ready(status) => Poll::Ready(Err(status)),
            Poll::Pending => self.poll_message(cx),
        }
    }

    /// Polls the next message; `None` and an error end the stream.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Status>> {
        loop {
            match &mut self.state {
                State::Opening(opening) => match opening.as_mut().poll(cx)? {
                    Poll::Ready(Some(stream)) => self.state = State::Open(stream),
                    Poll::Ready(None) => return Poll::Ready(Ok(None)),
                    Poll::Pending => match self.open.connection.closing() {
                        Closing::Now => return Poll::Ready(Err(replaced())),
                        _ => return Poll::Pending,
                    },
                },
                State::Open(stream) => return stream.poll_message(cx),
                State::Ended => return Poll::Ready(Ok(None)),
            }
        }
    }
}

impl<A: Admit> http_body::Body for ResponseBody<A> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        // Whoever asks for more has taken what was there.
        self.open.progress.moved();
        if self.parts.is_empty() {
            let end = match ready!(self.poll_in_time(cx)) {
                Ok(Some(message)) => {
                    self.parts = message;
                    self.parts.reverse();
                    None
                }
                Ok(None) => Some(Status::new(Code::Ok, "")),
                Err(status) => Some(status),
            };
            if let Some(status) = end {
                self.state = State::Ended;
                return Poll::Ready(Some(call::end(&status)));
            }
        }
        self.open.progress.waits();
        let piece = match self.parts.last_mut() {
            Some(part) if part.len() > PIECE => Some(part.split_to(PIECE)),
            _ => self.parts.pop(),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended) && self.parts.is_empty()
    }
}
