//! Routing of HTTP requests: which service and dialect a path means, and the response with the body
//! of its stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use seaway_proto::TypeUrl;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;

use crate::dialect::Dialect;
use crate::guard::identity::Peer;
use crate::guard::liveness::Connection;
use crate::server::call;
use crate::server::load_reports::{self, LoadReportCall};
use crate::server::open_stream::StreamOpening;
use crate::server::other_calls::{Answers, OtherBody, OtherCaller};
use crate::server::side::{SideCall, SideService};
use crate::server::{Admit, AdsServer};

/// The services: the name, the suffix of the method names, and the type of a single-type service.
const SERVICES: [(&str, &str, Option<TypeUrl>); 6] = [
    (
        "discovery.v3.AggregatedDiscoveryService",
        "AggregatedResources",
        None,
    ),
    (
        "cluster.v3.ClusterDiscoveryService",
        "Clusters",
        Some(TypeUrl::CLUSTER),
    ),
    (
        "endpoint.v3.EndpointDiscoveryService",
        "Endpoints",
        Some(TypeUrl::ENDPOINT),
    ),
    (
        "listener.v3.ListenerDiscoveryService",
        "Listeners",
        Some(TypeUrl::LISTENER),
    ),
    (
        "route.v3.RouteDiscoveryService",
        "Routes",
        Some(TypeUrl::ROUTE),
    ),
    (
        "secret.v3.SecretDiscoveryService",
        "Secrets",
        Some(TypeUrl::SECRET),
    ),
];

/// The full names of the discovery services.
pub(crate) fn names() -> impl Iterator<Item = String> {
    SERVICES
        .iter()
        .map(|(name, _, _)| format!("envoy.service.{name}"))
}

/// The dialect, and the type of a single-type service, that a path means.
fn method(path: &str) -> Option<(Dialect, Option<TypeUrl>)> {
    let (service, method) = path.strip_prefix("/envoy.service.")?.split_once('/')?;
    let (_, resources, only) = SERVICES.iter().find(|(name, _, _)| *name == service)?;
    let dialect = match method.strip_suffix(resources)? {
        "Stream" => Dialect::Sotw,
        "Delta" => Dialect::Delta,
        _ => return None,
    };
    Some((dialect, *only))
}

impl<A: Admit> AdsServer<A> {
    /// Answers an HTTP request of a connection.
    pub(crate) async fn respond(
        self,
        request: http::Request<Incoming>,
        connection: Arc<Connection>,
        peer: Arc<Peer>,
    ) -> Result<http::Response<Body>, Infallible> {
        if let Some(answer) = call::not_grpc(&request) {
            return Ok(answer);
        }
        let timeout = match call::timeout(request.headers()) {
            Ok(timeout) => timeout,
            Err(status) => return Ok(status.into_http()),
        };
        let path = request.uri().path();
        if let Some((dialect, only)) = method(path) {
            let open = self.shared.watchdog.stream(&connection);
            let (head, body) = request.into_parts();
            let opening = StreamOpening {
                shared: self.shared,
                dialect,
                only,
                connection,
                peer,
                headers: head.headers,
            };
            let body = opening.body(body, open, timeout);
            let mut response = http::Response::new(Body::new(body));
            call::mark(response.headers_mut());
            return Ok(response);
        }
        let Some(service) = SideService::of(path) else {
            return Ok(self.respond_otherwise(request, &connection, &peer, timeout));
        };
        let call = SideCall {
            open: self.shared.watchdog.stream(&connection),
            shared: self.shared,
            peer,
            timeout,
        };
        Ok(Box::pin(call.answer(service, request)).await)
    }

    /// Answers a call by which load is reported, or which is of a service that is none of xDS.
    fn respond_otherwise(
        &self,
        request: http::Request<Incoming>,
        connection: &Arc<Connection>,
        peer: &Arc<Peer>,
        timeout: Option<Duration>,
    ) -> http::Response<Body> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if let Some(reports) = self
            .shared
            .load_reports
            .as_ref()
            .filter(|_| load_reports::is_path(path))
        {
            let call = LoadReportCall {
                shared: self.shared.clone(),
                reports: reports.clone(),
                connection: connection.clone(),
                peer: peer.clone(),
                headers: head.headers,
            };
            return self.answered(call.answers(body), connection, timeout, None);
        }
        let caller = OtherCaller::new(peer.clone(), head.headers);
        let other_calls = self.shared.other_calls.as_ref();
        let answers = other_calls.and_then(|calls| calls.answer(path, caller));
        // What is not known is unimplemented, not silent (xDS rules 4, 6).
        let Some(answers) = answers else {
            return Status::unimplemented("no such method").into_http();
        };
        self.answered(answers, connection, timeout, Some(body))
    }

    /// The response with these answers; `request` is what the caller sends, if it is not read.
    fn answered(
        &self,
        answers: Answers,
        connection: &Arc<Connection>,
        timeout: Option<Duration>,
        request: Option<Incoming>,
    ) -> http::Response<Body> {
        let open = self.shared.watchdog.stream(connection);
        let body = OtherBody::new(answers, open, timeout, request);
        let mut response = http::Response::new(Body::new(body));
        call::mark(response.headers_mut());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_both_dialects_and_nothing_else() {
        let check = |path: &str, expected| assert_eq!(method(path), expected, "{path}");
        let eds = "/envoy.service.endpoint.v3.EndpointDiscoveryService";
        check(
            &format!("{eds}/StreamEndpoints"),
            Some((Dialect::Sotw, Some(TypeUrl::ENDPOINT))),
        );
        check(
            &format!("{eds}/DeltaEndpoints"),
            Some((Dialect::Delta, Some(TypeUrl::ENDPOINT))),
        );
        check(&format!("{eds}/FetchEndpoints"), None);
        check(&format!("{eds}/StreamClusters"), None);
        let ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
        check(
            &format!("{ads}/DeltaAggregatedResources"),
            Some((Dialect::Delta, None)),
        );
        check(
            "/envoy.service.discovery.v2.AggregatedDiscoveryService/StreamAggregatedResources",
            None,
        );
        check("/", None);
    }
}
