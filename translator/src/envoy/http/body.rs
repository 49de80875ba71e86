//! The limit of a request's body on one route.
//!
//! Where a request says how long its body is, the limit is a match of the route: a body that is
//! short enough is never held back, one that is too long is refused before any of it is read. Only
//! where nothing is said a script holds the body until it is whole, or longer than the proxy
//! buffers for one connection; then Envoy refuses it. (Envoy's own filter for this, `buffer`, holds
//! back every body, which breaks streams and WebSockets, and can be told to let a route alone only
//! by every host.)

use std::collections::HashMap;
use std::num::NonZeroU64;

use seaway_proto::any;
use seaway_proto::envoy::core::data_source::Specifier;
use seaway_proto::envoy::core::{DataSource, Metadata};
use seaway_proto::envoy::lua::lua_per_route::Override;
use seaway_proto::envoy::lua::{Lua, LuaPerRoute};
use seaway_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use seaway_proto::envoy::route::{HeaderMatcher, Route};
use seaway_proto::envoy::types::Int64Range;
use seaway_proto::google::protobuf::{Any, BoolValue, Struct, Value, value::Kind};

use super::route_action::answer;

/// The name of the filter, which does nothing on routes without a limit.
pub(super) const FILTER: &str = "body";
/// The script.
const SCRIPT: &str = include_str!("body.lua");
/// The name of the script.
const HOLD: &str = "hold";
/// The key of the metadata with the limit.
const MAX: &str = "max";

/// The filter itself.
pub(super) fn filter() -> Any {
    let script = DataSource {
        specifier: Some(Specifier::InlineString(SCRIPT.to_owned())),
        ..Default::default()
    };
    any(&Lua {
        source_codes: HashMap::from([(HOLD.to_owned(), script)]),
        clear_route_cache: Some(BoolValue { value: false }),
        ..Default::default()
    })
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

/// The route, with bodies held back until they are whole.
fn held(mut route: Route, max: NonZeroU64) -> Route {
    let script = LuaPerRoute {
        r#override: Some(Override::Name(HOLD.to_owned())),
        ..Default::default()
    };
    route
        .typed_per_filter_config
        .insert(FILTER.to_owned(), any(&script));
    // What the script is given is far below the numbers that are not exact; nothing longer than the
    // buffer of a connection ever comes to it.
    let most = u32::try_from(max.get()).unwrap_or(u32::MAX);
    let value = Value {
        kind: Some(Kind::NumberValue(most.into())),
    };
    let fields = HashMap::from([(MAX.to_owned(), value)]);
    route
        .metadata
        .get_or_insert_with(Metadata::default)
        .filter_metadata
        .insert(FILTER.to_owned(), Struct { fields });
    route
}
