//! Opening a stream: authentication of its caller, and admission by the node of its first request.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use prost::Message as _;
use seaway_proto::TypeUrl;
use seaway_proto::envoy::core::Node;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};

use crate::dialect::Dialect;
use crate::guard::identity::{Caller, Peer};
use crate::guard::liveness::{Connection, OpenStream};
use crate::server::requests::Requests;
use crate::server::response_body::ResponseBody;
use crate::server::stream::{Admitted, Stream};
use crate::server::{Admit, Shared};
use crate::wire::request::{Malformed, Request};

/// How long a stream may be open without a first request.
pub(crate) const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// The largest node taken, in bytes (xDS rule 218): some tens of kilobytes are usual, most of them
/// the names of extensions.
const MAX_NODE: usize = 1 << 20;

/// A call that opens a stream, before its first request is read.
pub(crate) struct StreamOpening<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) dialect: Dialect,
    /// The type of a single-type service; `None`: the aggregated service.
    pub(crate) only: Option<TypeUrl>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) peer: Arc<Peer>,
    /// The headers of the call, with the proof of the caller's identity.
    pub(crate) headers: HeaderMap,
}

impl<A: Admit> StreamOpening<A> {
    /// The stream as a response body; `timeout` is how long its client waits.
    pub(crate) fn body(
        self,
        requests: Incoming,
        open: OpenStream,
        timeout: Option<Duration>,
    ) -> ResponseBody<A> {
        ResponseBody::new(self.admit(requests), open, timeout)
    }

    /// Admits the proxy, by the identity of its caller and by the node of its first message (xDS
    /// rules 10, 11, 216).
    async fn admit(self, requests: Incoming) -> Result<Option<Box<Stream<A>>>, Status> {
        let caller = Caller {
            peer: &self.peer,
            headers: &self.headers,
        };
        let entrant = self.shared.authenticate(&self.connection, caller).await?;
        let StreamOpening {
            shared, connection, ..
        } = self;
        let holder = match &entrant.permit {
            Some(permit) => permit.memory(),
            None => &connection.memory,
        };
        let charge = shared.memory.charge(holder);
        let mut requests = Requests::new(requests, charge, shared.limits.request);
        let first = poll_fn(|cx| requests.poll_next(cx));
        let first = tokio::time::timeout(FIRST_REQUEST, first).await;
        let silent = |_| Status::deadline_exceeded("the first request did not arrive in time");
        let Some(first) = first.map_err(silent)?? else {
            return Ok(None);
        };
        let node = node(self.dialect, &first)?;
        if let Some(permit) = &entrant.permit {
            permit.initial_sync().await.inspect_err(|status| {
                shared.denied(&self.peer, entrant.name(), status);
                connection.refused();
            })?;
        }
        let admission_permit = shared.gate.enter().await.inspect_err(|_| {
            shared.metrics.refused_stream();
            connection.refused();
        })?;
        let admission = shared
            .admit
            .admit(&entrant.permissions, &node, self.dialect)
            .await;
        let admission = admission.inspect_err(|status| {
            if status.code() == Code::PermissionDenied {
                shared.denied(&self.peer, entrant.name(), status);
            }
        })?;
        let mut stream = Stream::new(Admitted {
            shared,
            dialect: self.dialect,
            only: self.only,
            connection,
            peer: self.peer,
            requests,
            node,
            admission,
            admission_permit,
            permit: entrant.permit,
        });
        stream.request(first)?;
        Ok(Some(stream))
    }
}

/// The node of a stream's first request.
fn node(dialect: Dialect, first: &[u8]) -> Result<Node, Status> {
    decoded(Request::read(dialect, first)?.node)
}

/// A node that was sent, decoded.
///
/// # Errors
///
/// INVALID_ARGUMENT if there is none, or it has no id, or is too large.
pub(crate) fn decoded(node: Option<&[u8]>) -> Result<Node, Status> {
    if node.is_some_and(|node| node.len() > MAX_NODE) {
        let text = format!("the node is larger than {MAX_NODE} bytes");
        return Err(Status::invalid_argument(text));
    }
    let node = node.map(Node::decode).transpose();
    match node.map_err(Malformed::from)? {
        Some(node) if !node.id.is_empty() => Ok(node),
        _ => Err(Status::invalid_argument(
            "the first request of a stream needs a node with an id",
        )),
    }
}
