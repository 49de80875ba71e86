//! How a resource differs, as a small unified diff of its JSON.

use seaway_proto::{Resource, TypeUrl, json};
use seaway_translator::diff::ResourceChange;
use similar::TextDiff;

/// Unchanged lines around changed ones.
const CONTEXT: usize = 3;

/// The hunks of a resource. The content of a certificate is nobody's to read.
pub(super) fn of(change: &ResourceChange) -> String {
    let (old, new) = (change.old.as_ref(), change.new.as_ref());
    let is_secret = |resource: &Resource| resource.type_url == TypeUrl::SECRET;
    if old.or(new).is_some_and(is_secret) {
        return "[redacted]\n".to_owned();
    }
    let (before, after) = (printed(old), printed(new));
    let diff = TextDiff::from_lines(&before, &after);
    diff.unified_diff().context_radius(CONTEXT).to_string()
}

/// A resource as Envoy prints it; nothing for none.
fn printed(resource: Option<&Resource>) -> String {
    let Some(resource) = resource else {
        return String::new();
    };
    match json::to_value(resource.type_url.as_str(), &resource.value) {
        Ok(value) => format!("{value:#}\n"),
        Err(_) => String::from_utf8_lossy(&resource.value).into_owned() + "\n",
    }
}
