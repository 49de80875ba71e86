//! The limit of a request's body on one route.
//!
//! Where a request says how long its body is, the limit is a match of the route: a body that is
//! short enough is never held back, one that is too long is refused before any of it is read. Only
//! where nothing is said Envoy's filter holds the body until it is whole, or too long.
//!
//! That filter holds back every body, which breaks streams and WebSockets, unless it is told to let
//! a host or a route alone; so every host tells it. A script instead of it would cost each filter
//! chain a quarter of a megabyte; inside of a composite filter, Envoy 1.36 refuses it.

use std::num::NonZeroU64;

use seaway_proto::any;
use seaway_proto::envoy::buffer::buffer_per_route::Override;
use seaway_proto::envoy::buffer::{Buffer, BufferPerRoute};
use seaway_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use seaway_proto::envoy::route::{HeaderMatcher, Route};
use seaway_proto::envoy::types::Int64Range;
use seaway_proto::google::protobuf::Any;

use super::route_action::answer;
use crate::envoy::number;

/// The name of the filter.
pub(super) const FILTER: &str = "envoy.filters.http.buffer";
/// The most bytes that are held of a request without a host, before it is answered with 404.
const UNKNOWN: u32 = 32 * 1024;
/// The most bytes that are held of a request whose body may have more.
const HELD: u32 = 1024 * 1024;

/// The filter itself, as it is for requests whose host nobody has.
pub(super) fn filter() -> Any {
    any(&buffer(UNKNOWN))
}

/// What a host says: no body is held.
pub(super) fn none() -> Any {
    any(&BufferPerRoute {
        r#override: Some(Override::Disabled(true)),
    })
}

fn buffer(most: u32) -> Buffer {
    Buffer {
        max_request_bytes: Some(number(most)),
    }
}

/// The routes that a route becomes when bodies may have so many bytes.
pub(super) fn limited(route: &Route, max: NonZeroU64) -> [Route; 4] {
    let length = |specifier| header("content-length", specifier);
    let fits = HeaderMatchSpecifier::RangeMatch(Int64Range {
        start: 0,
        end: i64::try_from(max.get())
            .unwrap_or(i64::MAX)
            .saturating_add(1),
    });
    let present = HeaderMatchSpecifier::PresentMatch(true);
    let too_long = Route {
        action: Some(answer(413)),
        ..with(route, length(present.clone()))
    };
    // Envoy leaves this header to upgrades alone: what follows is no body.
    let upgrade = header("upgrade", present);
    [
        with(route, length(fits)),
        too_long,
        with(route, upgrade),
        held(route.clone(), max),
    ]
}

/// The route, for requests that have this header, too.
fn with(route: &Route, header: HeaderMatcher) -> Route {
    let mut route = route.clone();
    if let Some(matcher) = &mut route.r#match {
        matcher.headers.push(header);
    }
    route
}

fn header(name: &str, specifier: HeaderMatchSpecifier) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(specifier),
        ..Default::default()
    }
}

/// The route, with bodies held until they are whole.
fn held(mut route: Route, max: NonZeroU64) -> Route {
    let most = u32::try_from(max.get()).map_or(HELD, |max| max.min(HELD));
    let policy = BufferPerRoute {
        r#override: Some(Override::Buffer(buffer(most))),
    };
    let config = &mut route.typed_per_filter_config;
    config.insert(FILTER.to_owned(), any(&policy));
    route
}
