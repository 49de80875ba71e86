//! The lookup filter of a table: it finds the scope of a request whose host is written otherwise
//! than a scope's name: in upper case, with a port, under a wildcard, or unknown.
//!
//! The filter is a Lua script with the table's wildcards in it, and a resource of its own, so that
//! a new wildcard changes no listener. Requests that are in the scope of an exact name before any
//! filter runs never meet it: the virtual host disables it. A virtual host marks its routes, since
//! the script has no other way to see whether the name in lower case and without a port has a
//! scope; Envoy gives a script the metadata of one route only, so it can ask so once. Two Host
//! headers come to it as one with a comma, and are refused, as RFC 9112 (3.2) has it: a wildcard
//! could cover both.

use std::fmt::Write as _;

use seaway_proto::envoy::core::data_source::Specifier;
use seaway_proto::envoy::core::{DataSource, TypedExtensionConfig};
use seaway_proto::envoy::lua::Lua;
use seaway_proto::google::protobuf::BoolValue;
use seaway_proto::{Resource, TypeUrl};

use crate::model::Hostname;
use crate::plan::host::Table;

/// The script behind the table of wildcards.
const SCRIPT: &str = include_str!("lookup.lua");
/// The key of the metadata that marks the routes of exact names.
pub(super) const MARK: &str = "exact";

/// The name of a table's lookup filter, and of its resource: `hosts/80`.
pub(crate) fn name(table: &Table) -> String {
    format!("hosts/{}", table.port)
}

/// The lookup filter of a table that has scopes for these wildcards (others of the names are left
/// out), and, with `any`, one for all other hosts.
pub(crate) fn lookup(table: &Table, wildcards: &[Hostname], any: bool) -> Resource {
    let message = TypedExtensionConfig {
        name: name(table),
        typed_config: Some(seaway_proto::any(&filter(Some(script(wildcards, any))))),
    };
    Resource::new(TypeUrl::EXTENSION, name(table), &message, Vec::new())
}

/// The filter with this script; without one it does nothing.
pub(super) fn filter(script: Option<String>) -> Lua {
    Lua {
        default_source_code: script.map(|script| DataSource {
            specifier: Some(Specifier::InlineString(script)),
            ..Default::default()
        }),
        // The script has the route searched anew where that can change anything.
        clear_route_cache: Some(BoolValue { value: false }),
        ..Default::default()
    }
}

/// The script for these wildcards, whatever their order.
fn script(wildcards: &[Hostname], any: bool) -> String {
    let mut names: Vec<&str> = wildcards
        .iter()
        .filter_map(|name| match name {
            Hostname::Wildcard(suffix) => Some(&**suffix),
            Hostname::Any | Hostname::Exact(_) => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut text = String::from("local WILDCARDS = {\n");
    for name in names {
        text.push_str("  [\"*.");
        quote(name, &mut text);
        text.push_str("\"] = true,\n");
    }
    let _ = write!(text, "}}\nlocal ANY = {any}\n\n{SCRIPT}");
    text
}

/// Writes a name into a string of Lua. What no host name has is written as a number, so nothing can
/// end the string.
fn quote(name: &str, into: &mut String) {
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "\\{byte:03}");
        }
    }
}
