//! What an API server sends, taken apart as far as it is the same for all resources: pages of lists and lines of watches.

use std::borrow::Cow;
use std::time::Duration;

use kube::core::Status;
use kube::core::response::StatusCause;
use serde::Deserialize;
use serde_json::value::RawValue;

/// By this annotation a bookmark says that everything there was has been sent (KEP-3157).
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// Why a server refuses a version that it has not reached.
const AHEAD: &str = "ResourceVersionTooLarge";

/// Why a list or a watch failed.
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
}

impl Failure {
    /// What was asked for is too old: only a new list helps.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Failure::Refused { code: 410, .. })
    }
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
            message: status.message,
            after: after.map(|seconds| Duration::from_secs(seconds.into())),
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Failure {
        match error {
            kube::Error::Api(status) => (*status).into(),
            error => Failure::Unreachable(chain(&error)),
        }
    }
}

impl From<kube::core::request::Error> for Failure {
    fn from(error: kube::core::request::Error) -> Failure {
        Failure::Unreachable(error.to_string())
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

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub items: Vec<&'a RawValue>,
    /// From which version to watch, once all pages are read.
    pub version: String,
    /// How to ask for the next page.
    pub token: Option<String>,
}

impl Page<'_> {
    pub(super) fn parse(text: &[u8]) -> Result<Page<'_>, Failure> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(default)]
            metadata: Metadata,
            #[serde(borrow)]
            items: Option<Vec<&'a RawValue>>,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            resource_version: Option<String>,
            r#continue: Option<String>,
        }
        let list: List<'_> = serde_json::from_slice(text).map_err(garbled)?;
        let version = list.metadata.resource_version.unwrap_or_default();
        if version.is_empty() {
            return Err(Failure::Garbled("a list without resourceVersion".into()));
        }
        Ok(Page {
            items: list.items.unwrap_or_default(),
            version,
            token: list.metadata.r#continue.filter(|token| !token.is_empty()),
        })
    }
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
    pub(super) fn parse(text: &[u8]) -> Result<Line<'_>, Failure> {
        #[derive(Deserialize)]
        struct Event<'a> {
            r#type: Cow<'a, str>,
            #[serde(borrow)]
            object: &'a RawValue,
        }
        let event: Event<'_> = serde_json::from_slice(text).map_err(garbled)?;
        match &*event.r#type {
            "ADDED" | "MODIFIED" => Ok(Line::Applied(event.object)),
            "DELETED" => Ok(Line::Deleted(event.object)),
            "BOOKMARK" => bookmark(event.object),
            "ERROR" => {
                let status = serde_json::from_str::<Status>(event.object.get()).map_err(garbled)?;
                Ok(Line::Failed(status.into()))
            }
            other => Err(Failure::Garbled(format!("an event of type {other:?}"))),
        }
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
        resource_version: String,
        #[serde(borrow)]
        annotations: Option<std::collections::BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    }
    let Bookmark { metadata } = serde_json::from_str(object.get()).map_err(garbled)?;
    let annotations = metadata.annotations.unwrap_or_default();
    let initial_end = annotations
        .get(INITIAL_END)
        .is_some_and(|value| value == "true");
    Ok(Line::Bookmark {
        version: metadata.resource_version,
        initial_end,
    })
}

fn garbled(error: serde_json::Error) -> Failure {
    Failure::Garbled(error.to_string())
}
