//! [`MatchRank`]: the order in which the matches of one host are tried, whatever kinds of objects
//! they come from.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::model::{Match, PathMatch};
use crate::{ObjectId, ObjectKind};

/// The rank of an object among those that ask for the same: the older one is first, and of two of
/// one age that of the lower namespace, name and kind (Gateway rules 55 and 59, Service rule 139).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Age {
    created: i64,
    namespace: Arc<str>,
    name: Arc<str>,
    kind: ObjectKind,
}

impl Age {
    /// The rank of an object that was created then, in seconds since 1970.
    pub(crate) fn new(created: i64, object: &ObjectId) -> Age {
        Age {
            created,
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            kind: object.kind,
        }
    }

    /// The object.
    pub(crate) fn object(&self) -> ObjectId {
        ObjectId {
            kind: self.kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// The rank of a match among those of one host, the first in order being tried first (Gateway rule
/// 55). An order of plain values, so it is total and does not depend on the order of input. It is
/// right for Ingresses too, of which the longer path is first and then the exact one (Service rule
/// 137): a path that an exact match takes has no longer prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MatchRank<'a> {
    path: PathKind,
    length: Reverse<usize>,
    without_method: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    age: &'a Age,
    rule: usize,
    position: usize,
}

/// The kinds of path matches, the first to be tried first: a prefix of everything would hide every
/// regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathKind {
    Exact,
    Regex,
    Prefix,
}

impl<'a> MatchRank<'a> {
    /// The rank of a match at this position of this rule of an object.
    pub(crate) fn new(matches: &Match, age: &'a Age, rule: usize, position: usize) -> Self {
        let (path, length) = match &matches.path {
            PathMatch::Exact(path) => (PathKind::Exact, path.trim_end_matches('/').chars().count()),
            // The length of an expression says nothing.
            PathMatch::Regex(_) => (PathKind::Regex, 0),
            PathMatch::Prefix(path) => (PathKind::Prefix, path.chars().count()),
        };
        MatchRank {
            path,
            length: Reverse(length),
            without_method: matches.method.is_none(),
            headers: Reverse(matches.headers.len()),
            query: Reverse(matches.query.len()),
            age,
            rule,
            position,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{NamedMatch, TextMatch};

    fn age(created: i64, name: &str) -> Age {
        Age::new(
            created,
            &ObjectId::new(ObjectKind::HTTPRoute, &"i".into(), &name.into()),
        )
    }

    fn named(count: usize) -> Box<[NamedMatch]> {
        let one = |number: usize| NamedMatch {
            name: format!("x-{number}").into(),
            value: TextMatch::Exact("".into()),
        };
        (0..count).map(one).collect()
    }

    fn matching(path: PathMatch, method: bool, headers: usize, query: usize) -> Match {
        Match {
            path,
            method: method.then(|| "GET".into()),
            headers: named(headers),
            query: named(query),
        }
    }

    #[test]
    fn the_first_difference_decides() {
        let exact = |path: &str| PathMatch::Exact(path.into());
        let prefix = |path: &str| PathMatch::Prefix(path.into());
        let in_order = [
            matching(exact("/a/b"), false, 0, 0),
            matching(exact("/a/"), true, 0, 0),
            matching(exact("/a"), false, 9, 9),
            matching(PathMatch::Regex("/a.*".into()), true, 0, 0),
            matching(PathMatch::Regex("/.*and a long one".into()), false, 0, 0),
            // Characters count, not bytes.
            matching(prefix("/aaa"), false, 0, 0),
            matching(prefix("/é"), true, 0, 0),
            matching(prefix("/a"), false, 2, 0),
            matching(prefix("/a"), false, 1, 5),
            matching(prefix("/a"), false, 1, 4),
            matching(prefix(""), true, 9, 9),
        ];
        let (lower, older, newer) = (age(1, "a"), age(1, "b"), age(2, "a"));
        let ranks: Vec<_> = in_order
            .iter()
            .map(|m| MatchRank::new(m, &older, 0, 0))
            .collect();
        assert!(ranks.is_sorted_by(|one, other| one < other));
        let last = &in_order[in_order.len() - 1];
        let of = |age, rule, position| MatchRank::new(last, age, rule, position);
        assert!(of(&older, 1, 1) < of(&newer, 0, 0));
        assert!(of(&lower, 1, 1) < of(&older, 0, 0));
        assert!(of(&older, 0, 1) < of(&older, 1, 0) && of(&older, 0, 0) < of(&older, 0, 1));
    }

    fn a_match() -> impl Strategy<Value = Match> {
        let path = prop_oneof![
            "/[ab]{0,2}/?".prop_map(|path| PathMatch::Exact(path.into())),
            "(/[ab]{1,2})?".prop_map(|path| PathMatch::Prefix(path.into())),
            "/[ab]\\.\\*".prop_map(|path| PathMatch::Regex(path.into())),
        ];
        (path, any::<bool>(), 0..3usize, 0..3usize)
            .prop_map(|(path, method, headers, query)| matching(path, method, headers, query))
    }

    proptest! {
        /// Different places have different ranks, and any two ranks are in one order.
        #[test]
        fn the_order_is_total_and_does_not_depend_on_that_of_the_input(
            all in prop::collection::vec((a_match(), 0..2i64, "[ab]"), 0..12).prop_shuffle(),
        ) {
            let ages: Vec<Age> = all.iter().map(|(_, created, name)| age(*created, name)).collect();
            let rank = |index: usize| MatchRank::new(&all[index].0, &ages[index], 0, index);
            let mut forwards: Vec<usize> = (0..all.len()).collect();
            let mut backwards: Vec<usize> = (0..all.len()).rev().collect();
            forwards.sort_by(|a, b| rank(*a).cmp(&rank(*b)));
            backwards.sort_by(|a, b| rank(*a).cmp(&rank(*b)));
            prop_assert_eq!(&forwards, &backwards);
            for (at, one) in forwards.iter().enumerate() {
                for other in &forwards[at + 1..] {
                    prop_assert!(rank(*one) < rank(*other) && rank(*other) > rank(*one));
                }
            }
        }
    }
}
