//! The canonical form of names like `xdstp://authority/type/id?b=2&a=1#directive`: the order of the
//! parameters has no meaning (xDS rule 114), so they are kept sorted. All other names are opaque.

use std::borrow::Cow;
use std::sync::Arc;

const SCHEME: &str = "xdstp:";

/// The name with its parameters sorted.
pub(crate) fn canonical(name: &str) -> Cow<'_, str> {
    match sorted(name) {
        Some(sorted) => Cow::Owned(sorted),
        None => Cow::Borrowed(name),
    }
}

/// The name with its parameters sorted; without a copy if they are sorted already.
pub(crate) fn shared(name: Arc<str>) -> Arc<str> {
    match sorted(&name) {
        Some(sorted) => sorted.into(),
        None => name,
    }
}

/// Calls `act` with the names, their parameters sorted.
pub(crate) fn with<T>(names: &[&str], act: impl FnOnce(&[&str]) -> T) -> T {
    if !names.iter().any(|name| name.starts_with(SCHEME)) {
        return act(names);
    }
    let names: Vec<Cow<'_, str>> = names.iter().map(|name| canonical(name)).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    act(&names)
}

/// The name with its parameters sorted; `None` if they are sorted already, or it has none.
fn sorted(name: &str) -> Option<String> {
    if !name.starts_with(SCHEME) {
        return None;
    }
    let (name, directives) = name.split_at(name.find('#').unwrap_or(name.len()));
    let (before, query) = name.split_once('?')?;
    let mut params: Vec<&str> = query.split('&').collect();
    if params.is_sorted_by_key(key) {
        return None;
    }
    params.sort_by_key(key);
    Some(format!("{before}?{}{directives}", params.join("&")))
}

fn key<'a>(param: &&'a str) -> (&'a str, &'a str) {
    param.split_once('=').unwrap_or((param, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_parameters_does_not_matter_rule_114() {
        let check = |name: &str, expected: &str| {
            assert_eq!(canonical(name), expected);
            assert_eq!(&*shared(name.into()), expected);
            with(&["x", name], |names| assert_eq!(names, ["x", expected]));
        };
        check("xdstp://a/t/id?b=2&a=1", "xdstp://a/t/id?a=1&b=2");
        check("xdstp://a/t/id?a=1&b=2", "xdstp://a/t/id?a=1&b=2");
        check(
            "xdstp:///t/id?a-b=1&a=2#x=1&a",
            "xdstp:///t/id?a=2&a-b=1#x=1&a",
        );
        check("xdstp://a/t/id?b&a=", "xdstp://a/t/id?a=&b");
        check("xdstp://a/t/id", "xdstp://a/t/id");
        check("xdstp://a/t/id#x?b&a", "xdstp://a/t/id#x?b&a");
        check("http://a/t?b=2&a=1", "http://a/t?b=2&a=1");
        check("default/web/80", "default/web/80");
    }
}
