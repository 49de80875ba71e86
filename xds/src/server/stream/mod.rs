//! One discovery stream: requests and commits in, responses out. All decisions are its session's
//! (`crate::session`), and what is around that is its shell (`shell`).
//!
//! The task of its connection polls it after each commit that concerns it (`connection_task`). For
//! as long as it is polled it has its session for itself; at other times those who look at the
//! server may read that (`crate::inspect`).

mod making;
mod shell;

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use seaway_proto::TypeUrl;
use seaway_proto::envoy::core::Node;
use tonic::Status;

use crate::client_kind::ClientKind;
use crate::dialect::Dialect;
use crate::guard::admission::AdmissionPermit;
use crate::guard::identity::Peer;
use crate::guard::identity_limits::StreamPermit;
use crate::guard::liveness::Connection;
use crate::inspect::{SharedSession, StreamFacts, client, lock};
use crate::server::requests::Requests;
use crate::server::{Admission, Admit, Shared};
use crate::session::Session;
use crate::store::missing::demand::DemandedNames;
use crate::wire::response::Message;
use shell::Shell;
pub(crate) use shell::replaced;

/// The parts of an admitted stream, from which a [`Stream`] is made.
pub(crate) struct Admitted<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) dialect: Dialect,
    pub(crate) only: Option<TypeUrl>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) requests: Requests,
    pub(crate) node: Node,
    pub(crate) admission: Admission,
    pub(crate) admission_permit: AdmissionPermit,
    pub(crate) permit: Option<StreamPermit>,
}

/// An open discovery stream: it takes requests and commits, and makes responses by its session.
pub(crate) struct Stream<A> {
    // First: what it owes is waited for no longer when it ends, and then it leaves its connection.
    session: SharedSession,
    shell: Shell<A>,
}

impl<A: Admit> Stream<A> {
    pub(crate) fn new(mut admitted: Admitted<A>) -> Box<Stream<A>> {
        let shared = &admitted.shared;
        let (dialect, node, placement) = (
            admitted.dialect,
            &admitted.node,
            admitted.admission.placement,
        );
        let (number, now) = (shared.next_stream(), Instant::now());
        let mut session = Session::new(
            dialect,
            shared.snapshots.types().clone(),
            placement,
            shared.snapshots.cursor(),
            number,
            shared.identifier.clone(),
            now,
        );
        session.identify(admitted.permit.as_ref().map(StreamPermit::voter));
        session.set_client_kind(ClientKind::of(node));
        if admitted.only.is_some() {
            session.of_one_type();
        }
        session.list_missing_in(shared.snapshots.all_missing());
        if let Some(on_demand) = admitted.admission.on_demand.take() {
            let demand = shared.snapshots.demand().clone();
            session.set_demanded(DemandedNames::new(demand, on_demand));
        }
        tracing::debug!(node = node.id, ?dialect, "stream opened");
        let facts = StreamFacts {
            number: 0,
            node: node.id.as_str().into(),
            about: std::mem::take(&mut admitted.admission.about),
            identity: admitted.permit.as_ref().map(|permit| permit.name().clone()),
            peer: admitted.peer.address,
            client: client(node),
            dialect,
            since: now,
            placement,
        };
        let session = Arc::new(Mutex::new(session));
        let listed = shared.open.list(facts, &session);
        Box::new(Stream {
            session,
            shell: Shell::new(admitted, number, listed),
        })
    }

    /// Polls the next message; `None` and an error end the stream.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Status>> {
        self.shell.poll_message(&mut lock(&self.session), cx)
    }

    /// Takes a request, or the first part of it.
    pub(crate) fn request(&mut self, message: Bytes) -> Result<(), Status> {
        self.shell.request(&mut lock(&self.session), message)
    }
}
