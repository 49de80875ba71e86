//! HTTP of the ingress proxies: a listener per [`Table`](crate::plan::host::Table), a scope per
//! host, and the filter that finds the scope where the name asked for is not the scope's own.
//! Beside it the listener of [mesh proxies](mesh), which finds the names of Services likewise.
//!
//! Every host is a resource of its own, so a change of one costs that one. Envoy finds the scope of
//! a request by the exact text of two headers that the listener sets: the table and the host. A
//! name in lower case and without a port is found so at once; for all others the filter of
//! [`lookup`] sets the header again.

mod access_log;
mod body;
mod cors;
mod header_changes;
pub(crate) mod listener;
pub(crate) mod lookup;
pub(crate) mod mesh;
mod path_change;
mod rate;
pub(super) mod route_action;
pub(super) mod route_match;
pub(crate) mod scope;
pub(crate) mod scoped;
mod sources;
pub(crate) mod tls;

#[cfg(test)]
mod tests;

use seaway_proto::envoy::text_matcher::regex_matcher::{EngineType, GoogleRe2};
use seaway_proto::envoy::text_matcher::string_matcher::MatchPattern;
use seaway_proto::envoy::text_matcher::{RegexMatcher, StringMatcher};

use super::number;

/// The request header that names the table of a request: the port of the listener.
const TABLE_HEADER: &str = "x-seaway-table";
/// The request header that names the host whose routes a request is for.
const HOST_HEADER: &str = "x-seaway-host";
/// The request header that names the listener whose certificate a client was shown (Gateway rule
/// 64).
const LISTENER_HEADER: &str = "x-seaway-listener";
/// The headers that no endpoint sees.
const OWN_HEADERS: [&str; 3] = [TABLE_HEADER, HOST_HEADER, LISTENER_HEADER];
/// The name of the CORS filter, which does nothing on routes without a policy (Gateway rule 74).
const CORS_FILTER: &str = "envoy.filters.http.cors";

/// The most instructions of a compiled regular expression. Envoy's own limit is 100, above which it
/// rejects the whole resource; what was read has far less than this.
const REGEX_PROGRAM: u32 = 65_536;

/// A regular expression that has to match a whole text.
#[allow(
    deprecated,
    reason = "the limit of Envoy's runtime is another's to set, and a long host name exceeds it"
)]
fn regex(pattern: &str) -> RegexMatcher {
    let program = GoogleRe2 {
        max_program_size: Some(number(REGEX_PROGRAM)),
    };
    RegexMatcher {
        engine_type: Some(EngineType::GoogleRe2(program)),
        // Envoy rejects the empty one.
        regex: if pattern.is_empty() { "^$" } else { pattern }.to_owned(),
    }
}

/// A text as the regular expression that matches it alone.
fn quoted(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    let mut quoted = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// A matcher of texts.
fn text(pattern: MatchPattern) -> StringMatcher {
    StringMatcher {
        match_pattern: Some(pattern),
        ..Default::default()
    }
}
