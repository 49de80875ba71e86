//! The body of an answer of tonic's: it ends with its connection and with the time of its call, and
//! is given to the transport in pieces, so that a slow reader is seen to read (`liveness`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

use crate::guard::identity_limits::StreamPermit;
use crate::guard::liveness::{Closing, OpenStream};
use crate::server::call::{self, Deadline};
use crate::server::response_body::PIECE;
use crate::server::stream::replaced;

/// The body of an answer of a service beside discovery.
pub(super) struct SideBody {
    inner: Body,
    /// What of a frame has not been taken yet.
    rest: Bytes,
    open: OpenStream,
    deadline: Deadline,
    /// Whether anything was sent.
    answered: bool,
    ended: bool,
    _permit: Option<Arc<StreamPermit>>,
}

impl SideBody {
    pub(super) fn new(
        inner: Body,
        open: OpenStream,
        permit: Option<Arc<StreamPermit>>,
        timeout: Option<Duration>,
    ) -> SideBody {
        SideBody {
            inner,
            rest: Bytes::new(),
            open,
            deadline: Deadline::after(timeout),
            answered: false,
            ended: false,
            _permit: permit,
        }
    }

    /// The status with which the call has to end now, if it has to.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<Status> {
        if let Poll::Ready(status) = self.deadline.poll(cx) {
            return Some(status);
        }
        match self.open.connection.closing() {
            Closing::Soon if self.answered => Some(replaced()),
            Closing::Now => Some(replaced()),
            Closing::No | Closing::Soon => None,
        }
    }
}

impl http_body::Body for SideBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Whoever asks for more has taken what was there.
        self.open.progress.moved();
        if self.rest.is_empty() {
            if let Some(status) = self.poll_end(cx) {
                self.ended = true;
                return Poll::Ready(Some(call::end(&status)));
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.open.progress.waits();
        self.answered = true;
        let size = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.rest.is_empty() && self.inner.is_end_stream())
    }
}
