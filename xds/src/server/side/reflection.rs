//! Reflection: which services there are and what their messages are like, for tools such as
//! grpcurl.

use std::pin::Pin;
use std::sync::OnceLock;

use hyper::body::Incoming;
use seaway_proto::json::DESCRIPTORS;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;
use tonic_reflection::pb;
use tonic_reflection::server::{Builder, Error};

use super::{SMALL_REQUEST, names};

/// The versions of the service. Tools know one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V1Alpha,
}

impl Version {
    /// The full name of the service.
    pub(super) const fn service_name(self) -> &'static str {
        match self {
            Version::V1 => pb::v1::server_reflection_server::SERVICE_NAME,
            Version::V1Alpha => pb::v1alpha::server_reflection_server::SERVICE_NAME,
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;
type Call = Box<dyn Fn(http::Request<Incoming>) -> Answer + Send + Sync>;

/// Calls the service, of a server that takes reports of load or does not. It is put together when
/// it is called first: it takes some megabytes.
pub(super) async fn call(
    version: Version,
    load_reports: bool,
    request: http::Request<Incoming>,
) -> Result<http::Response<Body>, Status> {
    static V1: [OnceLock<Result<Call, Error>>; 2] = [OnceLock::new(), OnceLock::new()];
    static V1_ALPHA: [OnceLock<Result<Call, Error>>; 2] = [OnceLock::new(), OnceLock::new()];
    let at = usize::from(load_reports);
    let call = match version {
        Version::V1 => V1[at].get_or_init(|| v1(load_reports)),
        Version::V1Alpha => V1_ALPHA[at].get_or_init(|| v1alpha(load_reports)),
    };
    match call {
        Ok(call) => Ok(call(request).await),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}

fn v1(load_reports: bool) -> Result<Call, Error> {
    let server = builder(load_reports).build_v1()?;
    let server = server.max_decoding_message_size(SMALL_REQUEST);
    Ok(Box::new(move |request| {
        Box::pin(super::call(server.clone(), request))
    }))
}

fn v1alpha(load_reports: bool) -> Result<Call, Error> {
    let server = builder(load_reports).build_v1alpha()?;
    let server = server.max_decoding_message_size(SMALL_REQUEST);
    Ok(Box::new(move |request| {
        Box::pin(super::call(server.clone(), request))
    }))
}

fn builder(load_reports: bool) -> Builder<'static> {
    let all = [
        DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        pb::v1::FILE_DESCRIPTOR_SET,
        pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let builder = Builder::configure().include_reflection_service(false);
    let builder = all
        .into_iter()
        .fold(builder, Builder::register_encoded_file_descriptor_set);
    names(load_reports).fold(builder, Builder::with_service_name)
}
