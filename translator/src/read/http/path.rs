//! Checks the paths of matches (Gateway rule 66, Service rule 136).

use crate::model::PathMatch;

/// What must not be in a path: Envoy ends a path at the first two and refuses rules with them; the
/// others are not in the path of any request once it is normalized.
const NEVER: [&str; 7] = ["?", "#", "//", "/./", "/../", "%2f", "%2F"];

/// What is wrong with a path that is compared as it is, if anything.
pub(in super::super) fn fault(path: &str, longest: usize) -> Option<String> {
    if path.len() > longest {
        return Some(format!("it has {} bytes, more than {longest}", path.len()));
    }
    if !path.starts_with('/') {
        return Some(format!("{path:?} does not begin with \"/\""));
    }
    if let Some(part) = NEVER.iter().find(|part| path.contains(**part)) {
        return Some(format!("{path:?} has {part:?} in it"));
    }
    if let Some(end) = ["/.", "/.."].iter().find(|end| path.ends_with(**end)) {
        return Some(format!("{path:?} ends with {end:?}"));
    }
    // A request with one of these is refused before it is routed.
    let bad = path.bytes().any(|b| b <= b' ' || b == 0x7f);
    bad.then(|| format!("{path:?} has a space or a control character in it"))
}

/// The match for a path and those below it.
pub(in super::super) fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.trim_end_matches('/').into())
}

/// Whether reading could have given this match, its regular expression aside.
pub(in super::super) fn is_valid(path: &PathMatch, longest: usize) -> bool {
    match path {
        PathMatch::Exact(path) => fault(path, longest).is_none(),
        PathMatch::Prefix(path) => {
            path.is_empty() || !path.ends_with('/') && fault(path, longest).is_none()
        }
        PathMatch::Regex(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_that_requests_have() {
        for good in ["/", "/a", "/a/", "/a.b/..c/.d", "/a%20b", "/ä", "/a;b=c"] {
            assert_eq!(fault(good, 100), None);
        }
        for bad in [
            "", "a", "/a?b", "/a#b", "//", "/a//b", "/./a", "/a/../b", "/a%2fb", "/a%2Fb", "/a/.",
            "/a/..", "/a b", "/a\u{0}", "/a\r\nb", "/\u{7f}",
        ] {
            assert!(fault(bad, 100).is_some(), "{bad}");
        }
        assert!(fault("/12345", 5).is_some_and(|why| why == "it has 6 bytes, more than 5"));
    }

    #[test]
    fn a_prefix_has_no_slash_at_its_end() {
        for (path, expected) in [("/", ""), ("/a", "/a"), ("/a/", "/a")] {
            assert_eq!(prefix(path), PathMatch::Prefix(expected.into()));
            assert!(is_valid(&prefix(path), 100));
        }
        assert!(!is_valid(&PathMatch::Prefix("/".into()), 100));
        assert!(!is_valid(&PathMatch::Exact("".into()), 100));
    }
}
