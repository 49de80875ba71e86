//! What is around the session of a stream: it hands requests and commits to the session, and what
//! that answers to the transport. It checks for new commits whenever it is polled.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use seaway_proto::TypeUrl;
use tokio::time::Sleep;
use tonic::Status;

use crate::dialect::Dialect;
use crate::guard::admission::AdmissionPermit;
use crate::guard::identity::Peer;
use crate::guard::identity_limits::StreamPermit;
use crate::guard::liveness::{Closing, Connection};
use crate::inspect::Listed;
use crate::metrics::StreamMetrics;
use crate::server::requests::Requests;
use crate::server::stream::Admitted;
use crate::server::stream::making::Making;
use crate::server::{Admit, Shared, nack_log};
use crate::session::{Next, Outcome, ProtocolError, Response, Session};
use crate::store::Store;
use crate::store::interest::Interest;
use crate::store::notify::StreamLayers;
use crate::store::rejected::RejectedByStream;
use crate::wire::parts::{LARGE, Parts};
use crate::wire::request::{Request, node_id};
use crate::wire::response::Message;

/// The bytes of requests after which a stream lets others have their turn, and the least that any
/// request counts.
const TAKEN_AT_ONCE: usize = 64 << 10;
const SMALLEST: usize = 1 << 10;

/// The status with which a stream ends whose connection closes.
pub(crate) fn replaced() -> Status {
    Status::unavailable("this connection is closing: reconnect")
}

/// The status with which a stream ends whose request is wrong, or exceeds a limit.
fn refused(error: &ProtocolError) -> Status {
    match error.is_limit() {
        true => Status::resource_exhausted(error.to_string()),
        false => Status::invalid_argument(error.to_string()),
    }
}

/// What is around the session of a stream.
pub(super) struct Shell<A> {
    shared: Arc<Shared<A>>,
    dialect: Dialect,
    node: Box<str>,
    only: Option<TypeUrl>,
    forbidden: &'static [TypeUrl],
    connection: Arc<Connection>,
    peer: Arc<Peer>,
    requests: Requests,
    /// The parts of a large request that are not taken yet.
    parts: Option<Parts>,
    /// The number of the stream, which no other stream of this process has.
    number: u64,
    interest: Interest,
    /// The placement and layers that were registered with the notifier last.
    stream_layers: Option<StreamLayers>,
    metrics: StreamMetrics,
    /// What its client rejects, for those who have to know.
    rejected: RejectedByStream,
    /// The number of commits announced when the stream was polled last.
    seen: u64,
    rest: Rest,
    /// The wait for what is made because the client asked for it.
    making: Making,
    /// The timer for the end of a rest that has one.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether it has sent a response.
    answered: bool,
    /// The place among streams that wait for their first answer, until that is made.
    admission_permit: Option<AdmissionPermit>,
    permit: Option<StreamPermit>,
    _lease: Box<dyn Send + Sync>,
    _listed: Listed,
}

/// Whether a stream rests because its session is known to have nothing to send.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// The session may have something to send.
    No,
    /// The session has nothing to send before a request or a commit.
    Yes,
    /// The session has nothing to send before a request, a commit or this time.
    Until(Instant),
}

/// The rest of the stream after it took a request or made a response. After a commit only the
/// session's `next` can tell.
fn idle(session: &mut Session) -> Rest {
    match session.is_pending() {
        true => Rest::No,
        false => Rest::Yes,
    }
}

impl<A> Drop for Shell<A> {
    fn drop(&mut self) {
        self.connection.interest_handle.leave(self.number);
        tracing::debug!(node = &*self.node, "stream ended");
    }
}

impl<A: Admit> Shell<A> {
    /// The shell of an admitted stream: `number` is its number, `listed` its place among the open
    /// ones.
    pub(super) fn new(admitted: Admitted<A>, number: u64, listed: Listed) -> Shell<A> {
        let Admitted {
            shared, admission, ..
        } = admitted;
        Shell {
            metrics: shared.metrics.stream(),
            rejected: RejectedByStream::new(shared.snapshots.all_rejected().clone()),
            shared,
            dialect: admitted.dialect,
            node: admitted.node.id.into(),
            only: admitted.only,
            forbidden: admission.forbidden,
            connection: admitted.connection,
            peer: admitted.peer,
            requests: admitted.requests,
            parts: None,
            number,
            interest: Interest::default(),
            stream_layers: None,
            seen: 0,
            rest: Rest::No,
            making: Making::default(),
            alarm: None,
            answered: false,
            admission_permit: Some(admitted.admission_permit),
            permit: admitted.permit,
            _lease: admission.lease,
            _listed: listed,
        }
    }

    /// Polls the next message; `None` and an error end the stream.
    pub(super) fn poll_message(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Status>> {
        if let Some(parts) = self.parts.take() {
            self.take_part(session, parts)?;
            self.rest = idle(session);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Requests come first: what they change is in the next response.
        let mut taken = 0;
        while let Poll::Ready(request) = self.requests.poll_next(cx) {
            let Some(request) = request? else {
                return Poll::Ready(Ok(None));
            };
            taken += request.len().max(SMALLEST);
            self.request(session, request)?;
            self.rest = idle(session);
            if taken >= TAKEN_AT_ONCE {
                // Others on this thread have their turn.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let notifier = self.shared.snapshots.notifier();
        if notifier.is_closed() {
            let text = "the publisher of resources is gone";
            return Poll::Ready(Err(Status::unavailable(text)));
        }
        let newest = notifier.newest();
        if self.seen != newest {
            self.seen = newest;
            self.rest = Rest::No;
        }
        loop {
            if self.has_to_end() {
                return Poll::Ready(Err(replaced()));
            }
            if ready!(self.making.poll(cx)) {
                self.rest = Rest::No;
            }
            ready!(self.poll_rest(cx));
            let next = self.with_store(session, |session, store| {
                session.next(store, Instant::now())
            });
            self.requests.session_keeps(session.name_bytes())?;
            self.note_rejections(session);
            if session.is_warming_reconnect() {
                self.shared.metrics.warming_reconnect();
                tracing::debug!(node = &*self.node, "reconnected while warming a cluster");
            }
            match next {
                Next::Send(response) => {
                    return Poll::Ready(Ok(Some(self.sends(session, response))));
                }
                Next::Wait(Some(at)) => self.rest = Rest::Until(at),
                Next::Wait(None) => self.rest = Rest::Yes,
            }
            self.admission_permit = None;
        }
    }

    /// Counts a response that goes out now, and returns its message.
    fn sends(&mut self, session: &mut Session, response: Response) -> Message {
        let url = response.type_url.map_or("unknown", |url| url.as_str());
        self.metrics.response(url, response.resources);
        if let Some(bytes) = response.large {
            self.large(url, bytes);
        }
        self.rest = idle(session);
        self.answered = true;
        if self.rest == Rest::Yes {
            self.admission_permit = None;
        }
        response.message
    }

    /// Whether the stream has to end because its connection closes. A stream without an answer
    /// stays for a while: it would be taken for a server that does not work (xDS rule 154).
    fn has_to_end(&self) -> bool {
        match self.connection.closing() {
            Closing::No => false,
            Closing::Soon => self.answered || self.rest == Rest::Yes,
            Closing::Now => true,
        }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = match self.rest {
            Rest::No => return Poll::Ready(()),
            Rest::Yes => return Poll::Pending,
            Rest::Until(at) => at.into(),
        };
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if alarm.deadline() != until {
            alarm.as_mut().reset(until);
        }
        alarm.as_mut().poll(cx)
    }

    /// Logs and counts a response that nears what clients accept and cannot be split (xDS rule
    /// 125).
    fn large(&self, r#type: &str, bytes: usize) {
        self.shared.metrics.large(r#type);
        if let Some(times) = self.shared.large.count_event() {
            let node = &*self.node;
            tracing::warn!(
                node,
                r#type,
                bytes,
                times,
                "a state-of-the-world response that cannot be split nears the 4 MiB that clients accept; use delta"
            );
        }
    }

    /// Calls `act` with the store, which is locked for as long as that takes, and not while
    /// anything is sent (xDS rule 128).
    ///
    /// Before it is let go, the connection is told which commits this stream has to hear of from
    /// now on, so that none is missed.
    fn with_store<T>(
        &mut self,
        session: &mut Session,
        act: impl FnOnce(&mut Session, &Store) -> T,
    ) -> T {
        let store = self.shared.snapshots.read();
        let done = act(session, &store);
        let interest = session.interest();
        if self.interest != interest {
            self.interest = interest;
            self.connection.interest_handle.add(interest);
        }
        let (placement, layers) = session.stream_layers();
        let known = self.stream_layers.as_ref();
        if !known.is_some_and(|known| Arc::ptr_eq(&known.layers, layers)) {
            let stream_layers = StreamLayers {
                placement,
                layers: layers.clone(),
            };
            self.stream_layers = Some(stream_layers.clone());
            self.connection.interest_handle.stream_layers(
                self.number,
                stream_layers,
                session.inbox(),
            );
        }
        done
    }

    /// Takes a request, or the first part of it.
    pub(super) fn request(&mut self, session: &mut Session, message: Bytes) -> Result<(), Status> {
        if self.dialect == Dialect::Delta && message.len() > LARGE {
            return self.take_part(session, Parts::of(message)?);
        }
        let request = Request::read(self.dialect, &message)?;
        self.take_in(session, request)
    }

    /// Takes the next part of a large request, and keeps the rest.
    fn take_part(&mut self, session: &mut Session, mut parts: Parts) -> Result<(), Status> {
        self.take_in(session, parts.next()?)?;
        if parts.more() {
            let kept = session.name_bytes() + parts.bytes();
            self.requests.session_keeps(kept)?;
            self.parts = Some(parts);
        }
        Ok(())
    }

    /// Checks a request, and hands it to the session.
    fn take_in(&mut self, session: &mut Session, mut request: Request<'_>) -> Result<(), Status> {
        // A node never changes (xDS rule 12): the first one counts.
        let id = request.node.map(node_id).transpose()?;
        if id.is_some_and(|id| *id != *self.node) {
            self.shared.metrics.other_node();
            tracing::debug!(
                node = &*self.node,
                other = id,
                "a request names another node than the first one of its stream"
            );
        }
        if let Some(only) = self.only {
            if request.type_url.is_empty() {
                request.type_url = only.as_str();
            } else if request.type_url != only.as_str() {
                let text = format!("this service serves only {only}");
                return Err(Status::invalid_argument(text));
            }
        }
        let url = request.type_url;
        if self
            .forbidden
            .iter()
            .any(|forbidden| forbidden.as_str() == url)
        {
            let status = Status::permission_denied(format!("this proxy may not ask for {url}"));
            let identity = self.permit.as_ref().map(|permit| &**permit.name());
            self.shared.denied(&self.peer, identity, &status);
            return Err(status);
        }
        let outcome = self.with_store(session, |session, store| {
            session.on_request(&request, store, Instant::now())
        });
        match outcome {
            Ok(Outcome::Plain) => {}
            Ok(Outcome::Acked) => {}
            Ok(Outcome::Rejected(nack)) => {
                self.metrics.nacked(request.type_url);
                self.shared.nacks.log(&self.node, request.type_url, &nack);
                let type_url = session.known_type(request.type_url);
                nack_log::list(&mut self.rejected, session, type_url, &nack);
            }
            Ok(Outcome::UnknownType) => {
                self.shared.metrics.unknown_type();
                let (node, r#type) = (&*self.node, request.type_url);
                tracing::debug!(node, r#type, "requested type is not served");
            }
            Err(error) => return Err(refused(&error)),
        }
        self.requests.session_keeps(session.name_bytes())?;
        if let Some(number) = session.take_awaited() {
            self.making.begin(self.shared.snapshots.demand(), number);
        }
        let accepted = session.take_late_acceptances();
        let nacks = &self.shared.nacks;
        nacks.accepted(&self.node, request.type_url, &accepted);
        self.note_rejections(session);
        Ok(())
    }

    /// Follows what the client no longer rejects.
    fn note_rejections(&mut self, session: &Session) {
        self.metrics.rejecting(|url| session.is_rejecting(url));
        self.rejected
            .retain(|type_url, id| session.rejects(type_url, id));
    }
}
