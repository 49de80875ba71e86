//! The answer of a stream as an HTTP body: gRPC frames over bytes that all streams share, made when the transport asks for them.
//!
//! There is no task and no channel between a stream and its connection: the body polls the stream, which leaves at most one message in
//! its slot. tonic's own encoder would copy every message into a buffer per stream; here large parts go to the transport as they are.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};

/// Parts from this size on are shared, smaller ones are copied together: a frame of its own would cost more than the copy.
const SHARED: usize = 8 << 10;

/// The parts of a message.
type Message = Vec<Bytes>;

/// Where a stream leaves its next message. It has room for one, so that a slow proxy gets the newest state when it reads on, never a
/// queue of old ones (xDS rules 98, 129).
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Message>>>);

impl Slot {
    /// Waits until the transport has taken the last message. The body polls the stream again right after it took it.
    pub(crate) async fn free(&self) {
        poll_fn(|_| match self.lock().is_none() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    pub(crate) fn put(&self, message: Message) {
        *self.lock() = Some(message);
    }

    fn take(&self) -> Option<Message> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Message>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream: runs to its end and leaves messages in a slot.
type Stream = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

pub(crate) struct ResponseBody {
    stream: Stream,
    slot: Slot,
    /// What is left of the message under way.
    parts: VecDeque<Bytes>,
    ended: bool,
}

impl ResponseBody {
    /// The messages that `stream` leaves in `slot`, then how it ended.
    pub(crate) fn new(slot: Slot, stream: Stream) -> ResponseBody {
        ResponseBody {
            stream,
            slot,
            parts: VecDeque::new(),
            ended: false,
        }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.parts.is_empty() && !self.ended {
            let end = self.stream.as_mut().poll(cx);
            match (self.slot.take(), end) {
                (Some(message), Poll::Pending) => self.parts = frame(message),
                (None, Poll::Pending) => return Poll::Pending,
                (_, Poll::Ready(end)) => {
                    self.ended = true;
                    let status = end.err().unwrap_or_else(|| Status::new(Code::Ok, ""));
                    let mut trailers = HeaderMap::new();
                    status.add_header(&mut trailers)?;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
        }
        let part = self.parts.pop_front();
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// Puts the head of a gRPC message (not compressed, its length) before its parts.
fn frame(message: Vec<Bytes>) -> VecDeque<Bytes> {
    let length: usize = message.iter().map(Bytes::len).sum();
    let small = |part: &&Bytes| part.len() < SHARED;
    let copied: usize = message.iter().filter(small).map(Bytes::len).sum();
    let mut buf = BytesMut::with_capacity(copied + 5);
    buf.put_u8(0);
    // Messages are far below 4 GiB: those that can be split are, and the rest is warned of.
    buf.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    let mut frames = VecDeque::new();
    for part in message {
        if part.len() < SHARED {
            buf.put(part);
        } else {
            if !buf.is_empty() {
                frames.push_back(buf.split().freeze());
            }
            frames.push_back(part);
        }
    }
    if !buf.is_empty() {
        frames.push_back(buf.freeze());
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_are_joined_and_large_ones_shared() {
        let large = Bytes::from(vec![7; SHARED]);
        let message = vec![
            Bytes::from("ab"),
            Bytes::from("c"),
            large.clone(),
            Bytes::from("d"),
        ];
        let frames = frame(message);
        assert_eq!(frames.len(), 3);
        let length = (SHARED + 4) as u32;
        assert_eq!(frames[0][0], 0);
        assert_eq!(frames[0][1..5], length.to_be_bytes());
        assert_eq!(&frames[0][5..], b"abc");
        assert_eq!(frames[1].as_ptr(), large.as_ptr());
        assert_eq!(&frames[2][..], b"d");
    }

    #[test]
    fn an_empty_message_is_its_head() {
        assert_eq!(frame(vec![]), [Bytes::from_static(&[0; 5])]);
    }
}
