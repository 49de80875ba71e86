//! Sends a TokenReview (`authentication.k8s.io/v1`) and judges the answer: is the token one of a
//! service account?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo};
use kube::api::{PostParams, Request};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::token::Token;
use crate::kube::client::{Client, within};
use crate::kube::wire::{Failure, parse};
use crate::process::outside::quote;

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
/// How long the API server may take for a TokenReview.
const LIMIT: Duration = Duration::from_secs(5);
/// The prefix of the user names of service accounts.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// The user's `extra` keys that name the node and the pod that a token is bound to (KEP-4193).
const NODE: &str = "authentication.kubernetes.io/node-name";
const POD: &str = "authentication.kubernetes.io/pod-name";
/// The largest answer, in bytes. It has the question again, and a user with its groups.
const MAX_ANSWER: usize = 1 << 20;

/// The service account that a token belongs to, with the node and the pod that it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub node: Option<Arc<str>>,
    pub pod: Option<Arc<str>>,
}

/// The API server's verdict on a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted(Identity),
    /// Refused, with the reason.
    Refused(String),
}

/// Sends a TokenReview. Neither the verdict nor an error contains the token.
///
/// # Errors
/// The API server did not answer, or not this question.
pub(super) async fn review(
    client: &Client,
    token: &Token,
    audience: &str,
) -> Result<Verdict, Failure> {
    let token = token.text.expose_secret();
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    });
    let body = review.to_string().into_bytes();
    let request = Request::new(PATH).create(&PostParams::default(), body)?;
    let answer = within(LIMIT, client.whole(request, MAX_ANSWER)).await;
    match answer.and_then(|text| read(&text, audience)) {
        Ok(Verdict::Refused(why)) => Ok(Verdict::Refused(without(&why, token))),
        Ok(accepted) => Ok(accepted),
        Err(Failure::Garbled(why)) => Err(Failure::Garbled(without(&why, token))),
        Err(Failure::Foreign(why)) => Err(Failure::Foreign(without(&why, token))),
        Err(Failure::Refused {
            code,
            message,
            after,
        }) => Err(Failure::Refused {
            code,
            message: without(&message, token),
            after,
        }),
        Err(failure) => Err(failure),
    }
    .map_err(|failure| failure.at(&client.place(PATH)))
}

fn read(text: &[u8], audience: &str) -> Result<Verdict, Failure> {
    /// A TokenReview of which only the status is decoded.
    #[derive(Deserialize)]
    struct Answer {
        status: TokenReviewStatus,
    }
    let answer: Answer = parse(text, "authentication.k8s.io/v1", "TokenReview")?;
    Ok(judge(answer.status, audience))
}

fn judge(status: TokenReviewStatus, audience: &str) -> Verdict {
    if status.authenticated != Some(true) {
        let why = status.error.filter(|why| !why.is_empty());
        return Verdict::Refused(why.unwrap_or_else(|| "no reason given".to_owned()));
    }
    // A server that does not know of audiences vouches for a token of any.
    if !status
        .audiences
        .unwrap_or_default()
        .contains(&audience.to_owned())
    {
        let why = format!("the API server does not confirm the audience {audience:?}");
        return Verdict::Refused(why);
    }
    let user = status.user.unwrap_or_default();
    match identify(&user) {
        Some(identity) => Verdict::Accepted(identity),
        None => {
            let user = user.username.unwrap_or_default();
            Verdict::Refused(format!("the user {user:?} is not a service account"))
        }
    }
}

fn identify(user: &UserInfo) -> Option<Identity> {
    let account = user.username.as_deref()?.strip_prefix(SERVICE_ACCOUNT)?;
    let (namespace, name) = account.split_once(':')?;
    if namespace.is_empty() || name.is_empty() || name.contains(':') {
        return None;
    }
    let empty = BTreeMap::new();
    let extra = user.extra.as_ref().unwrap_or(&empty);
    // Several values would leave open which one holds.
    let bound = |key| match extra.get(key).map(Vec::as_slice) {
        Some([one]) if !one.is_empty() => Some(one.as_str().into()),
        _ => None,
    };
    Some(Identity {
        namespace: namespace.into(),
        name: name.into(),
        node: bound(NODE),
        pod: bound(POD),
    })
}

/// A reason fit for logs: one line of bounded length, without the token or its signature.
fn without(reason: &str, token: &str) -> String {
    // A token that is cut off in the middle of its signature begins like any.
    let (mut first, mut last) = (token.split('.'), token.rsplit('.'));
    let parts = [first.next(), last.next()];
    if parts
        .into_iter()
        .flatten()
        .any(|part| reason.contains(part))
    {
        return "(a reason that repeats the token)".to_owned();
    }
    quote(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn accepted() -> Value {
        json!({
            "authenticated": true, "audiences": ["seaway"],
            "user": {"username": "system:serviceaccount:shop:envoy", "groups": ["system:authenticated"], "extra": {NODE: ["n1"], POD: ["p"]}},
        })
    }

    fn verdict(change: impl FnOnce(&mut Value)) -> Verdict {
        let mut status = accepted();
        change(&mut status);
        let answer = json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status});
        read(answer.to_string().as_bytes(), "seaway").unwrap()
    }

    #[test]
    fn a_service_account_is_known_with_the_node_that_its_token_is_bound_to() {
        let identity = |verdict| match verdict {
            Verdict::Accepted(identity) => identity,
            Verdict::Refused(why) => panic!("{why}"),
        };
        let bound = identity(verdict(|_| {}));
        assert_eq!((&*bound.namespace, &*bound.name), ("shop", "envoy"));
        assert_eq!(bound.node.as_deref(), Some("n1"));
        assert_eq!(bound.pod.as_deref(), Some("p"));
        for extra in [
            json!(null),
            json!({}),
            json!({NODE: []}),
            json!({NODE: [""]}),
            json!({NODE: ["n1", "n2"]}),
        ] {
            let unbound = identity(verdict(|status| status["user"]["extra"] = extra));
            assert_eq!(unbound.node, None);
        }
    }

    #[test]
    fn whoever_is_not_a_service_account_of_this_audience_is_refused() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 9] = [
            (
                |s| *s = json!({"authenticated": false, "error": "gone"}),
                "gone",
            ),
            (|s| s["authenticated"] = json!(false), "no reason given"),
            (|s| *s = json!({}), "no reason given"),
            (|s| s["audiences"] = json!(null), "audience"),
            (
                |s| s["audiences"] = json!(["https://kubernetes.default.svc"]),
                "audience",
            ),
            (|s| s["user"] = json!(null), "not a service account"),
            (
                |s| s["user"]["username"] = json!("kubernetes-admin"),
                "not a service account",
            ),
            (
                |s| s["user"]["username"] = json!("system:serviceaccount:shop:"),
                "not a service account",
            ),
            (
                |s| s["user"]["username"] = json!("system:serviceaccount:a:b:c"),
                "not a service account",
            ),
        ];
        for (change, reason) in cases {
            match verdict(change) {
                Verdict::Refused(why) => assert!(why.contains(reason), "{why}"),
                accepted => panic!("{accepted:?}"),
            }
        }
    }

    #[test]
    fn an_answer_to_something_else_is_no_verdict() {
        let review = |status: Value| {
            let review = json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status});
            review.to_string()
        };
        for text in [
            "",
            "null",
            &review(json!(7)),
            &review(json!({"authenticated": "yes"})),
        ] {
            assert!(
                matches!(read(text.as_bytes(), "seaway"), Err(Failure::Garbled(_))),
                "{text}"
            );
        }
        let mut other = json!({"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": accepted()});
        let said = other.to_string();
        other["kind"] = Value::Null;
        for text in ["{}", r#"{"status": 7}"#, &said, &other.to_string()] {
            assert!(
                matches!(read(text.as_bytes(), "seaway"), Err(Failure::Foreign(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_reason_is_one_line_without_the_token() {
        let token = "aaaa.bbbb.cccc";
        assert_eq!(without("bad\ntoken\0", token), "bad token ");
        assert!(!without(&format!("bad {token}"), token).contains("cccc"));
        assert!(!without("signature cccc", token).contains("cccc"));
        assert!(!without("it begins with {\"token\": \"aaaa.bbbb.cc", token).contains("cc"));
        let long = without(&"ü".repeat(1000), token);
        assert!(
            long.len() < 420 && long.ends_with("… (2000 bytes)"),
            "{long}"
        );
    }
}
