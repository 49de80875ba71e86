//! Verifies the client certificate and the token that a stream shows.

use std::sync::Arc;
use std::time::SystemTime;

use axum::http::HeaderMap;
use rustls::pki_types::CertificateDer;
use seaway_xds::{Authenticated, Caller, Identity};
use tonic::Status;

use super::certificate::Certificate;
use super::rule::{Proven, Rule, Who};
use super::{Permissions, granted};
use crate::kube::{Account, Refusal, Tokens};

/// The scheme of the header `authorization`, in lower case.
const SCHEME: &str = "bearer ";

/// Authenticates proxies by their certificates and tokens, and gives them the roles that rules
/// grant.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// The rules of `--allow-proxy`; at least one.
    pub(crate) rules: Vec<Rule>,
    /// Verifies tokens by TokenReview; `None` if tokens are not accepted.
    pub(crate) tokens: Option<Tokens>,
}

impl Verifier {
    /// Authenticates a stream.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a valid proof, PERMISSION_DENIED if no rule grants a role for it,
    /// UNAVAILABLE or RESOURCE_EXHAUSTED if it cannot be verified now.
    pub(crate) async fn verify(
        &self,
        caller: Caller<'_>,
    ) -> Result<Authenticated<Permissions>, Status> {
        let certificate = certificate(&caller.peer.certificates)?;
        let account = self.account(caller.headers).await?;
        let proven = proven(certificate.as_ref(), account.as_deref());
        if proven.is_empty() {
            return Err(Status::unauthenticated(self.missing()));
        }
        let grants = granted(&self.rules, &proven);
        if grants.is_empty() {
            let shown: Vec<_> = proven.iter().map(ToString::to_string).collect();
            return Err(Status::permission_denied(format!(
                "{} may not be a proxy of any role: no --allow-proxy says so",
                shown.join(", ")
            )));
        }
        let identity = identity(&proven, certificate.as_ref(), account.as_deref());
        Ok(Authenticated {
            permissions: Permissions::Some {
                name: identity.name.clone(),
                grants,
                account,
            },
            identity: Some(identity),
            inspects: false,
        })
    }

    /// Authenticates another replica, which has to be one of these.
    ///
    /// # Errors
    /// Those of [`Verifier::verify_one_of`].
    pub(crate) async fn verify_peer(
        &self,
        caller: Caller<'_>,
        peers: &[Who],
    ) -> Result<(), Status> {
        let what = "is no replica: no --allow-peer says so";
        let shown = (&*caller.peer.certificates, caller.headers);
        self.verify_one_of(shown, peers, what).await
    }

    /// Authenticates who shows this verified certificate, with those that lead to its authority,
    /// and these headers. It has to be one of `allowed`; `otherwise` is what is said of others.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a valid proof, PERMISSION_DENIED for somebody else, UNAVAILABLE or
    /// RESOURCE_EXHAUSTED if it cannot be verified now.
    pub(crate) async fn verify_one_of(
        &self,
        (certificates, headers): (&[CertificateDer<'static>], &HeaderMap),
        allowed: &[Who],
        otherwise: &str,
    ) -> Result<(), Status> {
        let certificate = certificate(certificates)?;
        let account = self.account(headers).await?;
        let proven = proven(certificate.as_ref(), account.as_deref());
        if proven.is_empty() {
            return Err(Status::unauthenticated(self.missing()));
        }
        let is_one = |proven: &Proven<'_>| allowed.iter().any(|who| who.node_of(*proven).is_some());
        if proven.iter().any(is_one) {
            return Ok(());
        }
        let shown: Vec<_> = proven.iter().map(ToString::to_string).collect();
        Err(Status::permission_denied(format!(
            "{} {otherwise}",
            shown.join(", ")
        )))
    }

    /// The error message for a stream without a proof.
    fn missing(&self) -> &'static str {
        match self.tokens {
            Some(_) => {
                "nothing proves who you are: send a service-account token (authorization: Bearer …) or a client certificate with a DNS or URI name"
            }
            None => "nothing proves who you are: show a client certificate with a DNS or URI name",
        }
    }

    /// The service account of the stream's token; `None` without a token, or where tokens are not
    /// accepted.
    async fn account(&self, headers: &HeaderMap) -> Result<Option<Arc<Account>>, Status> {
        let tokens = self.tokens.as_ref();
        let Some((tokens, header)) = tokens.zip(headers.get("authorization")) else {
            return Ok(None);
        };
        let token = header.to_str().ok().and_then(bearer);
        let token = token.ok_or_else(|| {
            Status::unauthenticated("the header authorization is not Bearer and a token")
        })?;
        let verified = tokens.verify(token).await;
        verified.map(Some).map_err(|refusal| {
            let text = refusal.to_string();
            match refusal {
                Refusal::Malformed(_) | Refusal::NotAccepted(_) => Status::unauthenticated(text),
                // What the API server said of Seaway is in the log, and nobody's business who is
                // not known.
                Refusal::Unavailable(_) => {
                    Status::unavailable("tokens cannot be verified now; try again later")
                }
                Refusal::Busy => Status::resource_exhausted(text),
            }
        })
    }
}

/// The token in a header's value; the scheme may be in upper or lower case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

fn certificate(shown: &[CertificateDer<'static>]) -> Result<Option<Certificate>, Status> {
    let leaf = shown.first();
    let read = leaf.map(|leaf| Certificate::read(leaf)).transpose();
    let unreadable = |error| Status::unauthenticated(format!("the client certificate: {error:#}"));
    read.map_err(unreadable)
}

/// The proven identities, the most specific first, which names the proxy: a token says more than a
/// certificate that a whole fleet may share.
pub(super) fn proven<'a>(
    certificate: Option<&'a Certificate>,
    account: Option<&'a Account>,
) -> Vec<Proven<'a>> {
    let account = account.map(|account| Proven::ServiceAccount {
        namespace: &account.namespace,
        name: &account.name,
        node: account.node.as_ref(),
    });
    let uris = certificate.iter().flat_map(|shown| &shown.uris);
    let dns = certificate.iter().flat_map(|shown| &shown.dns);
    account
        .into_iter()
        .chain(uris.map(|uri| Proven::Uri(uri)))
        .chain(dns.map(|name| Proven::Dns(name)))
        .collect()
}

/// The identity of one proxy: pods of a service account get names of their own where their tokens
/// name them, and one principal.
pub(super) fn identity(
    proven: &[Proven<'_>],
    certificate: Option<&Certificate>,
    account: Option<&Account>,
) -> Identity {
    let principal = proven.first().map(ToString::to_string).unwrap_or_default();
    let pod = account.and_then(|account| account.pod.as_ref());
    let name = match pod {
        Some(pod) => format!("{principal} (pod {pod})"),
        None => principal.clone(),
    };
    let ends: [Option<SystemTime>; 2] = [
        certificate.map(|shown| shown.expires),
        account.map(|account| account.expires),
    ];
    Identity {
        name: name.into(),
        principal: principal.into(),
        kind: if account.is_some() {
            "token"
        } else {
            "certificate"
        },
        expires: ends.into_iter().flatten().min(),
        revoked: account.map(|account| account.revoked.clone()),
    }
}
