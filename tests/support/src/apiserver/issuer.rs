//! Tokens of service accounts, as kubelets mount them into pods, and TokenReviews that know them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::ApiServer;

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// What a token says.
#[derive(Clone, Debug)]
pub struct TokenClaims {
    account: (String, String),
    audience: String,
    node: Option<String>,
    pod: Option<String>,
    lifetime: Duration,
}

impl TokenClaims {
    /// A token of an hour, bound to nothing.
    pub fn new(namespace: &str, name: &str, audience: &str) -> Self {
        Self {
            account: (namespace.to_owned(), name.to_owned()),
            audience: audience.to_owned(),
            node: None,
            pod: None,
            lifetime: Duration::from_secs(3600),
        }
    }

    /// Bound to a pod on a node.
    #[must_use]
    pub fn pod(mut self, pod: &str, node: &str) -> Self {
        self.pod = Some(pod.to_owned());
        self.node = Some(node.to_owned());
        self
    }

    /// Expires after so long.
    #[must_use]
    pub fn lives(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The token: a JWT with a signature that says nothing.
    fn text(&self, number: usize, expires: Duration) -> String {
        let (namespace, name) = &self.account;
        let mut bound =
            json!({"namespace": namespace, "serviceaccount": {"name": name, "uid": "u-sa"}});
        for (key, object) in [("pod", &self.pod), ("node", &self.node)] {
            if let Some(object) = object {
                bound[key] = json!({"name": object, "uid": format!("u-{object}")});
            }
        }
        let claims = json!({
            "aud": [self.audience], "exp": expires.as_secs(), "iss": "https://kubernetes.default.svc",
            "jti": number.to_string(), "kubernetes.io": bound, "sub": self.username(),
        });
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let header = part(r#"{"alg":"RS256","kid":"test"}"#);
        let signature = part(&format!("signature {number}"));
        format!("{header}.{}.{signature}", part(&claims.to_string()))
    }

    fn username(&self) -> String {
        let (namespace, name) = &self.account;
        format!("system:serviceaccount:{namespace}:{name}")
    }

    fn user(&self) -> Value {
        let mut extra = json!({"authentication.kubernetes.io/credential-id": ["JTI=test"]});
        for (key, object) in [("pod", &self.pod), ("node", &self.node)] {
            if let Some(object) = object {
                extra[format!("authentication.kubernetes.io/{key}-name")] = json!([object]);
                extra[format!("authentication.kubernetes.io/{key}-uid")] =
                    json!([format!("u-{object}")]);
            }
        }
        let groups = ["system:serviceaccounts", "system:authenticated"];
        json!({"username": self.username(), "uid": "u-sa", "groups": groups, "extra": extra})
    }
}

/// Issues tokens and answers for them; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Issuer(Arc<Mutex<Issued>>);

#[derive(Debug, Default)]
struct Issued {
    /// By token, with when it expires; those that are revoked are gone.
    valid: BTreeMap<String, (Duration, TokenClaims)>,
    count: usize,
}

impl Issuer {
    /// A new token, like no other.
    pub fn issue(&self, claims: &TokenClaims) -> String {
        let mut issued = self.issued();
        issued.count += 1;
        let expires = since_epoch() + claims.lifetime;
        let text = claims.text(issued.count, expires);
        issued.valid.insert(text.clone(), (expires, claims.clone()));
        text
    }

    /// Nobody vouches for it any longer, as when its pod is gone.
    pub fn revoke(&self, token: &str) {
        self.issued().valid.remove(token);
    }

    fn issued(&self) -> MutexGuard<'_, Issued> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A TokenReview with its status.
    fn review(&self, mut review: Value) -> Value {
        let token = review["spec"]["token"].as_str().unwrap_or_default();
        let issued = self.issued();
        let valid = issued.valid.get(token);
        let asked = review["spec"]["audiences"].as_array();
        let meant = |claims: &TokenClaims| {
            asked.is_some_and(|asked| asked.iter().any(|asked| *asked == claims.audience))
        };
        review["status"] = match valid {
            Some((expires, claims)) if *expires > since_epoch() && meant(claims) => json!({
                "authenticated": true, "user": claims.user(), "audiences": [claims.audience],
            }),
            Some((expires, _)) if *expires <= since_epoch() => {
                json!({"user": {}, "error": "[invalid bearer token, service account token has expired]"})
            }
            Some(_) => {
                json!({"user": {}, "error": "[invalid bearer token, token audiences is invalid for the target audiences]"})
            }
            None => {
                json!({"user": {}, "error": "[invalid bearer token, service account token has been invalidated]"})
            }
        };
        review
    }
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

impl ApiServer {
    /// Answers TokenReviews for the tokens of this issuer, and refuses all others, from now on.
    pub fn issuer(&self) -> Issuer {
        let issuer = Issuer::default();
        let answers = issuer.clone();
        self.review(PATH, move |review| answers.review(review));
        issuer
    }
}
