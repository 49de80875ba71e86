//! The short names of resource types: how people call them.

use seaway_proto::TypeUrl;

/// Each type with its short name.
const NAMES: [(TypeUrl, &str); 7] = [
    (TypeUrl::CLUSTER, "cluster"),
    (TypeUrl::ENDPOINT, "endpoint"),
    (TypeUrl::LISTENER, "listener"),
    (TypeUrl::ROUTE, "route"),
    (TypeUrl::SCOPED_ROUTE, "scoped-route"),
    (TypeUrl::EXTENSION, "extension"),
    (TypeUrl::SECRET, "secret"),
];

/// The short name of a type.
pub(crate) fn short(url: TypeUrl) -> &'static str {
    let known = NAMES.iter().find(|(known, _)| *known == url);
    known.map_or(url.as_str(), |(_, name)| name)
}

/// All short names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(_, name)| *name)
}

/// The type with this short name, in the singular or the plural, or with this URL.
pub(crate) fn of_name(name: &str) -> Option<TypeUrl> {
    let singular = name.strip_suffix('s').unwrap_or(name);
    let known = NAMES
        .iter()
        .find(|(url, short)| *short == singular || url.as_str() == name);
    known.map(|(url, _)| *url)
}
