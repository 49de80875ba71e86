//! `grpc.health.v1.Health`: whether the application is ready, for probes and load balancers (xDS
//! rule 206). All services are as ready as the whole.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use futures::stream::unfold;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use super::names;
use crate::guard::liveness::{Connection, WatcherPermit};

/// Whether the server serves: the application is ready, and the server does not shut down.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    ready: Option<watch::Receiver<bool>>,
    draining: CancellationToken,
}

impl Readiness {
    pub(crate) fn new(ready: Option<watch::Receiver<bool>>) -> Readiness {
        Readiness {
            ready,
            draining: CancellationToken::new(),
        }
    }

    /// The server shuts down.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    fn serves(&mut self) -> bool {
        let ready = self.ready.as_mut();
        !self.draining.is_cancelled() && ready.is_none_or(|ready| *ready.borrow_and_update())
    }

    /// Waits until it may have changed.
    async fn changed(&mut self) {
        if self.draining.is_cancelled() {
            return pending().await;
        }
        let changed = async {
            match &mut self.ready {
                Some(ready) => {
                    if ready.changed().await.is_err() {
                        // Whoever could say something is gone.
                        pending().await
                    }
                }
                None => pending().await,
            }
        };
        tokio::select! {
            () = changed => {}
            () = self.draining.cancelled() => {}
        }
    }
}

/// The service, for one call.
pub(super) struct HealthService {
    readiness: Readiness,
    connection: Arc<Connection>,
    load_reports: bool,
}

impl HealthService {
    /// The service of a server that takes reports of load or does not.
    pub(super) fn new(
        readiness: &Readiness,
        connection: &Arc<Connection>,
        load_reports: bool,
    ) -> HealthService {
        HealthService {
            readiness: readiness.clone(),
            connection: connection.clone(),
            load_reports,
        }
    }

    /// Whether there is such a service; the empty name is the whole.
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || names(self.load_reports).any(|name| name == service)
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// A watch of a service's health.
struct Watching {
    readiness: Readiness,
    is_known: bool,
    /// What was said last.
    said: Option<ServingStatus>,
    _permit: WatcherPermit,
}

impl Watching {
    fn status(&mut self) -> ServingStatus {
        match (self.is_known, self.readiness.serves()) {
            (false, _) => ServingStatus::ServiceUnknown,
            (true, true) => ServingStatus::Serving,
            (true, false) => ServingStatus::NotServing,
        }
    }

    /// The next status that differs from the one before.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Watching)> {
        loop {
            let status = self.status();
            if self.said.replace(status) != Some(status) {
                return Some((Ok(response(status)), self));
            }
            self.readiness.changed().await;
        }
    }
}

#[tonic::async_trait]
impl health_server::Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("no such service"));
        }
        let status = match self.readiness.clone().serves() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        Ok(Response::new(response(status)))
    }

    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send + 'static>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let Some(permit) = WatcherPermit::take(&self.connection) else {
            let text = "too many watches of health on one connection";
            return Err(Status::resource_exhausted(text));
        };
        let watching = Watching {
            readiness: self.readiness.clone(),
            is_known: self.knows(&request.get_ref().service),
            said: None,
            _permit: permit,
        };
        Ok(Response::new(Box::pin(unfold(watching, Watching::next))))
    }
}
