//! Readable paths for the generated types: `envoy::cluster::Cluster` instead of
//! `pb::envoy::config::cluster::v3::Cluster`.

/// Envoy's configuration messages: clusters, listeners, routes, and extensions.
pub mod envoy {
    use envoy_types::pb::envoy as pb;

    pub use pb::admin::v3 as admin;
    pub use pb::config::accesslog::v3 as access_log;
    pub use pb::config::bootstrap::v3 as bootstrap;
    pub use pb::config::cluster::v3 as cluster;
    pub use pb::config::common::mutation_rules::v3 as mutation_rules;
    pub use pb::config::core::v3 as core;
    pub use pb::config::endpoint::v3 as endpoint;
    pub use pb::config::listener::v3 as listener;
    pub use pb::config::rbac::v3 as rbac;
    pub use pb::config::route::v3 as route;
    pub use pb::extensions::access_loggers::stream::v3 as stream_access_log;
    pub use pb::extensions::common::ratelimit::v3 as rate_limit;
    pub use pb::extensions::filters::common::set_filter_state::v3 as filter_state_value;
    pub use pb::extensions::filters::http::buffer::v3 as buffer;
    pub use pb::extensions::filters::http::cors::v3 as cors;
    pub use pb::extensions::filters::http::local_ratelimit::v3 as local_rate_limit;
    pub use pb::extensions::filters::http::lua::v3 as lua;
    pub use pb::extensions::filters::http::rbac::v3 as http_rbac;
    pub use pb::extensions::filters::http::router::v3 as router;
    pub use pb::extensions::filters::listener::original_src::v3 as original_src;
    pub use pb::extensions::filters::listener::tls_inspector::v3 as tls_inspector;
    pub use pb::extensions::filters::network::http_connection_manager::v3 as http_connection_manager;
    pub use pb::extensions::filters::network::set_filter_state::v3 as set_filter_state;
    pub use pb::extensions::filters::network::tcp_proxy::v3 as tcp_proxy;
    pub use pb::extensions::filters::udp::udp_proxy::v3 as udp_proxy;
    pub use pb::extensions::formatter::cel::v3 as cel_formatter;
    pub use pb::extensions::http::early_header_mutation::header_mutation::v3 as early_header_mutation;
    pub use pb::extensions::matching::common_inputs::network::v3 as network_inputs;
    pub use pb::extensions::matching::input_matchers::ip::v3 as ip_matcher;
    pub use pb::extensions::retry::host::previous_hosts::v3 as previous_hosts;
    pub use pb::extensions::transport_sockets::proxy_protocol::v3 as upstream_proxy_protocol;
    pub use pb::extensions::transport_sockets::raw_buffer::v3 as raw_buffer;
    pub use pb::extensions::transport_sockets::tls::cert_mappers::sni::v3 as sni_mapper;
    pub use pb::extensions::transport_sockets::tls::cert_selectors::on_demand_secret::v3 as on_demand_secret;
    pub use pb::extensions::transport_sockets::tls::v3 as tls;
    pub use pb::extensions::upstreams::http::v3 as upstream_http;
    pub use pb::service::load_stats::v3 as load_stats;
    pub use pb::service::status::v3 as client_status;
    pub use pb::r#type::matcher::v3 as text_matcher;
    pub use pb::r#type::v3 as types;
}

/// Messages of the xDS project that are not Envoy's own: the matching API.
pub mod xds {
    use envoy_types::pb::xds as pb;

    pub use pb::core::v3 as core;
    pub use pb::r#type::matcher::v3 as matcher;
}

/// Messages of the xDS protocol: discovery requests and responses.
pub mod discovery {
    pub use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
    pub use envoy_types::pb::envoy::service::discovery::v3::{
        DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
        Resource as WireResource, ResourceError, ResourceLocator,
    };
    pub use envoy_types::pb::google::rpc::Status;
}
