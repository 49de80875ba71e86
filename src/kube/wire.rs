//! Decodes what all resources of an API server have in common: pages of lists, lines of watches,
//! errors.
//!
//! An answer that is not a list must never count as an empty one (invariant 2), so all of them have
//! to be of the kind that was asked for. API servers name the kind of everything but the items of a
//! list.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use kube::core::Status;
use kube::core::response::StatusCause;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::resource::Resource;
use crate::process::outside::{quote, quote_bytes};

/// The annotation of a bookmark that ends the initial events of a streaming list (KEP-3157).
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// The cause by which a server refuses a resourceVersion that it has not reached.
const AHEAD: &str = "ResourceVersionTooLarge";

/// Why a request, a list or a watch failed. No message is longer than a few lines, whatever came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// There is no connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// The server answered with an error.
    #[error("the API server answers {code}: {message}")]
    Refused {
        code: u16,
        message: String,
        /// How long it asks to be left alone (`Retry-After`).
        after: Option<Duration>,
    },
    /// Nothing came for too long.
    #[error("nothing received for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// The answer cannot be decoded.
    #[error("the response cannot be decoded: {0}")]
    Garbled(String),
    /// The answer can be decoded, but is something else than what was asked for, or not from an API
    /// server.
    #[error("unexpected response: {0}")]
    Foreign(String),
    /// The server is at an earlier resourceVersion than before: it was restored from a backup.
    #[error("{0}")]
    Reversed(String),
    /// A list has more pages, objects or bytes than any list may have.
    #[error("{0}")]
    Endless(String),
}

impl Failure {
    /// Whether the resourceVersion is too old or lost (410), so that only a new list helps.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self,
            Failure::Refused { code: 410, .. } | Failure::Reversed(_)
        )
    }

    /// Whether there is nothing at the path that was asked for (404).
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Failure::Refused { code: 404, .. })
    }

    /// Whether somebody else was faster: the object is at another resourceVersion, or exists (409).
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Failure::Refused { code: 409, .. })
    }

    /// Whether a permission is missing (403).
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Failure::Refused { code: 403, .. })
    }

    /// The failure without what it quotes of an answer, which may have a private key.
    pub(super) fn unquoted(self) -> Failure {
        const HIDDEN: &str = "it is not quoted, since it may have secrets";
        match self {
            Failure::Garbled(_) => Failure::Garbled(HIDDEN.to_owned()),
            Failure::Foreign(_) => Failure::Foreign(HIDDEN.to_owned()),
            other => other,
        }
    }

    /// The failure with the URL that it came from, where that matters.
    pub(super) fn at(self, place: &str) -> Failure {
        match self {
            Failure::Garbled(what) => Failure::Garbled(format!("{what} (from {place})")),
            Failure::Foreign(what) => Failure::Foreign(format!("{what} (from {place})")),
            Failure::Endless(what) => Failure::Endless(format!("{what} (from {place})")),
            other => other,
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        let details = status.details.as_ref();
        let seconds = details.map(|details| details.retry_after_seconds);
        let after = seconds.filter(|seconds| *seconds > 0);
        // What is expired is gone, whichever way it is put. So is what the server has yet to reach:
        // it was restored.
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

/// An error with its causes; those that repeat what was said are left out.
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

/// The `kind` and `apiVersion` of an object.
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
            (None, _) => f.write_str("an object without a kind"),
        }
    }
}

impl Kind<'_> {
    /// Whether both are missing, as in items of lists.
    pub(super) fn is_silent(&self) -> bool {
        self.kind.is_none() && self.api_version.is_none()
    }

    /// Checks for a kind.
    ///
    /// # Errors
    /// It is another one, or none.
    pub(super) fn expect(&self, api_version: &str, kind: &str) -> Result<(), Failure> {
        let (said, version) = (self.kind.as_deref(), self.api_version.as_deref());
        if (said, version) == (Some(kind), Some(api_version)) {
            return Ok(());
        }
        let what = format!("{self} instead of {kind} of {api_version}");
        Err(Failure::Foreign(what))
    }
}

/// Whether an object's text begins with this kind and version, as API servers write it, so that it
/// need not be decoded to tell.
pub(super) fn begins_with(text: &[u8], api_version: &str, kind: &str) -> bool {
    let rest = text.strip_prefix(b"{\"kind\":\"");
    let rest = rest.and_then(|rest| rest.strip_prefix(kind.as_bytes()));
    let rest = rest.and_then(|rest| rest.strip_prefix(b"\",\"apiVersion\":\""));
    let rest = rest.and_then(|rest| rest.strip_prefix(api_version.as_bytes()));
    rest.is_some_and(|rest| rest.starts_with(b"\""))
}

/// Decodes a whole answer of a kind.
///
/// # Errors
/// It cannot be decoded, or is of another kind.
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

/// Adds the message of a `Status` to a failure.
fn explained(failure: Failure, text: &[u8]) -> Failure {
    match (failure, serde_json::from_slice::<Status>(text)) {
        (Failure::Foreign(what), Ok(status)) if !status.message.is_empty() => {
            Failure::Foreign(format!("{what}: {}", quote(&status.message)))
        }
        (failure, _) => failure,
    }
}

/// A page of a list, with its items not yet decoded.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub items: Vec<&'a RawValue>,
    /// The list's resourceVersion, from which to watch once all pages are read.
    pub version: String,
    /// The `continue` token for the next page.
    pub token: Option<String>,
    /// The size of its text, in bytes.
    pub size: usize,
}

impl Page<'_> {
    pub(super) fn parse(text: &[u8], resource: Resource) -> Result<Page<'_>, Failure> {
        /// A list of any kind, with its items not yet decoded.
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(default)]
            metadata: Metadata,
            #[serde(borrow, deserialize_with = "items")]
            items: Vec<&'a RawValue>,
        }
        /// The `metadata` of a list.
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

/// Decodes the items of a list. They may be `null`, as some servers write an empty list, but not
/// missing.
fn items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    let items = Option::<Vec<&'de RawValue>>::deserialize(deserializer)?;
    Ok(items.unwrap_or_default())
}

/// A resourceVersion that a watch can go on from. With 0, or without one, a server sends whatever
/// it has, and nothing of what is gone by then.
pub(super) fn version(said: Option<String>, of: &str) -> Result<String, Failure> {
    let said = said.filter(|version| !version.is_empty() && version != "0");
    said.ok_or_else(|| Failure::Garbled(format!("{of} without a resourceVersion")))
}

/// A line of a watch: an event with its object not yet decoded.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// The object appeared or changed.
    Applied(&'a RawValue),
    /// The object is gone.
    Deleted(&'a RawValue),
    /// All changes up to this resourceVersion have been sent.
    Bookmark { version: String, initial_end: bool },
    /// The watch is over.
    Failed(Failure),
}

impl Line<'_> {
    pub(super) fn parse(text: &[u8], resource: Resource) -> Result<Line<'_>, Failure> {
        /// An event of a watch, with its object not yet decoded.
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
                "a watch event of type {:?}",
                quote(other)
            ))),
        }
    }
}

/// Checks the kind of an event's object. What is not even an object is found out later.
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
    /// The object of a bookmark.
    #[derive(Deserialize)]
    struct Bookmark<'a> {
        #[serde(borrow)]
        metadata: Metadata<'a>,
    }
    /// The `metadata` of a bookmark's object.
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
