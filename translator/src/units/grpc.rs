//! What gRPC clients find by the names of one Service: a listener for each name that one of them
//! asks for, made when it is asked for and gone with the last who does. The clusters and the
//! assignments behind it are those of Services.

use super::Output;
use crate::envoy::grpc;
use crate::model::ServiceKey;
use crate::plan::{self, Context};
use crate::{Layer, Origin, Replace, Role, Subject};

/// The listeners of the names of a Service.
pub(crate) fn translate(key: &ServiceKey, context: &Context<'_>) -> Output {
    let names = plan::grpc::names(context, key);
    let listeners = names.routes.iter().map(|route| {
        let rules = names.ruled.get(&route.port);
        let listener = grpc::listener(route, rules.map(Vec::as_slice));
        (Layer::Role(Role::Grpc), listener)
    });
    let subject = Subject::Other(format!("gRPC clients of {key}").into());
    Output {
        resources: vec![Replace {
            origin: Origin::Targets(key.clone()),
            resources: listeners.collect(),
        }],
        problems: Some((subject, names.problems)),
    }
}
