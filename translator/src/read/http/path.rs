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

/// What is wrong with a path that Gateway API lets be matched, if anything: it consists of the
/// characters that a URI may have there.
pub(in super::super) fn uri_fault(path: &str, longest: usize) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@%".contains(&b);
    let mut after_percent = path.split('%').skip(1);
    let escaped = after_percent.all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    fault(path, longest).or_else(|| {
        let bad = !escaped || !path.bytes().all(allowed);
        bad.then(|| format!("{path:?} has a character that a URI has not, or a bad escape"))
    })
}

/// What is wrong with a path that takes the place of another, if anything.
pub(in super::super) fn replacement_fault(path: &str, longest: usize) -> Option<String> {
    if path.len() > longest {
        return Some(format!("it has {} bytes, more than {longest}", path.len()));
    }
    if !path.starts_with('/') {
        return Some(format!("{path:?} does not begin with \"/\""));
    }
    let bad = path.bytes().any(|b| b <= b' ' || b"?#\x7f".contains(&b));
    bad.then(|| format!("{path:?} has a character that no path has"))
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
    fn routes_have_paths_of_uris() {
        for good in ["/", "/a%20b", "/a:b@c", "/%E2%82%ac"] {
            assert_eq!(uri_fault(good, 100), None);
        }
        for bad in ["/ä", "/a|b", "/%", "/%2", "/a%zz", "/%2f", "/a\\b", "/{id}"] {
            assert!(uri_fault(bad, 100).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_replacement_is_a_path() {
        for good in ["/", "/a//b", "/a\\1", "/a%"] {
            assert_eq!(replacement_fault(good, 100), None);
        }
        for bad in [
            "",
            "a",
            "/a?b",
            "/a#b",
            "/a b",
            "/\n",
            "/\0",
            "/12345678901",
        ] {
            assert!(replacement_fault(bad, 11).is_some(), "{bad}");
        }
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
