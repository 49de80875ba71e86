//! Lists, whole or in pages.
//!
//! A `continue` token is `revision/namespace/name`: the state that the first page showed, and the
//! last key of this page.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::json;

use super::kinds::Kind;
use super::object::{Key, Object};
use super::query::{Match, Options};
use super::shared::Settings;
use super::status::Refusal;
use super::store::Store;

/// One page of a list, or all of it.
#[derive(Debug)]
pub(super) struct Page {
    revision: u64,
    pub(super) objects: Vec<Arc<Object>>,
    pub(super) resume: Option<String>,
    remaining: Option<usize>,
}

/// What stands for "whatever is newest" in a token that is given with an expired one.
const NEWEST: &str = "newest";

/// Finds what is listed.
pub(super) fn page(
    store: &Store,
    kind: &'static Kind,
    options: &Options,
    settings: &Settings,
) -> Result<Page, Refusal> {
    let (revision, from) = match &options.resume {
        Some(token) => resumed(store, options, token)?,
        None => (revision(store, options, settings.lag)?, None),
    };
    let objects = store.at(kind, revision).map_err(|_| match &from {
        Some(key) => Refusal {
            resume: Some(format!("{NEWEST}/{}/{}", key.0, key.1)),
            ..Refusal::expired(
                "The provided continue parameter is too old to display a consistent list result.",
            )
        },
        None => Refusal::expired("The resourceVersion for the provided list is too old."),
    })?;
    // Any state will do: the real server's watch cache answers, and does so in one page.
    let pages = settings.paging && options.revision != Some(0);
    let limit = options.limit.filter(|_| pages);
    let begin = from.map_or(Bound::Unbounded, Bound::Excluded);
    let filter = &options.filter;
    let mut rest = objects
        .range((begin, Bound::Unbounded))
        .map(|(_, object)| object)
        .filter(|object| filter.covers(object));
    let objects: Vec<_> = rest
        .by_ref()
        .filter(|object| filter.matches(object))
        .take(limit.unwrap_or(usize::MAX))
        .cloned()
        .collect();
    let remaining = rest.count();
    let last = objects.last().filter(|_| remaining > 0);
    Ok(Page {
        revision,
        resume: last.map(|last| format!("{revision}/{}/{}", last.key.0, last.key.1)),
        remaining: (remaining > 0 && !filter.selects()).then_some(remaining),
        objects,
    })
}

/// The revision that a first page shows.
fn revision(store: &Store, options: &Options, lag: u64) -> Result<u64, Refusal> {
    let current = store.revision();
    let Some(asked) = options.revision else {
        return Ok(current);
    };
    if asked > current {
        return Err(Refusal::too_large(asked, current));
    }
    let exact = match options.matching {
        Some(matching) => matching == Match::Exact,
        None => options.limit.is_some() && asked > 0,
    };
    Ok(if exact {
        asked
    } else {
        store.cached(lag, asked)
    })
}

/// The revision and the last key of a token.
fn resumed(store: &Store, options: &Options, token: &str) -> Result<(u64, Option<Key>), Refusal> {
    if options.revision.is_some_and(|revision| revision > 0) {
        let why = "specifying resource version is not allowed when using continue";
        return Err(Refusal::bad_request(why));
    }
    let bad = || Refusal::bad_request("continue key is not valid");
    let mut parts = token.splitn(3, '/');
    let (Some(revision), Some(namespace), Some(name)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(bad());
    };
    let revision = match revision {
        NEWEST => store.revision(),
        number => number.parse().map_err(|_| bad())?,
    };
    Ok((revision, Some((namespace.to_owned(), name.to_owned()))))
}

impl Page {
    /// The JSON around the items, as what comes before them; `]}` comes after.
    pub(super) fn head(&self, kind: &Kind) -> String {
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        if let Some(token) = &self.resume {
            metadata["continue"] = token.clone().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
            kind.kind,
            kind.api_version()
        )
    }
}
