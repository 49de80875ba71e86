//! The answer of a stream as an HTTP body: gRPC frames over bytes that all streams share.
//!
//! tonic's own encoder would copy every message into a buffer per stream; here large parts go to the transport as they are.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use tokio::sync::mpsc;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};

/// Parts from this size on are shared, smaller ones are copied together: a frame of its own would cost more than the copy.
const SHARED: usize = 8 << 10;

/// What a stream's task sends: the parts of a message, or why the stream ends.
pub(crate) type Responses = mpsc::Receiver<Result<Vec<Bytes>, Status>>;

pub(crate) struct ResponseBody {
    responses: Responses,
    /// What is left of the message under way.
    parts: VecDeque<Bytes>,
    ended: bool,
}

impl ResponseBody {
    pub(crate) fn new(responses: Responses) -> ResponseBody {
        ResponseBody {
            responses,
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
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let status = match ready!(self.responses.poll_recv(cx)) {
                Some(Ok(message)) => {
                    self.parts = frame(message);
                    continue;
                }
                Some(Err(status)) => status,
                None => Status::new(Code::Ok, ""),
            };
            self.ended = true;
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers)?;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.parts.is_empty()
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
