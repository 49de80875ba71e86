//! Reading the requests of a stream from the body of its HTTP request: gRPC messages, still
//! encoded.
//!
//! A message that arrived in one piece, as nearly all do, is not copied. One that arrived in
//! several pieces is assembled in a buffer that is freed with it: the first request of a proxy that
//! reconnects is large, and all later ones are small (xDS rule 136).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use tokio::time::Sleep;
use tonic::Status;

use crate::guard::memory::Charge;

/// The largest request taken, in bytes: a reconnecting proxy lists every resource it holds (xDS
/// rule 126). Half a million of them have room.
const MAX_REQUEST: usize = 32 << 20;
/// The length of what precedes every gRPC message: a flag of compression, and the message's length.
const HEAD: usize = 5;

/// The requests of a stream, read from an HTTP body within limits of size, time and memory.
#[derive(Debug)]
pub(crate) struct Requests<B = hyper::body::Incoming> {
    body: B,
    messages: Messages,
    /// The memory that is charged to the stream.
    charge: Charge,
    /// The part of that memory which the session has.
    session: usize,
    /// The longest time from the first byte of a request to its last.
    time: Duration,
    /// The timer of a request whose end has not come.
    late: Option<Pin<Box<Sleep>>>,
}

impl<B: Body<Data = Bytes> + Unpin> Requests<B>
where
    B::Error: std::fmt::Display,
{
    /// Reads requests from `body`. `charge` is what is kept for the stream, `time` how long a
    /// request may take from its first byte to its last.
    pub(crate) fn new(body: B, charge: Charge, time: Duration) -> Requests<B> {
        Requests {
            body,
            messages: Messages::default(),
            charge,
            session: 0,
            time,
            late: None,
        }
    }

    /// Sets the number of bytes that the stream's session keeps.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if that is too much.
    pub(crate) fn session_keeps(&mut self, bytes: usize) -> Result<(), Status> {
        self.session = bytes;
        self.account()
    }

    fn account(&mut self) -> Result<(), Status> {
        self.charge.set(self.session + self.messages.bytes())
    }

    /// Polls the next request; `None` if the client has ended its requests, or is gone.
    ///
    /// # Errors
    ///
    /// OUT_OF_RANGE if it is too large, UNIMPLEMENTED if it is compressed, INTERNAL if its end is
    /// missing, DEADLINE_EXCEEDED if that does not come in time, RESOURCE_EXHAUSTED if too much is
    /// kept for this client.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if let Some(message) = self.messages.next()? {
                self.late = None;
                return Poll::Ready(Ok(Some(message)));
            }
            self.account()?;
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                return self.poll_late(cx);
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.messages.push(data);
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the requests of a stream cannot be read further");
                    return Poll::Ready(Ok(None));
                }
                None => return Poll::Ready(self.messages.end().map(|()| None)),
            }
        }
    }

    /// Pending, unless the end of a request has not come in time.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        if self.messages.begun.is_empty() {
            return Poll::Pending;
        }
        let late = self
            .late
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.time)));
        ready!(late.as_mut().poll(cx));
        let text = "a request was not complete in time";
        Poll::Ready(Err(Status::deadline_exceeded(text)))
    }
}

/// Assembles gRPC messages from pieces of any size.
#[derive(Debug, Default)]
struct Messages {
    /// The beginning of a message whose end has not come.
    begun: BytesMut,
    /// The bytes that came after that, or after the last message.
    piece: Bytes,
}

impl Messages {
    /// The memory of messages that are not complete, in bytes.
    fn bytes(&self) -> usize {
        self.begun.capacity() + self.piece.len()
    }

    /// Takes the next piece. The piece before was used up: `next` had nothing more in it.
    fn push(&mut self, piece: Bytes) {
        debug_assert!(self.piece.is_empty());
        self.piece = piece;
    }

    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        if self.begun.is_empty()
            && let Some(length) = length(&self.piece)?
            && self.piece.len() >= HEAD + length
        {
            self.piece.advance(HEAD);
            let message = self.piece.split_to(length);
            self.let_go();
            return Ok(Some(message));
        }
        if self.begun.len() < HEAD {
            self.take(HEAD);
        }
        let Some(length) = length(&self.begun)? else {
            return Ok(None);
        };
        self.take(HEAD + length);
        if self.begun.len() < HEAD + length {
            return Ok(None);
        }
        let mut message = std::mem::take(&mut self.begun).freeze();
        message.advance(HEAD);
        Ok(Some(message))
    }

    /// Moves bytes from the piece until `until` bytes of the message are there. The buffer grows
    /// with what comes, not with what was announced.
    fn take(&mut self, until: usize) {
        let count = self.piece.len().min(until - self.begun.len());
        self.begun.extend_from_slice(&self.piece[..count]);
        self.piece.advance(count);
        self.let_go();
    }

    /// Frees an empty piece, which may still keep the buffer that it was cut from.
    fn let_go(&mut self) {
        if self.piece.is_empty() {
            self.piece = Bytes::new();
        }
    }

    fn end(&self) -> Result<(), Status> {
        match self.begun.is_empty() {
            true => Ok(()),
            false => Err(Status::internal(
                "the request stream ended within a request",
            )),
        }
    }
}

/// The length of the message that begins here, if its head is complete.
fn length(bytes: &[u8]) -> Result<Option<usize>, Status> {
    let Some((&[compressed, a, b, c, d], _)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    if compressed != 0 {
        return Err(Status::unimplemented(
            "compressed requests are not supported",
        ));
    }
    match u32::from_be_bytes([a, b, c, d]) as usize {
        length if length > MAX_REQUEST => Err(Status::out_of_range(format!(
            "a request has {length} bytes; the limit is {MAX_REQUEST}"
        ))),
        length => Ok(Some(length)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use tonic::Code;

    use crate::guard::memory::ClientMemory;
    use crate::limits::Limits;
    use crate::metrics::Metrics;

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        [&[0][..], &length.to_be_bytes(), message].concat()
    }

    /// Everything in the pieces, and whether all was used up.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<Bytes>, Messages), Status> {
        let mut messages = Messages::default();
        let mut all = Vec::new();
        for piece in pieces {
            messages.push(Bytes::copy_from_slice(piece));
            while let Some(message) = messages.next()? {
                all.push(message);
            }
        }
        Ok((all, messages))
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_they_are_cut(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let stream = sent.iter().flat_map(|message| framed(message)).collect::<Vec<u8>>();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            let (all, messages) = read(&pieces).unwrap();
            prop_assert_eq!(all, sent);
            prop_assert!(messages.end().is_ok());
        }
    }

    #[test]
    fn a_message_in_one_piece_is_not_copied() {
        let piece = Bytes::from(framed(b"request"));
        let mut messages = Messages::default();
        messages.push(piece.clone());
        let message = messages.next().unwrap().unwrap();
        assert_eq!(message.as_ptr(), piece[HEAD..].as_ptr());
    }

    #[test]
    fn nothing_is_kept_of_a_large_request_rule_136() {
        let large = framed(&vec![7; 5 << 20]);
        let pieces: Vec<&[u8]> = large.chunks(16 << 10).collect();
        let (all, messages) = read(&pieces).unwrap();
        assert_eq!(all[0].len(), 5 << 20);
        assert_eq!(messages.begun.capacity(), 0);
        // Whoever has the message has all of it: nothing else keeps the memory.
        assert!(all.into_iter().all(|message| message.is_unique()));

        for (piece, expected) in [(&large[..], true), (&large[..100], false)] {
            let piece = Bytes::copy_from_slice(piece);
            let mut messages = Messages::default();
            messages.push(piece.clone());
            assert_eq!(messages.next().unwrap().is_some(), expected);
            assert!(piece.is_unique());
        }
    }

    /// A body of which this comes, and then nothing.
    struct Stalled(Option<Bytes>);

    impl Body for Stalled {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            match self.0.take() {
                Some(data) => Poll::Ready(Some(Ok(http_body::Frame::data(data)))),
                None => Poll::Pending,
            }
        }
    }

    fn requests(sent: Vec<u8>, limits: &Limits) -> Requests<Stalled> {
        let memory = Arc::new(ClientMemory::new(limits, Metrics::default()));
        let charge = memory.charge(&Arc::default());
        Requests::new(Stalled(Some(sent.into())), charge, limits.request)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_half_a_minute_from_its_first_byte_to_its_last() {
        let limits = Limits::default();
        let mut whole = requests(framed(b"request"), &limits);
        let next = std::future::poll_fn(|cx| whole.poll_next(cx)).await;
        assert_eq!(&*next.unwrap().unwrap(), b"request");
        let rest = std::future::poll_fn(|cx| whole.poll_next(cx));
        let rest = tokio::time::timeout(Duration::from_secs(3600), rest).await;
        assert!(rest.is_err(), "nothing has begun, so nothing is late");

        let mut cut = framed(b"request");
        cut.pop();
        let mut cut = requests(cut, &limits);
        let start = tokio::time::Instant::now();
        let next = std::future::poll_fn(|cx| cut.poll_next(cx)).await;
        assert_eq!(next.unwrap_err().code(), Code::DeadlineExceeded);
        assert!(start.elapsed() >= limits.request);
    }

    #[tokio::test]
    async fn what_is_kept_of_a_request_is_charged_and_given_back() {
        let limits = Limits {
            memory_per_client: 1 << 20,
            ..Limits::default()
        };
        let large = framed(&vec![7; 2 << 20]);
        let mut requests = requests(large[..3 << 19].to_vec(), &limits);
        let next = std::future::poll_fn(|cx| requests.poll_next(cx)).await;
        assert_eq!(next.unwrap_err().code(), Code::ResourceExhausted);
        requests.messages = Messages::default();
        requests.session_keeps(1 << 20).unwrap();
        let more = requests.session_keeps((1 << 20) + 1).unwrap_err();
        assert_eq!(more.code(), Code::ResourceExhausted);
        requests.session_keeps(0).unwrap();
    }

    #[test]
    fn an_announced_length_takes_no_room() {
        let (_, messages) = read(&[&framed(&vec![7; 30 << 20])[..100]]).unwrap();
        assert!(messages.begun.capacity() < 1000);
    }

    #[test]
    fn what_is_too_large_compressed_or_cut_off_is_refused() {
        let code = |pieces: &[&[u8]]| read(pieces).err().map(|status| status.code());
        assert_eq!(code(&[&[0, 2, 0, 0, 0]]), None);
        assert_eq!(code(&[&[0, 2, 0, 0, 1]]), Some(Code::OutOfRange));
        assert_eq!(code(&[&[0, 2], &[0, 0, 1]]), Some(Code::OutOfRange));
        assert_eq!(code(&[&[1, 0, 0, 0, 0]]), Some(Code::Unimplemented));
        let (_, messages) = read(&[&framed(b"request")[..8]]).unwrap();
        assert_eq!(messages.end().unwrap_err().code(), Code::Internal);
    }
}
