//! Scopes as both roles that have them use them: a resource for each, whose key is a list of texts,
//! and the connection manager that finds one by the texts of a request's headers.

use std::collections::HashMap;

use seaway_proto::envoy::core::Metadata;
use seaway_proto::envoy::http_connection_manager::scoped_routes::scope_key_builder::fragment_builder::{
    HeaderValueExtractor, Type, header_value_extractor::ExtractType,
};
use seaway_proto::envoy::http_connection_manager::scoped_routes::scope_key_builder::FragmentBuilder;
use seaway_proto::envoy::http_connection_manager::scoped_routes::{
    ConfigSpecifier, ScopeKeyBuilder,
};
use seaway_proto::envoy::http_connection_manager::{ScopedRds, ScopedRoutes};
use seaway_proto::envoy::route::scoped_route_configuration::Key;
use seaway_proto::envoy::route::scoped_route_configuration::key::{Fragment, fragment};
use seaway_proto::envoy::route::{FilterConfig, RouteConfiguration, ScopedRouteConfiguration};
use seaway_proto::google::protobuf::value::Kind;
use seaway_proto::google::protobuf::{Any, BoolValue, Struct, Value};
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use crate::envoy::ads;

/// The scope with this key, named as its routes are.
pub(crate) fn resource<const N: usize>(
    key: [String; N],
    routes: RouteConfiguration,
    refs: Vec<ResourceRef>,
) -> Resource {
    let text = |text: String| Fragment {
        r#type: Some(fragment::Type::StringKey(text)),
    };
    let name = routes.name.clone();
    let message = ScopedRouteConfiguration {
        name: name.clone(),
        key: Some(Key {
            fragments: key.into_iter().map(text).collect(),
        }),
        route_configuration: Some(RouteConfiguration {
            // Inside of a scope Envoy would refuse routes whose clusters it does not have, as
            // invalid shares do on purpose, and with them all others of the response.
            validate_clusters: Some(BoolValue { value: false }),
            ..routes
        }),
        ..Default::default()
    };
    Resource::new(TypeUrl::SCOPED_ROUTE, name, &message, refs)
}

/// All scopes, among which a request's is found by these texts.
pub(crate) fn routes<const N: usize>(key: [FragmentBuilder; N]) -> ScopedRoutes {
    ScopedRoutes {
        name: "hosts".to_owned(),
        scope_key_builder: Some(ScopeKeyBuilder {
            fragments: key.into(),
        }),
        rds_config_source: Some(ads()),
        config_specifier: Some(ConfigSpecifier::ScopedRds(ScopedRds {
            scoped_rds_config_source: Some(ads()),
            ..Default::default()
        })),
    }
}

/// The part of a header with this index, between separators; without one the whole header is the
/// part. A request whose header has fewer parts is in no scope.
pub(crate) fn header(name: &str, separator: &str, index: u32) -> FragmentBuilder {
    FragmentBuilder {
        r#type: Some(Type::HeaderValueExtractor(HeaderValueExtractor {
            name: name.to_owned(),
            element_separator: separator.to_owned(),
            extract_type: Some(ExtractType::Index(index)),
        })),
    }
}

/// The metadata that marks routes for the script of this filter.
pub(crate) fn mark(filter: String, key: &str) -> Metadata {
    let value = Value {
        kind: Some(Kind::BoolValue(true)),
    };
    let fields = HashMap::from([(key.to_owned(), value)]);
    Metadata {
        filter_metadata: HashMap::from([(filter, Struct { fields })]),
        ..Default::default()
    }
}

/// The configuration by which a filter does not run.
pub(crate) fn disabled() -> Any {
    any(&FilterConfig {
        disabled: true,
        ..Default::default()
    })
}
