//! What a request for a list asks for: which page, and the filters that every list has its own of.

mod object;

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use seaway_translator::{Layer, Reason, Role, Served};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::api::{ProblemSeverity, ProxyState};
use super::openapi;
pub(super) use object::{ObjectFilter, is_made_of};

/// The most items of a page, and how many it has unless it is asked for more or fewer.
pub(super) const MOST: usize = 1000;
const USUAL: usize = 100;
/// Why an `after` that no page said is refused.
pub(super) const NO_NEXT: &str = "after: this is not the next of a page";

/// Which page of a list is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Paging {
    pub(super) limit: usize,
    pub(super) after: Option<String>,
}

impl Paging {
    /// The page that a query's `limit` and `after` ask for.
    pub(super) fn of(limit: Option<usize>, after: Option<String>) -> Paging {
        Paging {
            limit: limit.unwrap_or(USUAL).clamp(1, MOST),
            after: after.filter(|after| !after.is_empty()),
        }
    }

    /// The same of a list whose pages end in keys of a form of their own.
    pub(super) fn after(
        limit: Option<usize>,
        after: &Option<String>,
        is_key: impl FnOnce(&str) -> bool,
    ) -> Result<Paging, String> {
        let paging = Paging::of(limit, after.clone());
        match &paging.after {
            Some(after) if !is_key(after) => Err(NO_NEXT.to_owned()),
            _ => Ok(paging),
        }
    }

    /// Cuts the page out of items with their keys: how many there are in all, the items, and what
    /// `after` is for the next page.
    pub(super) fn cut<T>(&self, mut all: Vec<(String, T)>) -> Cut<T> {
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let total = all.len();
        let from = self.after.as_ref().map_or(0, |after| {
            all.partition_point(|(key, _)| key.as_str() <= after.as_str())
        });
        let rest = all.into_iter().skip(from);
        self.take(total, rest)
    }

    /// Takes the page off items that come after the page before, in order.
    pub(super) fn take<T>(
        &self,
        total: usize,
        rest: impl IntoIterator<Item = (String, T)>,
    ) -> Cut<T> {
        let mut rest = rest.into_iter();
        let page: Vec<(String, T)> = rest.by_ref().take(self.limit).collect();
        let next = page.last().map(|(key, _)| key.clone());
        Cut {
            total,
            next: next.filter(|_| rest.next().is_some()),
            items: page.into_iter().map(|(_, item)| item).collect(),
        }
    }
}

/// A page that is cut out of a list.
pub(super) struct Cut<T> {
    pub(super) total: usize,
    pub(super) next: Option<String>,
    pub(super) items: Vec<T>,
}

impl<T> Cut<T> {
    /// The same page with what is made of each item.
    pub(super) fn map<U>(self, make: impl FnMut(T) -> U) -> Cut<U> {
        Cut {
            total: self.total,
            next: self.next,
            items: self.items.into_iter().map(make).collect(),
        }
    }
}

/// Filters of the list of proxies.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProxyQuery {
    /// How many items the page has at most: 100 unless it is said, and never more than 1000.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// Only proxies in this state.
    pub(super) state: Option<ProxyState>,
    /// Only proxies in another state.
    pub(super) not: Option<ProxyState>,
    /// Only proxies of this role.
    #[serde(deserialize_with = "parsed")]
    #[param(schema_with = openapi::role)]
    pub(super) role: Option<Role>,
    /// Only proxies on this Node.
    pub(super) node: Option<String>,
    /// Only proxies in this zone.
    pub(super) zone: Option<String>,
    /// Only proxies of this fleet.
    pub(super) fleet: Option<String>,
    /// Only proxies with this id.
    pub(super) proxy: Option<String>,
    /// Only proxies whose id, Node or address contains this.
    #[serde(deserialize_with = "lowered")]
    pub(super) search: Option<String>,
}

/// Filters of the list of Services.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ServiceQuery {
    /// How many items the page has at most: 100 unless it is said, and never more than 1000.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// Only Services of this namespace.
    pub(super) namespace: Option<String>,
    /// Only Services of this name.
    pub(super) name: Option<String>,
    /// Only Services of which so much is served: `yes`, `partly` or `no`.
    #[param(schema_with = openapi::served)]
    pub(super) served: Option<Served>,
    /// Only Services of which not so much is served.
    #[param(schema_with = openapi::served)]
    pub(super) not: Option<Served>,
    /// Only Services whose name, an address or a port contains this.
    #[serde(deserialize_with = "lowered")]
    pub(super) search: Option<String>,
}

/// Filters of the list of resources.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ResourceQuery {
    /// How many items the page has at most: 100 unless it is said, and never more than 1000.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// Only resources of this type.
    #[param(schema_with = openapi::resource_type)]
    pub(super) r#type: Option<String>,
    /// Only resources of this name.
    pub(super) name: Option<String>,
    /// Only resources that are made from this object: `Service shop/web`, or `shop/web` of any
    /// kind.
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    pub(super) object: Option<ObjectFilter>,
    /// Only resources in this layer.
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    pub(super) layer: Option<Layer>,
    /// Only what the connected proxy with this id asks for, in the layers in which it sees it.
    pub(super) proxy: Option<String>,
    /// Whether each item is to have its `content`. A page is then cut after 2 MiB of it.
    pub(super) content: Option<bool>,
    /// Only resources whose name contains this.
    #[serde(deserialize_with = "lowered")]
    pub(super) search: Option<String>,
}

/// Filters of the list of layers.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LayerQuery {
    /// How many items the page has at most: 100 unless it is said, and never more than 1000.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// Only layers whose name contains this.
    #[serde(deserialize_with = "lowered")]
    pub(super) search: Option<String>,
}

/// Of which proxy the differences are asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DiffQuery {
    /// How many items the page has at most: 100 unless it is said, and never more than 1000.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// The id of a connected proxy.
    #[param(required)]
    pub(super) proxy: String,
}

/// Filters of the list of problems.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProblemQuery {
    /// How many items the page has at most: 100 unless it is said, and never more than 1000.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// Only problems of objects in this namespace.
    pub(super) namespace: Option<String>,
    /// Only problems of this object: `Service shop/web`, or `shop/web` of any kind.
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    pub(super) object: Option<ObjectFilter>,
    /// Only problems of this severity.
    pub(super) severity: Option<ProblemSeverity>,
    /// Only problems of this reason.
    #[param(schema_with = openapi::reason)]
    pub(super) reason: Option<Reason>,
    /// Only problems whose object, field or message contains this.
    #[serde(deserialize_with = "lowered")]
    pub(super) search: Option<String>,
}

/// Filters of the list of changes.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeQuery {
    /// How many items the page has at most: 100 unless it is said, and never more than 1000.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// Only changes of this object, or of what is made from it: `Service shop/web`, or `shop/web`
    /// of any kind.
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    pub(super) object: Option<ObjectFilter>,
    /// Only changes that some proxy has not answered yet.
    pub(super) waiting: Option<bool>,
}

/// Filters of the list of watches: none.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WatchQuery {
    /// How many items the page has at most: 100 unless it is said, and never more than 1000.
    #[serde(deserialize_with = "at_least_one")]
    #[param(minimum = 1)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
}

/// Whether a filter that may be absent lets a value through.
pub(super) fn is(filter: &Option<String>, value: Option<&str>) -> bool {
    filter.as_deref().is_none_or(|filter| Some(filter) == value)
}

/// Reads a value that has a form of its own.
pub(super) fn parsed<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    let value = text.map(|text| text.parse()).transpose();
    value.map_err(D::Error::custom)
}

/// Reads how many items a page is to have: a page of none would never end.
fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    match Option::<usize>::deserialize(deserializer)? {
        Some(0) => Err(D::Error::custom("a page has one item or more")),
        limit => Ok(limit),
    }
}

/// Reads what is searched for, in lower case: it is held against many texts.
fn lowered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let search = Option::<String>::deserialize(deserializer)?;
    Ok(search.map(|search| search.to_lowercase()))
}

/// Whether what is searched for, if anything, is part of one of the texts, in whatever case.
pub(super) fn finds<'a>(
    search: &Option<String>,
    texts: impl IntoIterator<Item = Cow<'a, str>>,
) -> bool {
    let Some(search) = search else {
        return true;
    };
    let mut texts = texts.into_iter();
    texts.any(|text| text.to_lowercase().contains(search))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let all = || (0..7).rev().map(|n| (format!("k{n}"), n)).collect();
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page: Cut<i32> = Paging::of(Some(3), after).cut(all());
            assert_eq!(page.total, 7);
            seen.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
        let whole: Cut<i32> = Paging::of(Some(7), None).cut(all());
        assert_eq!((whole.items.len(), whole.next), (7, None));
    }

    #[test]
    fn a_page_is_bounded() {
        assert_eq!(Paging::of(None, None).limit, USUAL);
        assert_eq!(Paging::of(Some(1_000_000), None).limit, MOST);
        assert_eq!(Paging::of(Some(0), None).limit, 1);
    }
}
