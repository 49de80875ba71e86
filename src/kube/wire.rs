//! What an API server sends, taken apart as far as it is the same for all resources: pages of lists and lines of watches.
//!
//! A list that is none must never count as an empty one (invariant 2), so all of them have to be of the kind that was asked for. API
//! servers say it of everything but the items of a list.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use kube::core::Status;
use kube::core::response::StatusCause;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::resource::Resource;

/// By this annotation a bookmark says that everything there was has been sent (KEP-3157).
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// Why a server refuses a version that it has not reached.
const AHEAD: &str = "ResourceVersionTooLarge";

/// Of what others say, in bytes, where it is quoted.
const MAX_QUOTE: usize = 400;

/// Why a list or a watch failed. No text of it is longer than a few lines, whatever came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// There is no connection, or no longer.
    #[error("{0}")]
    Unreachable(String),
    /// The server said no.
    #[error("the API server answers {code}: {message}")]
    Refused {
        code: u16,
        message: String,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// Nothing came for too long.
    #[error("silent for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// What came is not what an API server sends.
    #[error("unreadable answer: {0}")]
    Garbled(String),
    /// What came can be read, but is something else than what was asked for; or it is not an API server that answered.
    #[error("not what was asked for: {0}")]
    Foreign(String),
    /// The server is at an earlier version than it has been before: it was restored from a backup.
    #[error("{0}")]
    Reversed(String),
    /// A list that goes on and on.
    #[error("{0}")]
    Endless(String),
}

impl Failure {
    /// What was asked for is too old: only a new list helps.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self,
            Failure::Refused { code: 410, .. } | Failure::Reversed(_)
        )
    }

    /// With where it came from, where that matters.
    pub(super) fn at(self, place: &str) -> Failure {
        match self {
            Failure::Garbled(what) => Failure::Garbled(format!("{what} (from {place})")),
            Failure::Foreign(what) => Failure::Foreign(format!("{what} (from {place})")),
            Failure::Endless(what) => Failure::Endless(format!("{what} (from {place})")),
            other => other,
        }
    }
}

/// The beginning of what somebody else says, in one line.
pub(super) fn quote(text: &str) -> String {
    let mut end = text.len().min(MAX_QUOTE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text[..end].chars().map(shown).collect()
}

/// The same of bytes, of which nobody knows whether they are text.
pub(super) fn quote_bytes(bytes: &[u8]) -> String {
    let beginning = &bytes[..bytes.len().min(MAX_QUOTE)];
    quote(&String::from_utf8_lossy(beginning))
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        let details = status.details.as_ref();
        let seconds = details.map(|details| details.retry_after_seconds);
        let after = seconds.filter(|seconds| *seconds > 0);
        // What is expired is gone, whichever way it is put. So is what the server has yet to reach: it was restored.
        let ahead = |cause: &StatusCause| cause.reason == AHEAD;
        let ahead = details.is_some_and(|details| details.causes.iter().any(ahead));
        let (code, after) = match status.reason.as_str() {
            "Expired" | "Gone" => (410, after),
            _ if ahead => (410, None),
            _ => (status.code, after),
        };
        Failure::Refused {
            code,
            message: quote(&status.message),
            after: after.map(|seconds| Duration::from_secs(seconds.into())),
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Failure {
        match error {
            kube::Error::Api(status) => (*status).into(),
            error => Failure::Unreachable(quote(&chain(&error))),
        }
    }
}

impl From<kube::core::request::Error> for Failure {
    fn from(error: kube::core::request::Error) -> Failure {
        Failure::Unreachable(quote(&error.to_string()))
    }
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// What an object says that it is.
#[derive(Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "apiVersion")]
    api_version: Option<Cow<'a, str>>,
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, &self.api_version) {
            (Some(kind), Some(version)) => write!(f, "{} of {}", quote(kind), quote(version)),
            (Some(kind), None) => write!(f, "{} without an apiVersion", quote(kind)),
            (None, _) => f.write_str("something without a kind"),
        }
    }
}

impl Kind<'_> {
    /// Whether it says nothing of the sort, as items of lists do.
    pub(super) fn is_silent(&self) -> bool {
        self.kind.is_none() && self.api_version.is_none()
    }

    /// # Errors
    /// It is something else.
    pub(super) fn expect(&self, api_version: &str, kind: &str) -> Result<(), Failure> {
        let (said, version) = (self.kind.as_deref(), self.api_version.as_deref());
        if (said, version) == (Some(kind), Some(api_version)) {
            return Ok(());
        }
        let what = format!("{self} instead of {kind} of {api_version}");
        Err(Failure::Foreign(what))
    }
}

/// Whether an object begins with what it is, as API servers write it: then nobody has to look for that in all of it.
pub(super) fn begins_with(text: &[u8], api_version: &str, kind: &str) -> bool {
    let rest = text.strip_prefix(b"{\"kind\":\"");
    let rest = rest.and_then(|rest| rest.strip_prefix(kind.as_bytes()));
    let rest = rest.and_then(|rest| rest.strip_prefix(b"\",\"apiVersion\":\""));
    let rest = rest.and_then(|rest| rest.strip_prefix(api_version.as_bytes()));
    rest.is_some_and(|rest| rest.starts_with(b"\""))
}

/// Reads a whole answer of a kind.
///
/// # Errors
/// It cannot be read, or is of another kind.
pub(super) fn parse<'a, T: Deserialize<'a>>(
    text: &'a [u8],
    api_version: &str,
    kind: &str,
) -> Result<T, Failure> {
    let garbled = |error: serde_json::Error| {
        let (why, beginning) = (quote(&error.to_string()), quote_bytes(text));
        Failure::Garbled(format!("{why}; it begins with {beginning:?}"))
    };
    if !begins_with(text, api_version, kind) {
        let said: Kind<'_> = serde_json::from_slice(text).map_err(garbled)?;
        said.expect(api_version, kind)
            .map_err(|failure| explained(failure, text))?;
    }
    serde_json::from_slice(text).map_err(garbled)
}

/// With what a `Status` says.
fn explained(failure: Failure, text: &[u8]) -> Failure {
    match (failure, serde_json::from_slice::<Status>(text)) {
        (Failure::Foreign(what), Ok(status)) if !status.message.is_empty() => {
            Failure::Foreign(format!("{what}: {}", quote(&status.message)))
        }
        (failure, _) => failure,
    }
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub items: Vec<&'a RawValue>,
    /// From which version to watch, once all pages are read.
    pub version: String,
    /// How to ask for the next page.
    pub token: Option<String>,
    /// What it took, in bytes.
    pub size: usize,
}

impl Page<'_> {
    pub(super) fn parse(text: &[u8], resource: Resource) -> Result<Page<'_>, Failure> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(default)]
            metadata: Metadata,
            #[serde(borrow, deserialize_with = "items")]
            items: Vec<&'a RawValue>,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            resource_version: Option<String>,
            r#continue: Option<String>,
        }
        let kind = format!("{}List", resource.kind_name());
        let list: List<'_> = parse(text, resource.api_version(), &kind)?;
        Ok(Page {
            items: list.items,
            version: version(list.metadata.resource_version, &kind)?,
            token: list.metadata.r#continue.filter(|token| !token.is_empty()),
            size: text.len(),
        })
    }
}

/// The items of a list: there may be none, which is `null` with some servers, but they are not left out.
fn items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    let items = Option::<Vec<&'de RawValue>>::deserialize(deserializer)?;
    Ok(items.unwrap_or_default())
}

/// A version that a watch can go on from. By 0, or without one, a server is asked for whatever it has, and tells nothing of what is
/// gone by then.
pub(super) fn version(said: Option<String>, of: &str) -> Result<String, Failure> {
    let said = said.filter(|version| !version.is_empty() && version != "0");
    said.ok_or_else(|| Failure::Garbled(format!("{of} without a resourceVersion")))
}

/// A line of a watch.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// The object appeared or changed.
    Applied(&'a RawValue),
    /// The object is gone.
    Deleted(&'a RawValue),
    /// Everything up to this version has been sent.
    Bookmark { version: String, initial_end: bool },
    /// The watch is over.
    Failed(Failure),
}

impl Line<'_> {
    pub(super) fn parse(text: &[u8], resource: Resource) -> Result<Line<'_>, Failure> {
        #[derive(Deserialize)]
        struct Event<'a> {
            #[serde(borrow)]
            r#type: Cow<'a, str>,
            #[serde(borrow)]
            object: &'a RawValue,
        }
        let event: Event<'_> = serde_json::from_slice(text).map_err(|error| {
            let (why, beginning) = (quote(&error.to_string()), quote_bytes(text));
            Failure::Garbled(format!("{why}; it begins with {beginning:?}"))
        })?;
        let object = event.object;
        match &*event.r#type {
            "ADDED" | "MODIFIED" => expect(object, resource).map(|()| Line::Applied(object)),
            "DELETED" => expect(object, resource).map(|()| Line::Deleted(object)),
            "BOOKMARK" => expect(object, resource).and_then(|()| bookmark(object)),
            "ERROR" => {
                let status = serde_json::from_str::<Status>(object.get());
                let status = status.map_err(|error| Failure::Garbled(quote(&error.to_string())))?;
                Ok(Line::Failed(status.into()))
            }
            other => Err(Failure::Garbled(format!(
                "an event of type {:?}",
                quote(other)
            ))),
        }
    }
}

/// What can say nothing of its kind, since it is not even an object, is found out later.
fn expect(object: &RawValue, resource: Resource) -> Result<(), Failure> {
    let (api_version, kind) = (resource.api_version(), resource.kind_name());
    if begins_with(object.get().as_bytes(), api_version, kind) {
        return Ok(());
    }
    match serde_json::from_str::<Kind<'_>>(object.get()) {
        Ok(said) => said.expect(api_version, kind),
        Err(_) => Ok(()),
    }
}

fn bookmark(object: &RawValue) -> Result<Line<'_>, Failure> {
    #[derive(Deserialize)]
    struct Bookmark<'a> {
        #[serde(borrow)]
        metadata: Metadata<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata<'a> {
        resource_version: Option<String>,
        #[serde(borrow)]
        annotations: Option<std::collections::BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    }
    let read = serde_json::from_str(object.get());
    let Bookmark { metadata } =
        read.map_err(|error| Failure::Garbled(quote(&error.to_string())))?;
    let annotations = metadata.annotations.unwrap_or_default();
    let initial_end = annotations
        .get(INITIAL_END)
        .is_some_and(|value| value == "true");
    Ok(Line::Bookmark {
        version: version(metadata.resource_version, "a bookmark")?,
        initial_end,
    })
}
