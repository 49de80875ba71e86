//! `ClientStatusDiscoveryService`: what each client asks for, and how far it is, as this server
//! sees it (xDS rule 201). A client sees the streams of its own identity; who may look at all is
//! for the application to say (xDS rule 202).

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use futures::stream::try_unfold;
use seaway_proto::envoy::client_status::client_status_discovery_service_server as csds;
use seaway_proto::envoy::client_status::{ClientStatusRequest, ClientStatusResponse};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tonic::{Request, Response, Status, Streaming};

use crate::guard::identity_limits::StreamPermit;
use crate::inspect::{Inspector, Unanswerable, WhoSees};
use crate::server::Shared;

/// The most calls at a time of those who may look at all clients, and of all others together: an
/// answer may take tens of megabytes.
const CALLS: (usize, usize) = (4, 2);

/// The places of calls of the service.
#[derive(Debug)]
pub(crate) struct Looks {
    at_all: Arc<Semaphore>,
    at_oneself: Arc<Semaphore>,
}

impl Default for Looks {
    fn default() -> Looks {
        Looks {
            at_all: Arc::new(Semaphore::new(CALLS.0)),
            at_oneself: Arc::new(Semaphore::new(CALLS.1)),
        }
    }
}

/// The service, for one call.
pub(super) struct ClientStatusService {
    look: Look,
}

/// What a call needs to look at the server.
#[derive(Clone)]
struct Look {
    inspector: Inspector,
    who: WhoSees,
    /// The permit of the caller's identity, by which it may look so often.
    permit: Option<Arc<StreamPermit>>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl ClientStatusService {
    /// The service for an authenticated caller.
    ///
    /// # Errors
    ///
    /// PERMISSION_DENIED if it may see nothing, RESOURCE_EXHAUSTED if too many look already.
    pub(super) fn new<A>(
        shared: &Shared<A>,
        inspects: bool,
        permit: Option<Arc<StreamPermit>>,
    ) -> Result<ClientStatusService, Status> {
        let (who, places) = match (inspects, &permit) {
            (true, _) => (WhoSees::All, &shared.looks.at_all),
            (false, Some(permit)) => {
                let own = WhoSees::Own(permit.name().clone());
                (own, &shared.looks.at_oneself)
            }
            (false, None) => {
                let text = "without an identity there is nothing to see";
                return Err(Status::permission_denied(text));
            }
        };
        let place = places.clone().try_acquire_owned();
        let full = |_| Status::resource_exhausted("too many look at clients already");
        Ok(ClientStatusService {
            look: Look {
                inspector: shared.inspector(),
                who,
                permit,
                _place: Arc::new(place.map_err(full)?),
            },
        })
    }
}

impl Look {
    async fn look(&self, request: ClientStatusRequest) -> Result<ClientStatusResponse, Status> {
        if let Some(permit) = &self.permit {
            permit.initial_sync().await?;
        }
        let (inspector, who) = (self.inspector.clone(), self.who.clone());
        // It may take a while, in which the streams on this thread would wait.
        let looking = move || inspector.client_status(&request, &who);
        let looked = tokio::task::spawn_blocking(looking).await;
        let failed = |error: JoinError| Status::internal(format!("looking failed: {error}"));
        looked.map_err(failed)?.map_err(|error| match error {
            Unanswerable::Matcher(_) => Status::invalid_argument(error.to_string()),
            Unanswerable::TooMuch => Status::resource_exhausted(error.to_string()),
        })
    }
}

#[tonic::async_trait]
impl csds::ClientStatusDiscoveryService for ClientStatusService {
    type StreamClientStatusStream =
        Pin<Box<dyn Stream<Item = Result<ClientStatusResponse, Status>> + Send + 'static>>;

    async fn stream_client_status(
        &self,
        request: Request<Streaming<ClientStatusRequest>>,
    ) -> Result<Response<Self::StreamClientStatusStream>, Status> {
        let state = (self.look.clone(), request.into_inner());
        let answers = try_unfold(state, |(look, mut requests)| async move {
            match requests.message().await? {
                Some(request) => Ok(Some((look.look(request).await?, (look, requests)))),
                None => Ok(None),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn fetch_client_status(
        &self,
        request: Request<ClientStatusRequest>,
    ) -> Result<Response<ClientStatusResponse>, Status> {
        let answer = self.look.look(request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
