//! What scripts of other origins may do, as the policy of Envoy's CORS filter on one route (Gateway
//! rule 74).

use seaway_proto::any;
use seaway_proto::envoy::cors::CorsPolicy;
use seaway_proto::envoy::text_matcher::StringMatcher;
use seaway_proto::envoy::text_matcher::string_matcher::MatchPattern;
use seaway_proto::google::protobuf::{Any, BoolValue};

use super::{quoted, regex, text};
use crate::model::Cors;

/// The policy, as the configuration of the filter on a route.
pub(super) fn policy(cors: &Cors) -> Any {
    let wide = cors.exposed.iter().any(|name| &**name == "*");
    let exposed = !(wide && cors.credentials);
    any(&CorsPolicy {
        allow_origin_string_match: cors.origins.iter().map(|origin| matcher(origin)).collect(),
        allow_methods: cors.methods.join(", "),
        allow_headers: cors.headers.join(", "),
        // With credentials a browser takes `*` for a header's name.
        expose_headers: if exposed {
            cors.exposed.join(", ")
        } else {
            String::new()
        },
        max_age: cors.max_age.to_string(),
        allow_credentials: cors.credentials.then_some(BoolValue { value: true }),
        // What the policy does not allow is answered by the filter, not by a backend.
        forward_not_matching_preflights: Some(BoolValue { value: false }),
        ..Default::default()
    })
}

/// The origins that one pattern is for: `*` in it stands for any text.
fn matcher(origin: &str) -> StringMatcher {
    if !origin.contains('*') {
        return text(MatchPattern::Exact(origin.to_owned()));
    }
    let parts: Vec<String> = origin.split('*').map(quoted).collect();
    text(MatchPattern::SafeRegex(regex(&parts.join(".*"))))
}
