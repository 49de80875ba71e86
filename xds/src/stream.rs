//! One stream: requests and commits in, responses out. All decisions are the session's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use seaway_proto::TypeUrl;
use seaway_proto::envoy::core::Node;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::metrics::StreamMetrics;
use crate::response_body::{ResponseBody, Slot};
use crate::server::{Admission, Admit, Shared};
use crate::session::{Fault, Next, Outcome, Session};
use crate::wire::Incoming;

/// A stream that asks for nothing is not kept.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// The stream as a body: it goes on whenever the transport takes data or waits for some, on the connection's own task.
///
/// `only` is the one type of a service that is not the aggregated one; `closing` ends the stream.
pub(crate) fn open<A: Admit, I: Incoming>(
    shared: Arc<Shared<A>>,
    requests: Streaming<I>,
    only: Option<TypeUrl>,
    closing: CancellationToken,
) -> ResponseBody {
    let slot = Slot::default();
    let responses = slot.clone();
    let stream = async move {
        // Polled only when it is woken itself, not with everything that happens on the stream.
        let mut closing = FuturesUnordered::from_iter([closing.cancelled()]);
        tokio::select! {
            end = run(&shared, requests, only, &responses) => end,
            _ = closing.next() => Err(Status::unavailable("this connection is to be replaced")),
        }
    };
    ResponseBody::new(slot, Box::pin(stream))
}

/// Admits the proxy by the node of its first message (xDS rules 10, 11), then serves it to the end of its requests.
async fn run<A: Admit, I: Incoming>(
    shared: &Shared<A>,
    mut requests: Streaming<I>,
    only: Option<TypeUrl>,
    responses: &Slot,
) -> Result<(), Status> {
    let first = tokio::time::timeout(FIRST_REQUEST, requests.message()).await;
    let silent = |_| Status::deadline_exceeded("no first request came");
    let Some(mut first) = first.map_err(silent)?? else {
        return Ok(());
    };
    let node = match first.take_node() {
        Some(node) if !node.id.is_empty() => node,
        _ => {
            let text = "the first request on a stream needs a node with an id";
            return Err(Status::invalid_argument(text));
        }
    };
    let Admission { placement, lease } = shared.admit.admit(&node).await?;
    let session = Session::new(
        I::DIALECT,
        shared.snapshots.types().clone(),
        placement,
        shared.snapshots.cursor(),
        shared.next_stream(),
        shared.identifier.clone(),
    );
    tracing::debug!(node = node.id, dialect = ?I::DIALECT, "stream opened");
    let mut stream = Stream {
        shared,
        node,
        only,
        session,
        metrics: shared.metrics.stream(),
    };
    let bell = WatchStream::from_changes(shared.snapshots.bell());
    let end = stream.serve(first, requests, bell, responses).await;
    tracing::debug!(node = stream.node.id, "stream ended");
    drop(lease);
    end
}

struct Stream<'a, A> {
    shared: &'a Shared<A>,
    node: Node,
    only: Option<TypeUrl>,
    session: Session,
    metrics: StreamMetrics,
}

impl<A: Admit> Stream<'_, A> {
    async fn serve<I: Incoming>(
        &mut self,
        first: I,
        mut requests: Streaming<I>,
        mut bell: WatchStream<u64>,
        responses: &Slot,
    ) -> Result<(), Status> {
        self.request(first)?;
        // Until when there is nothing to send: `Some(None)` is until something happens.
        let mut idle: Option<Option<Instant>> = None;
        loop {
            tokio::select! {
                biased;
                // Requests come first: what they change is in the next response.
                request = requests.message() => {
                    let Some(request) = request? else { return Ok(()) };
                    self.request(request)?;
                    idle = self.idle();
                }
                rung = bell.next() => {
                    if rung.is_none() {
                        return Err(Status::unavailable("nothing is published any more"));
                    }
                    idle = None;
                }
                () = until(idle.flatten()), if idle.is_some_and(|at| at.is_some()) => idle = None,
                () = responses.free(), if idle.is_none() => match self.next() {
                    Next::Send(response) => {
                        self.metrics.response(&response.type_url, response.resources);
                        responses.put(response.parts);
                        idle = self.idle();
                    }
                    Next::Wait(at) => idle = Some(at),
                },
            }
        }
    }

    /// After a commit only the session's `next` can tell; after anything else there may be nothing to ask it for.
    fn idle(&self) -> Option<Option<Instant>> {
        (!self.session.is_pending()).then_some(None)
    }

    /// The store is locked for as long as this takes, and not while anything is sent (xDS rule 128).
    fn next(&mut self) -> Next {
        let store = self.shared.snapshots.read();
        self.session.next(&store, Instant::now())
    }

    fn request<I: Incoming>(&mut self, request: I) -> Result<(), Status> {
        let mut request = request.into_request();
        if let Some(only) = self.only {
            if request.type_url.is_empty() {
                request.type_url = only.as_str().to_owned();
            } else if request.type_url != only.as_str() {
                let text = format!("this service has only {only}");
                return Err(Status::invalid_argument(text));
            }
        }
        let type_url = request.type_url.clone();
        let outcome = {
            let store = self.shared.snapshots.read();
            self.session.on_request(request, &store, Instant::now())
        };
        match outcome {
            Ok(Outcome::Plain) => {}
            Ok(Outcome::Acked) => self.metrics.acked(&type_url),
            Ok(Outcome::Rejected(nack)) => {
                self.metrics.nacked(&type_url);
                self.shared.nacks.log(&self.node.id, &type_url, &nack);
            }
            Ok(Outcome::UnknownType) => {
                self.shared.metrics.unknown_type();
                tracing::debug!(node = self.node.id, r#type = type_url, "type is not served");
            }
            Err(fault @ (Fault::NoTypeUrl | Fault::TooManyTypes(_))) => {
                return Err(Status::invalid_argument(fault.to_string()));
            }
        }
        Ok(())
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
