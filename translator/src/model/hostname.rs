//! [`Hostname`]: the host names that a listener, an Ingress rule or a route is for.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A set of host names, in lower case and without a trailing dot (Gateway rule 50). Orders by
/// what is behind the dots, so that all names under `*.example.com` follow one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Hostname {
    /// Every host name, and requests without any.
    Any,
    /// `*.` and this suffix: all names with one or more labels before it, but not itself.
    Wildcard(Arc<str>),
    /// One name.
    Exact(Arc<str>),
}

impl Hostname {
    /// The host names that display like this.
    pub(crate) fn read(text: &str) -> Hostname {
        match (text, text.strip_prefix("*.")) {
            ("*", _) => Hostname::Any,
            (_, Some(suffix)) => Hostname::Wildcard(suffix.into()),
            (name, None) => Hostname::Exact(name.into()),
        }
    }

    /// Whether every name of the other set is in this one.
    #[must_use]
    pub fn covers(&self, other: &Hostname) -> bool {
        match (self, other) {
            (Hostname::Any, _) => true,
            (Hostname::Exact(own), Hostname::Exact(other)) => own == other,
            (Hostname::Wildcard(suffix), Hostname::Exact(name)) => is_below(name, suffix),
            (Hostname::Wildcard(own), Hostname::Wildcard(other)) => {
                own == other || is_below(other, own)
            }
            (_, Hostname::Any) | (Hostname::Exact(_), Hostname::Wildcard(_)) => false,
        }
    }

    /// The names that are in both sets: one of the two, as long as they have any in common
    /// (Gateway rule 50).
    #[must_use]
    pub fn intersection<'a>(&'a self, other: &'a Hostname) -> Option<&'a Hostname> {
        match (self.covers(other), other.covers(self)) {
            (true, _) => Some(other),
            (false, true) => Some(self),
            (false, false) => None,
        }
    }

    /// The sets that cover this one, the narrowest first, beginning with itself.
    pub fn covering(&self) -> impl Iterator<Item = Hostname> + '_ {
        let rest = |name: &str| name.find('.').map(|dot| dot + 1);
        let mut next = match self {
            Hostname::Any => None,
            Hostname::Wildcard(name) | Hostname::Exact(name) => rest(name).map(|at| &name[at..]),
        };
        let wider = std::iter::from_fn(move || {
            let suffix = next?;
            next = rest(suffix).map(|at| &suffix[at..]);
            Some(suffix)
        });
        let any = (*self != Hostname::Any).then_some(Hostname::Any);
        std::iter::once(self.clone())
            .chain(wider.map(|suffix| Hostname::Wildcard(suffix.into())))
            .chain(any)
    }

    /// The name whose labels it is ordered by, last label first, and its rank among equal ones: a
    /// wildcard does not cover the name behind it, and so comes after that.
    fn parts(&self) -> (&str, u8) {
        match self {
            Hostname::Any => ("", 0),
            Hostname::Exact(name) => (name, 1),
            Hostname::Wildcard(suffix) => (suffix, 2),
        }
    }
}

/// Whether a name has one or more labels before this suffix.
fn is_below(name: &str, suffix: &str) -> bool {
    let before = name.strip_suffix(suffix);
    before.is_some_and(|before| before.len() > 1 && before.ends_with('.'))
}

impl Ord for Hostname {
    fn cmp(&self, other: &Hostname) -> Ordering {
        let ((own, own_kind), (other, other_kind)) = (self.parts(), other.parts());
        let labels = own.rsplit('.').cmp(other.rsplit('.'));
        labels.then(own_kind.cmp(&other_kind))
    }
}

impl PartialOrd for Hostname {
    fn partial_cmp(&self, other: &Hostname) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hostname::Any => f.write_str("*"),
            Hostname::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Hostname::Exact(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Hostname {
        match text.strip_prefix("*.") {
            None if text == "*" => Hostname::Any,
            None => Hostname::Exact(text.into()),
            Some(suffix) => Hostname::Wildcard(suffix.into()),
        }
    }

    #[test]
    fn sets_cover_one_another_label_by_label() {
        let covers = [
            ("*", "a.b", true),
            ("*", "*.b", true),
            ("*", "*", true),
            ("*.b", "*", false),
            ("*.w.io", "foo.bar.w.io", true),
            ("*.w.io", "w.io", false),
            ("*.w.io", "xw.io", false),
            ("*.w.io", "*.a.w.io", true),
            ("*.a.w.io", "*.w.io", false),
            ("a.w.io", "*.w.io", false),
            ("a.w.io", "a.w.io", true),
        ];
        for (one, other, expected) in covers {
            assert_eq!(name(one).covers(&name(other)), expected, "{one} {other}");
        }
    }

    #[test]
    fn the_narrower_of_two_is_what_they_have_in_common() {
        let of = |one: &str, other: &str| {
            let (one, other) = (name(one), name(other));
            one.intersection(&other).map(ToString::to_string)
        };
        assert_eq!(of("*", "a.b").as_deref(), Some("a.b"));
        assert_eq!(
            of("very.specific.com", "*.specific.com").as_deref(),
            Some("very.specific.com")
        );
        assert_eq!(of("*.w.io", "w.io"), None);
        assert_eq!(of("*.w.io", "*.a.w.io").as_deref(), Some("*.a.w.io"));
    }

    fn a_name() -> impl Strategy<Value = Hostname> {
        "(\\*|(\\*\\.)?([ab]\\.){0,2}[abc])".prop_map(|text| name(&text))
    }

    proptest! {
        #[test]
        fn those_that_cover_a_name_are_listed_narrowest_first(all in prop::collection::btree_set(a_name(), 0..40), one in a_name()) {
            let listed: Vec<Hostname> = one.covering().filter(|name| all.contains(name)).collect();
            let covering: BTreeSet<&Hostname> = all.iter().filter(|name| name.covers(&one)).collect();
            prop_assert_eq!(listed.iter().collect::<BTreeSet<_>>(), covering);
            prop_assert!(listed.windows(2).all(|pair| pair[1].covers(&pair[0])));
        }

        #[test]
        fn what_a_name_covers_follows_it(all in prop::collection::btree_set(a_name(), 0..40), one in a_name()) {
            let covered: Vec<&Hostname> = all.iter().filter(|name| one.covers(name)).collect();
            let following: Vec<&Hostname> = all.range(&one..).take_while(|name| one.covers(name)).collect();
            prop_assert_eq!(covered, following);
        }
    }
}
