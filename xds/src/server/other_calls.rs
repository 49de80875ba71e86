//! Calls of services that are none of xDS, which the application answers on the same port: under
//! the same limits of connections, and watched as streams are.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::Stream;
use http_body::Frame;
use hyper::body::Incoming;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};

use crate::guard::identity::{Caller, Peer};
use crate::guard::liveness::{Closing, OpenStream};
use crate::server::call::{self, Deadline};
use crate::server::stream::replaced;

/// The messages of an answer, encoded; an error ends it with that status.
pub type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Answers calls of services that are none of xDS.
pub trait OtherCalls: fmt::Debug + Send + Sync + 'static {
    /// The answer to a call of this path; `None`: there is no such method. Whether the caller may
    /// have it is found out in the stream, which may wait. What the caller sends is not read.
    fn answer(&self, path: &str, caller: OtherCaller) -> Option<Answers>;
}

/// The caller of a service that is none of xDS.
#[derive(Clone, Debug)]
pub struct OtherCaller {
    peer: Arc<Peer>,
    headers: HeaderMap,
}

impl OtherCaller {
    pub(crate) fn new(peer: Arc<Peer>, headers: HeaderMap) -> OtherCaller {
        OtherCaller { peer, headers }
    }

    /// The caller, to be authenticated.
    pub fn caller(&self) -> Caller<'_> {
        Caller {
            peer: &self.peer,
            headers: &self.headers,
        }
    }
}

/// An answer as an HTTP body, which ends with the gRPC status.
pub(crate) struct OtherBody {
    /// `None` once it has ended.
    answers: Option<Answers>,
    open: OpenStream,
    deadline: Deadline,
    /// What the caller sends, if it is not read.
    _request: Option<Incoming>,
}

impl OtherBody {
    pub(crate) fn new(
        answers: Answers,
        open: OpenStream,
        timeout: Option<Duration>,
        request: Option<Incoming>,
    ) -> OtherBody {
        OtherBody {
            answers: Some(answers),
            open,
            deadline: Deadline::after(timeout),
            _request: request,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        if let Poll::Ready(status) = self.deadline.poll(cx) {
            return Poll::Ready(Some(Err(status)));
        }
        let next = match &mut self.answers {
            Some(answers) => answers.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        };
        // What has come from the caller before that is taken.
        if next.is_pending() && self.open.connection.closing() != Closing::No {
            return Poll::Ready(Some(Err(replaced())));
        }
        next
    }
}

/// A message with the prefix that gRPC gives it: not compressed, so long.
fn prefixed(message: &[u8]) -> Result<Bytes, Status> {
    let length = u32::try_from(message.len());
    let length = length.map_err(|_| Status::internal("the message is too long"))?;
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(0);
    bytes.put_u32(length);
    bytes.put_slice(message);
    Ok(bytes.freeze())
}

impl http_body::Body for OtherBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.answers.is_none() {
            return Poll::Ready(None);
        }
        // Whoever asks for more has taken what was there.
        self.open.progress.moved();
        let next = ready!(self.poll_next(cx));
        let next = next.map(|message| message.and_then(|message| prefixed(&message)));
        let status = match next {
            Some(Ok(bytes)) => {
                self.open.progress.waits();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Some(Err(status)) => status,
            None => Status::new(Code::Ok, ""),
        };
        self.answers = None;
        if matches!(
            status.code(),
            Code::Unauthenticated | Code::PermissionDenied
        ) {
            self.open.connection.refused();
        }
        Poll::Ready(Some(call::end(&status)))
    }
}
