//! What the server answers instead of what was asked for: a `Status` object.

use bytes::Bytes;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::object::Key;

/// A request that is not served.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) details: Value,
    /// `metadata.continue`: how a list whose token has expired may go on.
    pub(super) resume: Option<String>,
    /// Seconds.
    pub(super) retry_after: Option<u32>,
}

impl Refusal {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: json!({}),
            resume: None,
            retry_after: None,
        }
    }

    /// A status code as the real server words it.
    pub(super) fn of_code(code: u16) -> Self {
        let (reason, message) = match code {
            400 => ("BadRequest", "the request is not understood"),
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden"),
            404 => (
                "NotFound",
                "the server could not find the requested resource",
            ),
            409 => ("Conflict", "the object has been modified"),
            410 => ("Expired", "too old resource version"),
            429 => (
                "TooManyRequests",
                "Too many requests, please try again later.",
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => ("Timeout", "the request did not complete in time"),
            _ => ("InternalError", "Internal error occurred"),
        };
        Self::new(code, reason, message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A field of the query that may not be there, or not with this value.
    pub(super) fn invalid_option(field: &str, message: &str) -> Self {
        let text =
            format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {message}");
        Self {
            details: json!({
                "group": "meta.k8s.io", "kind": "ListOptions",
                "causes": [{
                    "reason": "FieldValueForbidden", "message": format!("Forbidden: {message}"), "field": field,
                }],
            }),
            ..Self::new(422, "Invalid", text)
        }
    }

    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// What is asked for is newer than anything there is.
    pub(super) fn too_large(asked: u64, current: u64) -> Self {
        let text = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self {
            details: json!({
                "retryAfterSeconds": 1,
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            }),
            retry_after: Some(1),
            ..Self::new(504, "Timeout", text)
        }
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let text = format!("{kind} {name:?} not found");
        Self::new(404, "NotFound", text).about(kind, name)
    }

    pub(super) fn exists(kind: &Kind, key: &Key) -> Self {
        let text = format!("{kind} {:?} already exists", key.1);
        Self::new(409, "AlreadyExists", text).about(kind, &key.1)
    }

    pub(super) fn conflict(kind: &Kind, key: &Key) -> Self {
        let text = format!(
            "Operation cannot be fulfilled on {kind} {:?}: the object has been modified; please apply your changes to the latest \
             version and try again",
            key.1
        );
        Self::new(409, "Conflict", text).about(kind, &key.1)
    }

    /// What RBAC refuses.
    pub(super) fn forbidden(kind: &Kind, verb: &str, namespace: Option<&str>, name: &str) -> Self {
        let place = match namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let text = format!(
            "{kind} is forbidden: User \"test\" cannot {verb} resource {:?} in API group {:?} {place}",
            kind.resource, kind.group
        );
        Self::new(403, "Forbidden", text).about(kind, name)
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"group": kind.group, "kind": kind.resource, "name": name});
        self
    }

    /// The `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut details = self.details.clone();
        if let (Some(seconds), Value::Object(details)) = (self.retry_after, &mut details) {
            details.insert("retryAfterSeconds".to_owned(), seconds.into());
        }
        let metadata = match &self.resume {
            Some(token) => json!({"continue": token}),
            None => json!({}),
        };
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": details, "code": self.code,
        })
    }

    /// The event that ends a watch.
    pub(super) fn event(&self) -> Bytes {
        let event = json!({"type": "ERROR", "object": self.status()});
        Bytes::from(format!("{event}\n"))
    }
}
