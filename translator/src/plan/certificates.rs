//! The filter chains of a port with TLS: which names are served with which certificates, and why
//! the others are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::Context;
use super::host::Table;
pub(crate) use crate::index::routing::ListenerId;
use crate::index::routing::{Entry, Key};
use crate::model::{Certificate, Hostname, KeyAlgorithm};
use crate::{Fleet, ObjectId, ObjectKind, Problem, Reason, read};

/// Why a certificate is not served (Gateway rules 32, 35 and 36).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateRefusal {
    /// It is no Secret.
    Unsupported,
    /// It is in another namespace, which has no grant for it.
    NotPermitted(Key),
    /// There is no such Secret, or none that may be read.
    NoSecret(Key),
    /// The Secret has no certificate that could be served.
    Unusable(Key, Arc<str>),
    /// Another certificate of the listener, which comes before it, has a key of the same kind.
    SameAlgorithm(Key, Key),
}

impl CertificateRefusal {
    /// Whether the problem is one of the object alone, found while it was read.
    pub(crate) fn is_read_already(&self) -> bool {
        matches!(self, CertificateRefusal::Unsupported)
    }

    /// The [`Reason`] of the problem, which is that of the condition `ResolvedRefs`.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            CertificateRefusal::NotPermitted(_) => Reason::RefNotPermitted,
            _ => Reason::InvalidCertificateRef,
        }
    }
}

impl fmt::Display for CertificateRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateRefusal::Unsupported => f.write_str(read::NOT_A_SECRET),
            CertificateRefusal::NotPermitted((namespace, name)) => write!(
                f,
                "no ReferenceGrant in namespace {namespace} allows Secret {namespace}/{name}"
            ),
            CertificateRefusal::NoSecret((namespace, name)) => {
                write!(f, "there is no Secret {namespace}/{name} that may be read")
            }
            CertificateRefusal::Unusable((namespace, name), why) => {
                write!(f, "Secret {namespace}/{name} cannot be served: {why}")
            }
            CertificateRefusal::SameAlgorithm((namespace, name), (other, first)) => write!(
                f,
                "Secret {namespace}/{name} has the same kind of key as {other}/{first}, which is \
                 served; the names are served partially"
            ),
        }
    }
}

/// The certificate of a Secret that an object names.
///
/// # Errors
/// When it is not served.
pub(crate) fn certificate<'a>(
    context: &Context<'a>,
    by: &ObjectId,
    key: &Key,
) -> Result<&'a Certificate, CertificateRefusal> {
    let routing = context.index.routing();
    // Whether what is forbidden exists is nobody's business.
    if !routing.is_granted(by, "", ObjectKind::Secret.as_str(), key) {
        return Err(CertificateRefusal::NotPermitted(key.clone()));
    }
    let secret = routing.secret(key);
    let secret = secret.ok_or_else(|| CertificateRefusal::NoSecret(key.clone()))?;
    let certificate = secret.certificate.as_ref();
    certificate.map_err(|why| CertificateRefusal::Unusable(key.clone(), why.clone()))
}

/// Which of the certificates that an object names for one listener are served, in their order: of
/// two with the same kind of key Envoy could not choose by that (Gateway rule 36).
pub(crate) fn served<'k>(
    context: &Context<'_>,
    by: &ObjectId,
    keys: impl IntoIterator<Item = &'k Key>,
) -> Vec<Result<&'k Key, CertificateRefusal>> {
    let mut first: BTreeMap<KeyAlgorithm, &Key> = BTreeMap::new();
    let mut judge = |key: &'k Key| {
        let certificate = certificate(context, by, key)?;
        match first.get(&certificate.algorithm) {
            Some(other) if **other == *key => Ok(key),
            Some(other) => Err(CertificateRefusal::SameAlgorithm(
                key.clone(),
                (*other).clone(),
            )),
            None => {
                first.insert(certificate.algorithm, key);
                Ok(key)
            }
        }
    };
    keys.into_iter().map(&mut judge).collect()
}

/// The problem with a certificate that an object names in this field, if there is one.
pub(crate) fn problem(
    context: &Context<'_>,
    by: &ObjectId,
    field: String,
    verdict: &Result<Key, CertificateRefusal>,
) -> Option<Problem> {
    match verdict {
        Err(refusal) if refusal.is_read_already() => None,
        Err(refusal) => {
            let message = refusal.to_string();
            Some(Problem::error(by, field, refusal.reason(), message))
        }
        Ok(key) => {
            let secret = context.index.routing().secret(key)?;
            let message = "the Secret is not of the type kubernetes.io/tls";
            let reason = Reason::InvalidCertificateRef;
            (!secret.is_tls).then(|| Problem::warning(by, field, reason, message))
        }
    }
}

/// The problem with a certificate that is served for hosts for which it is not; `field` names the
/// hosts, or the certificate.
pub(crate) fn mismatch<'h>(
    context: &Context<'_>,
    (by, field): (&ObjectId, String),
    verdict: &Result<Key, CertificateRefusal>,
    hosts: impl IntoIterator<Item = &'h Hostname>,
) -> Option<Problem> {
    let key = verdict.as_ref().ok()?;
    let certificate = certificate(context, by, key).ok()?;
    let message = misfit(key, certificate, hosts)?;
    let reason = Reason::CertificateMismatch;
    Some(Problem::warning(
        by,
        field,
        reason,
        format!("{message}: clients that check it refuse it"),
    ))
}

/// Says for which of these hosts a certificate is not, in words; `None`: it is for all of them.
pub(crate) fn misfit<'h>(
    (namespace, name): &Key,
    certificate: &Certificate,
    hosts: impl IntoIterator<Item = &'h Hostname>,
) -> Option<String> {
    if certificate.names.len() >= read::CERTIFICATE_NAMES {
        // There may be more than are kept.
        return None;
    }
    let fits = |host: &Hostname| certificate.names.iter().any(|name| is_for(name, host));
    let mut others = hosts.into_iter().filter(|host| !fits(host));
    let first = others.next()?;
    let rest = match others.count() {
        0 => String::new(),
        rest => format!(", nor for {rest} more"),
    };
    let names = match &*certificate.names {
        [] => "no host name".to_owned(),
        [first] => first.to_string(),
        [first, second] => format!("{first} and {second}"),
        [first, rest @ ..] => format!("{first} and {} more names", rest.len()),
    };
    Some(format!(
        "the certificate of Secret {namespace}/{name} is for {names} and not for {first}{rest}"
    ))
}

/// Says of each certificate that is served for a host why it is not for it; `None`: one of them is,
/// or there is none.
pub(crate) fn misfits(
    context: &Context<'_>,
    by: &ObjectId,
    verdicts: &[Result<Key, CertificateRefusal>],
    host: &Hostname,
) -> Option<Vec<String>> {
    let each = verdicts.iter().flatten().map(|key| {
        let certificate = certificate(context, by, key).ok()?;
        misfit(key, certificate, [host])
    });
    let each: Option<Vec<String>> = each.collect();
    each.filter(|why| !why.is_empty())
}

/// Whether a name of a certificate is good for a host, or for some of a wildcard's: a `*` is one
/// label.
fn is_for(name: &str, host: &Hostname) -> bool {
    let below = name.strip_prefix("*.");
    match host {
        Hostname::Any => true,
        Hostname::Exact(host) => match below {
            None => *name == **host,
            Some(below) => host.split_once('.').is_some_and(|(_, rest)| rest == below),
        },
        Hostname::Wildcard(suffix) => {
            let is_below = |name: &str| {
                let rest = name.strip_suffix(&**suffix);
                rest.is_some_and(|rest| rest.ends_with('.'))
            };
            below.is_some_and(|below| *below == **suffix || is_below(below)) || is_below(name)
        }
    }
}

/// The fleets for which a host name is claimed with a Secret, by an object that may use it. No
/// other fleet is sent the certificate.
pub(crate) fn fleets_with<'a>(context: &Context<'a>, key: &Key) -> BTreeSet<&'a Fleet> {
    let routing = context.index.routing();
    let users = routing.secret_users(key);
    let claims = users.filter_map(|user| Some((user, routing.claims_with(user, key)?)));
    let granted = claims.filter(|(user, _)| certificate(context, user, key).is_ok());
    granted.map(|(_, fleet)| fleet).collect()
}

/// A filter chain: names that are served with the same certificates by the same listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChainPlan<'a> {
    /// Whose requests they are.
    pub listener: &'a ListenerId,
    /// The Secrets of the certificates. Without one the connections are closed, so that nobody is
    /// shown the certificate of a wider name (Gateway rule 36, Service rule 143).
    pub secrets: Vec<&'a Key>,
    /// The names, or [`Hostname::Any`] alone for those that no other chain has.
    pub names: BTreeSet<&'a Hostname>,
}

/// How the names of a port are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served<'a> {
    /// The filter chains, in an order that depends on nothing else.
    pub chains: Vec<ChainPlan<'a>>,
    /// What Envoy asks for by the name, for which one chain more is enough. `None`: there is no
    /// such chain.
    pub on_demand: Option<OnDemand<'a>>,
}

/// The exact names with certificates on demand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnDemand<'a> {
    /// All of them.
    pub names: Vec<&'a Arc<str>>,
    /// Those of them that a wider name covers, whose chain would have them.
    pub covered: Vec<&'a Arc<str>>,
    /// Whether there are others, or names that wait for their certificates.
    pub has_others: bool,
}

/// The names of a port with TLS, each in a chain of its certificates.
pub(crate) fn in_chains<'a>(context: &Context<'a>, table: &Table) -> Served<'a> {
    let mut chains = Chains::default();
    for (host, claim) in held(context, table) {
        chains.add(host, claim, secrets_of(context, claim));
    }
    Served {
        chains: chains.plans(),
        on_demand: None,
    }
}

/// The same with certificates on demand (Gateway rule 109). In chains of their own are wildcards,
/// names with two certificates, between which the client decides, and those without a good one
/// that would else be shown the certificate of a wider name.
pub(crate) fn on_demand<'a>(context: &Context<'a>, table: &Table) -> Served<'a> {
    let held: Vec<_> = held(context, table).collect();
    let wide = held.iter().map(|(host, _)| *host);
    let wide: BTreeSet<&Hostname> = wide
        .filter(|host| !matches!(host, Hostname::Exact(_)))
        .collect();
    let mut chains = Chains::default();
    let mut on_demand = OnDemand::default();
    for (host, claim) in held {
        let secrets = secrets_of(context, claim);
        let is_covered = is_covered(host, &wide);
        match (host, secrets.len()) {
            (Hostname::Exact(name), 1) => {
                on_demand.names.push(name);
                on_demand.covered.extend(is_covered.then_some(name));
                on_demand.has_others |= !is_covered;
            }
            // It is closed because there is no secret of its name.
            (Hostname::Exact(_), 0) if !is_covered => on_demand.has_others = true,
            _ => chains.add(host, claim, secrets),
        }
    }
    Served {
        chains: chains.plans(),
        on_demand: Some(on_demand),
    }
}

/// Whether a wider name than the host itself is served.
fn is_covered(host: &Hostname, wide: &BTreeSet<&Hostname>) -> bool {
    !wide.is_empty() && host.covering().skip(1).any(|wider| wide.contains(&wider))
}

/// Whether certificates of a port may be asked for by host names: a name says nothing of the port,
/// so at one of a fleet's, the one of all Ingresses and of the Gateways that share their address.
pub(crate) fn has_certificates_on_demand(context: &Context<'_>, table: &Table) -> bool {
    *table == Table::https(&table.fleet, context.options)
}

/// The certificate that is a secret under the name of a host, if it has exactly one.
pub(crate) fn by_name<'a>(
    context: &Context<'a>,
    table: &Table,
    host: &Hostname,
) -> Option<&'a Certificate> {
    let is_exact = matches!(host, Hostname::Exact(_));
    if !is_exact || !has_certificates_on_demand(context, table) {
        return None;
    }
    let claim = context.index.routing().hosts(table)?.holder(host)?;
    match secrets_of(context, claim)[..] {
        [key] => certificate(context, &claim.age.object(), key).ok(),
        _ => None,
    }
}

/// The host names of a port for which certificates are claimed, each with the claim that has it.
fn held<'a>(
    context: &Context<'a>,
    table: &Table,
) -> impl Iterator<Item = (&'a Hostname, &'a Entry)> {
    let hosts = context.index.routing().hosts(table);
    hosts.into_iter().flat_map(|hosts| hosts.held())
}

/// Filter chains that are being put together.
#[derive(Default)]
struct Chains<'a>(BTreeMap<(&'a ListenerId, Vec<&'a Key>, bool), BTreeSet<&'a Hostname>>);

impl<'a> Chains<'a> {
    fn add(&mut self, host: &'a Hostname, claim: &'a Entry, secrets: Vec<&'a Key>) {
        // A chain for all names has no others: they would lose to wider ones.
        let is_any = *host == Hostname::Any;
        let names = self.0.entry((&claim.listener, secrets, is_any));
        names.or_default().insert(host);
    }

    fn plans(self) -> Vec<ChainPlan<'a>> {
        let chain = |((listener, secrets, _), names)| ChainPlan {
            listener,
            secrets,
            names,
        };
        self.0.into_iter().map(chain).collect()
    }
}

/// The Secrets with which a claim of a host name is served.
fn secrets_of<'a>(context: &Context<'a>, claim: &'a Entry) -> Vec<&'a Key> {
    of_claim(context, claim).0
}

/// The Secrets with which a claim of a host name is served, and why the others are not.
pub(crate) fn of_claim<'a>(
    context: &Context<'a>,
    claim: &'a Entry,
) -> (Vec<&'a Key>, Vec<CertificateRefusal>) {
    let by = claim.age.object();
    let (mut secrets, mut refused) = (Vec::new(), Vec::new());
    for verdict in served(context, &by, &*claim.certificates) {
        match verdict {
            Ok(key) => secrets.push(key),
            Err(why) => refused.push(why),
        }
    }
    secrets.dedup();
    (secrets, refused)
}
