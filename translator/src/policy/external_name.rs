//! What one externalName says: which names are refused, and what the rest mean (Service rules 121
//! to 125, 127).
//!
//! A name of the cluster itself is not looked up in DNS: it is an alias of another Service.

use std::fmt;
use std::sync::Arc;

use crate::model::{Kind, Service, ServiceKey};
use crate::names::is_label;
use crate::{ExternalNamePolicy, Options, Reason};

/// Names that lead to the proxy's own host or to the cloud's metadata whatever the resolver says
/// (Service rule 124). Addresses are no names to begin with.
const REFUSED: &[&str] = &[
    "localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
    "metadata.google.internal",
];

/// One step: what an externalName says.
pub(crate) enum Step<'a> {
    /// A name outside of the cluster.
    Dns(&'a Arc<str>),
    /// A Service of the same namespace, whether it exists or not.
    Service(ServiceKey),
}

/// Why it leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The name is never one outside of the cluster.
    NeverOutside(Arc<str>),
    /// `--external-name` does not allow the name.
    NotAllowed(Arc<str>),
    /// The name is that of a Service of another namespace.
    OtherNamespace(Arc<str>),
    /// A name of the cluster, but of no Service.
    NoService(Arc<str>),
    /// The aliases lead back to this Service.
    Loop(ServiceKey),
    /// There are more aliases in a row than this.
    TooLong(usize),
    /// An alias of a Service that is not served.
    NotServed(ServiceKey),
    /// An alias of a Service whose own name is unusable.
    Unusable(ServiceKey),
}

impl Refusal {
    /// The reason as a word.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Refusal::NeverOutside(_)
            | Refusal::NotAllowed(_)
            | Refusal::OtherNamespace(_)
            | Refusal::NoService(_) => Reason::ExternalNameRefused,
            Refusal::Loop(_) | Refusal::TooLong(_) => Reason::ExternalNameLoop,
            Refusal::NotServed(_) | Refusal::Unusable(_) => Reason::ExternalNameUnresolved,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NeverOutside(name) => {
                write!(f, "{name} is never a name outside of the cluster")
            }
            Refusal::NotAllowed(name) => write!(f, "--external-name does not allow {name}"),
            Refusal::OtherNamespace(name) => {
                write!(f, "{name} is a Service of another namespace")
            }
            Refusal::NoService(name) => {
                write!(
                    f,
                    "{name} is a name of the cluster but not that of a Service"
                )
            }
            Refusal::Loop(key) => write!(f, "the aliases lead back to Service {key}"),
            Refusal::TooLong(most) => write!(f, "more than {most} aliases in a row"),
            Refusal::NotServed(key) => {
                write!(f, "it is an alias of Service {key}, which is not served")
            }
            Refusal::Unusable(key) => {
                write!(
                    f,
                    "it is an alias of Service {key}, whose own name is unusable"
                )
            }
        }
    }
}

/// The Service of which this one is an alias, if it is one; whether that exists or not.
pub(crate) fn alias_of(service: &Service, options: &Options) -> Option<ServiceKey> {
    match step(service, options)? {
        Ok(Step::Service(key)) => Some(key),
        Ok(Step::Dns(_)) | Err(_) => None,
    }
}

/// Reads one externalName. `None` when there is none that could be read.
pub(crate) fn step<'a>(
    service: &'a Service,
    options: &Options,
) -> Option<Result<Step<'a>, Refusal>> {
    let Kind::ExternalName(Some(name)) = &service.kind else {
        return None;
    };
    if REFUSED.contains(&&**name) || name.ends_with(".localhost") {
        return Some(Err(Refusal::NeverOutside(name.clone())));
    }
    if !allowed(name, options) {
        return Some(Err(Refusal::NotAllowed(name.clone())));
    }
    let Some(rest) = cluster_name(name, options) else {
        return Some(Ok(Step::Dns(name)));
    };
    let mut labels = rest.split('.');
    match (labels.next(), labels.next(), labels.next()) {
        (Some(target), Some(namespace), None) if is_label(target) => {
            if namespace != &*service.key.namespace {
                return Some(Err(Refusal::OtherNamespace(name.clone())));
            }
            Some(Ok(Step::Service(ServiceKey {
                namespace: namespace.into(),
                name: target.into(),
            })))
        }
        _ => Some(Err(Refusal::NoService(name.clone()))),
    }
}

/// What stands before `.svc.<cluster domain>` or a final `.svc`, which the search list of a pod
/// would complete; for other names of the cluster's domain the whole name, which is no Service.
fn cluster_name<'a>(name: &'a str, options: &Options) -> Option<&'a str> {
    if let Some(rest) = name.strip_suffix(".svc") {
        return Some(rest);
    }
    let domain = options.cluster_domain.as_str();
    let rest = name.strip_suffix(domain)?;
    if rest.is_empty() {
        return Some("");
    }
    let rest = rest.strip_suffix('.')?;
    // Anything but one Service of one namespace has the wrong number of labels and is refused.
    Some(rest.strip_suffix(".svc").unwrap_or(""))
}

fn allowed(name: &str, options: &Options) -> bool {
    match &options.external_name {
        ExternalNamePolicy::Mesh | ExternalNamePolicy::All => true,
        ExternalNamePolicy::None => false,
        ExternalNamePolicy::Suffixes(suffixes) => suffixes.iter().any(|suffix| {
            let rest = name.strip_suffix(suffix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }),
    }
}
