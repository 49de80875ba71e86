//! The meaning of one `spec.externalName`: refused, an alias of a Service, or a DNS name (Service
//! rules 121 to 125, 127).
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

/// The target of one externalName, before the aliases behind it are followed.
pub(crate) enum Step<'a> {
    /// A DNS name outside of the Kubernetes cluster.
    Dns(&'a Arc<str>),
    /// A Service, whether it exists or not; one of another namespace has to allow it.
    Service(ServiceKey),
}

/// The reason why a Service of type ExternalName leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The name is that of the host itself or of a metadata service, such as `localhost`.
    NeverOutside(Arc<str>),
    /// `--external-name` does not allow the name.
    NotAllowed(Arc<str>),
    /// The name is that of a Service of another namespace.
    OtherNamespace(Arc<str>),
    /// The name lies in the cluster's domain but is not that of a Service.
    NoService(Arc<str>),
    /// The aliases lead back to this Service.
    Loop(ServiceKey),
    /// There are more aliases in a row than this.
    TooLong(usize),
    /// The name is an alias of a Service that does not exist or is not served.
    NotServed(ServiceKey),
    /// The name is an alias of an ExternalName Service whose own name is invalid.
    Unusable(ServiceKey),
}

impl Refusal {
    /// The [`Reason`] under which this refusal is reported as a problem.
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
                write!(
                    f,
                    "{name} is a Service of another namespace, where no ReferenceGrant allows it"
                )
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

/// The Service of which this one is an alias by its externalName, whether that exists or not.
pub(crate) fn alias_of(service: &Service, options: &Options) -> Option<ServiceKey> {
    match step(service, options)? {
        Ok(Step::Service(key)) => Some(key),
        Ok(Step::Dns(_)) | Err(_) => None,
    }
}

/// Reads one externalName. `None`: the Service has no valid one.
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
            Some(Ok(Step::Service(ServiceKey {
                namespace: namespace.into(),
                name: target.into(),
            })))
        }
        _ => Some(Err(Refusal::NoService(name.clone()))),
    }
}

/// The part of a name before `.svc.<cluster domain>` or a final `.svc`, which a pod's search list
/// would complete; empty for any other name in the cluster's domain, and `None` for a name outside
/// of it.
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
