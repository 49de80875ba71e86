//! From an HTTP request to what is asked for: the path's target, the verb that RBAC knows, and the
//! options of a list or watch.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{Method, Uri};

use super::kinds::Kind;
use super::selector::{self, Filter};
use super::status::Refusal;

/// A request for objects.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: &'static Kind,
    /// As in RBAC rules: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub(super) verb: &'static str,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
    pub(super) query: BTreeMap<String, String>,
}

/// How the revision of a list is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Exact,
    NotOlderThan,
}

/// What the query of a list or watch says.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) filter: Filter,
    /// `None` where the newest state is asked for, 0 where any will do.
    pub(super) revision: Option<u64>,
    pub(super) matching: Option<Match>,
    pub(super) limit: Option<usize>,
    pub(super) resume: Option<String>,
    pub(super) bookmarks: bool,
    pub(super) initial_events: Option<bool>,
    pub(super) timeout: Option<Duration>,
}

/// Reads method and URI; a path that nothing is behind is `None`.
pub(super) fn call(method: &Method, uri: &Uri) -> Option<Call> {
    let query: BTreeMap<_, _> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let segments: Vec<_> = uri.path().trim_matches('/').split('/').collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let at = |resource: &str| Kind::at(group, version, resource);
    let namespaced = |resource: &str| at(resource).filter(|kind| kind.namespaced);
    let (kind, namespace, rest) = match rest {
        ["namespaces", namespace, resource, rest @ ..] if namespaced(resource).is_some() => {
            (at(resource)?, Some((*namespace).to_owned()), rest)
        }
        [resource, rest @ ..] => (at(resource)?, None, rest),
        [] => return None,
    };
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some((*name).to_owned()), None),
        [name, sub @ ("status" | "finalize" | "portforward")] => {
            (Some((*name).to_owned()), Some((*sub).to_owned()))
        }
        _ => return None,
    };
    if name.is_some() && kind.namespaced && namespace.is_none() {
        return None;
    }
    let watched = query.get("watch").is_some_and(|value| is_true(value));
    let verb = match (method.as_str(), name.is_some()) {
        ("GET", true) => "get",
        ("GET", false) if watched => "watch",
        ("GET", false) => "list",
        ("POST", false) => "create",
        ("PUT", true) => "update",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        _ => return None,
    };
    Some(Call {
        kind,
        verb,
        namespace,
        name,
        subresource,
        query,
    })
}

fn is_true(value: &str) -> bool {
    matches!(value, "true" | "1")
}

impl Call {
    /// The options of a list or watch, with those combinations refused that the real server
    /// refuses.
    pub(super) fn options(&self) -> Result<Options, Refusal> {
        let text = |name: &str| {
            self.query
                .get(name)
                .map(String::as_str)
                .filter(|text| !text.is_empty())
        };
        let number = |name: &str| {
            let parsed = text(name).map(str::parse::<u64>).transpose();
            parsed.map_err(|_| Refusal::bad_request(format!("invalid value of {name}")))
        };
        let matching = match text("resourceVersionMatch") {
            None => None,
            Some("Exact") => Some(Match::Exact),
            Some("NotOlderThan") => Some(Match::NotOlderThan),
            Some(_) => {
                let why = "supported values: \"Exact\", \"NotOlderThan\"";
                return Err(Refusal::invalid_option("resourceVersionMatch", why));
            }
        };
        let limit = number("limit")?.filter(|limit| *limit > 0);
        let options = Options {
            filter: Filter {
                namespace: self.namespace.clone(),
                labels: selector::labels(text("labelSelector").unwrap_or_default())?,
                fields: selector::fields(self.kind, text("fieldSelector").unwrap_or_default())?,
            },
            revision: number("resourceVersion")?,
            matching,
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            resume: text("continue").map(str::to_owned),
            bookmarks: text("allowWatchBookmarks").is_some_and(is_true),
            initial_events: text("sendInitialEvents").map(is_true),
            timeout: number("timeoutSeconds")?.map(Duration::from_secs),
        };
        match self.verb {
            "watch" => options.check_watch()?,
            _ => options.check_list()?,
        }
        Ok(options)
    }
}

impl Options {
    fn check_watch(&self) -> Result<(), Refusal> {
        let refuse = |field, why| Err(Refusal::invalid_option(field, why));
        match (self.initial_events, self.matching) {
            (None, Some(_)) => refuse(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
            (Some(_), None | Some(Match::Exact)) => refuse(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            _ => Ok(()),
        }
    }

    fn check_list(&self) -> Result<(), Refusal> {
        let refuse = |field, why| Err(Refusal::invalid_option(field, why));
        if self.initial_events.is_some() {
            return refuse(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            );
        }
        match (self.matching, self.revision) {
            (Some(_), _) if self.resume.is_some() => refuse(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ),
            (Some(_), None) => refuse(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (Some(Match::Exact), Some(0)) => refuse(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            _ => Ok(()),
        }
    }
}
