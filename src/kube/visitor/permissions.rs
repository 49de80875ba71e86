//! What Seaway's service account may do, by a review of the API server.

use axum::http::{Request, header};
use serde_json::{Value, json};

use super::{LIMIT, MAX_ANSWER, Visitor};
use crate::kube::client::within;
use crate::kube::wire::Failure;

/// A permission that is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permission {
    /// The API group.
    pub(crate) group: &'static str,
    /// The resource.
    pub(crate) resource: &'static str,
    /// The verb.
    pub(crate) verb: &'static str,
}

impl Visitor {
    /// Whether Seaway's service account has a permission, for the whole cluster; `None` if whoever
    /// asks may not know that.
    ///
    /// # Errors
    /// The API server does not answer.
    pub(crate) async fn may(&self, what: Permission) -> anyhow::Result<Option<bool>> {
        let namespace = &self.namespace;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{namespace}:seaway"),
                "groups": [
                    "system:serviceaccounts",
                    format!("system:serviceaccounts:{namespace}"),
                    "system:authenticated",
                ],
                "resourceAttributes": {
                    "group": what.group, "resource": what.resource, "verb": what.verb,
                },
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(&review)?)?;
        match within(LIMIT, self.client.whole(request, MAX_ANSWER)).await {
            Ok(text) => {
                let answer: Value = serde_json::from_slice(&text)?;
                Ok(answer["status"]["allowed"].as_bool())
            }
            Err(failure) if failure.is_forbidden() || failure.is_not_found() => Ok(None),
            Err(Failure::Refused { code: 405, .. }) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}
