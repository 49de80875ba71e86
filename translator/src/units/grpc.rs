//! What gRPC clients find by the names of one Service: a listener for each name that one of them
//! asks for, made when it is asked for and gone with the last who does. The clusters and the
//! assignments behind it are the Service's.

use super::Output;
use crate::envoy::grpc;
use crate::model::ServiceKey;
use crate::plan::{self, Context};
use crate::{Layer, Origin, Replace, Role};

/// The listeners of the names of a Service.
pub(crate) fn translate(key: &ServiceKey, context: &Context<'_>) -> Output {
    let routes = plan::grpc::routes(context, key).into_iter();
    let listeners = routes.map(|route| (Layer::Role(Role::Grpc), grpc::listener(&route)));
    Output {
        resources: vec![Replace {
            origin: Origin::Targets(key.clone()),
            resources: listeners.collect(),
        }],
        problems: None,
    }
}
