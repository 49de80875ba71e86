//! The services beside discovery: health, reflection, and the status of clients (xDS rules 201 to
//! 203, 206).
//!
//! They are tonic's own, put behind the same door as the discovery services: a call is a stream of
//! its connection, is watched and ends with it (`side_body`). Health is for everybody who may
//! connect, as the probe of a kubelet or of a load balancer proves nothing; the others are for
//! those who may open a discovery stream.

pub(crate) mod client_status;
pub(crate) mod health;
mod reflection;
mod side_body;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use seaway_proto::envoy::client_status::client_status_discovery_service_server as csds;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic_health::pb::health_server;

use crate::guard::identity::{Caller, Peer};
use crate::guard::liveness::OpenStream;
use crate::server::side::client_status::ClientStatusService;
use crate::server::side::health::HealthService;
use crate::server::side::side_body::SideBody;
use crate::server::{Admit, Shared, load_reports, service};

/// The largest request for health or reflection, in bytes.
const SMALL_REQUEST: usize = 16 << 10;

/// A service beside discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideService {
    Health,
    Reflection(reflection::Version),
    ClientStatus,
}

impl SideService {
    /// All of them, by their full names.
    const ALL: [(&'static str, SideService); 4] = [
        (health_server::SERVICE_NAME, SideService::Health),
        (
            reflection::Version::V1.service_name(),
            SideService::Reflection(reflection::Version::V1),
        ),
        (
            reflection::Version::V1Alpha.service_name(),
            SideService::Reflection(reflection::Version::V1Alpha),
        ),
        (csds::SERVICE_NAME, SideService::ClientStatus),
    ];

    /// The service of which a path means a method.
    pub(crate) fn of(path: &str) -> Option<SideService> {
        let (name, method) = path.strip_prefix('/')?.split_once('/')?;
        let mut all = SideService::ALL.into_iter();
        let (_, service) = all.find(|(of, _)| *of == name)?;
        service.methods().contains(&method).then_some(service)
    }

    fn methods(self) -> &'static [&'static str] {
        match self {
            SideService::Health => &["Check", "Watch"],
            SideService::Reflection(_) => &["ServerReflectionInfo"],
            SideService::ClientStatus => &["FetchClientStatus", "StreamClientStatus"],
        }
    }
}

/// The full names of all services.
fn names(load_reports: bool) -> impl Iterator<Item = String> {
    let side = SideService::ALL.iter().map(|(name, _)| *name);
    let loads = load_reports.then_some(load_reports::SERVICE);
    service::names().chain(side.chain(loads).map(str::to_owned))
}

/// A call of a service beside discovery.
pub(crate) struct SideCall<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) open: OpenStream,
    pub(crate) peer: Arc<Peer>,
    /// How long its client waits.
    pub(crate) timeout: Option<Duration>,
}

impl<A: Admit> SideCall<A> {
    /// Answers the call.
    pub(crate) async fn answer(
        self,
        service: SideService,
        request: http::Request<Incoming>,
    ) -> http::Response<Body> {
        let limit = self.shared.limits.request;
        let limit = self.timeout.map_or(limit, |timeout| timeout.min(limit));
        let (connection, timeout) = (self.open.connection.clone(), self.timeout);
        let load_reports = self.shared.load_reports.is_some();
        let answering = async {
            if service == SideService::Health {
                let health = HealthService::new(&self.shared.readiness, &connection, load_reports);
                let health = health_server::HealthServer::new(health)
                    .max_decoding_message_size(SMALL_REQUEST);
                return Ok((call(health, request).await, None));
            }
            let caller = Caller {
                peer: &self.peer,
                headers: request.headers(),
            };
            let caller = self.shared.authenticate(&connection, caller).await?;
            let permit = caller.permit.map(Arc::new);
            let answer = match service {
                SideService::Reflection(_) if !self.shared.reflection => {
                    return Err(Status::unimplemented("reflection is switched off"));
                }
                SideService::Reflection(version) => {
                    reflection::call(version, load_reports, request).await?
                }
                _ => {
                    let (inspects, permit) = (caller.inspects, permit.clone());
                    let status = ClientStatusService::new(&self.shared, inspects, permit)?;
                    let status = csds::ClientStatusDiscoveryServiceServer::new(status);
                    call(status, request).await
                }
            };
            Ok((answer, permit))
        };
        let answered = tokio::time::timeout(limit, answering).await;
        let late = |_| Status::deadline_exceeded("the request was not answered in time");
        match answered.map_err(late).flatten() {
            Ok((answer, permit)) => {
                answer.map(|body| Body::new(SideBody::new(body, self.open, permit, timeout)))
            }
            Err(status) => Status::into_http(status),
        }
    }
}

/// Calls a service of tonic's, which never fails.
async fn call<S>(mut service: S, request: http::Request<Incoming>) -> http::Response<Body>
where
    S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible>,
{
    match service.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_its_path() {
        let check = |path: &str, expected| assert_eq!(SideService::of(path), expected, "{path}");
        check("/grpc.health.v1.Health/Check", Some(SideService::Health));
        check("/grpc.health.v1.Health/List", None);
        check("/grpc.health.v1.Health", None);
        check("/grpc.health.v2.Health/Check", None);
        check("", None);
        let v1alpha = SideService::Reflection(reflection::Version::V1Alpha);
        let path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
        check(path, Some(v1alpha));
    }
}
