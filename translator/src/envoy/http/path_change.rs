//! How Envoy changes the path of a request or of a redirect (Gateway rules 71 and 72).

use seaway_proto::envoy::text_matcher::RegexMatchAndSubstitute;

use super::{quoted, regex};
use crate::model::{PathChange, PathMatch};

/// A change of a path, in Envoy's words.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Edit {
    /// This in place of the whole path.
    Whole(String),
    /// This in place of the prefix that the route matches.
    Prefix(String),
    /// What this finds is replaced.
    Regex(RegexMatchAndSubstitute),
}

/// The edit of the paths that a route matches; `None` if they stay as they are.
pub(super) fn edit(change: &PathChange, matched: &PathMatch) -> Option<Edit> {
    match (change, matched) {
        (PathChange::Full(path), _) => Some(Edit::Whole(path.to_string())),
        (PathChange::Prefix(new), PathMatch::Prefix(old)) => prefix(old, new),
        // Only prefixes are replaced: rules for others are refused before.
        (PathChange::Prefix(_), PathMatch::Exact(_) | PathMatch::Regex(_)) => None,
    }
}

/// The prefix `new` in place of `old`. Both stand for whole elements of the path, so a slash at
/// their ends means nothing.
fn prefix(old: &str, new: &str) -> Option<Edit> {
    let (old, new) = (old.trim_end_matches('/'), new.trim_end_matches('/'));
    match (old.is_empty(), new.is_empty()) {
        (true, true) => None,
        // The prefix that the route matches is `/` then, and not the empty text.
        (true, false) => Some(Edit::Prefix(format!("{new}/"))),
        (false, false) => Some(Edit::Prefix(new.to_owned())),
        // The slash behind the prefix goes, too, or `/old/a` would become `//a`.
        (false, true) => Some(Edit::Regex(replace(format!("^{}/*", quoted(old)), "/"))),
    }
}

/// The edit of a route's path that puts this one in place of the whole, and leaves the query.
pub(super) fn whole(path: &str) -> RegexMatchAndSubstitute {
    replace("^/.*$".to_owned(), path)
}

/// What a regular expression finds is replaced by this text, in which nothing is special.
fn replace(pattern: String, by: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(regex(&pattern)),
        substitution: by.replace('\\', r"\\"),
    }
}
