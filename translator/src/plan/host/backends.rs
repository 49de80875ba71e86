//! What a backend or a mirror of a rule leads to: a cluster, or the reason why there is none.

use std::fmt;

use super::{Context, Upstream};
use crate::model::{BackendPort, Kind, ServiceKey, Target};
use crate::plan::hosts;
use crate::plan::{clusters, external_name};
use crate::policy::external_name::Refusal;
use crate::{ObjectId, ObjectKind, Reason};

/// Why a backend is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no Service.
    Unsupported,
    /// It is of another namespace, which has no grant for it.
    NotPermitted(ServiceKey),
    /// There is no such Service.
    NoService(ServiceKey),
    /// The Service has no such TCP port.
    NoPort(ServiceKey, BackendPort),
    /// The Service is an ExternalName that leads nowhere.
    ExternalName(ServiceKey, Refusal),
}

impl Refused {
    /// Whether the problem is one of the object alone, found while it was read.
    pub(crate) fn is_read_already(&self) -> bool {
        matches!(self, Refused::Unsupported)
    }

    /// The [`Reason`] of the problem.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Refused::Unsupported => Reason::UnsupportedBackend,
            Refused::NotPermitted(_) => Reason::RefNotPermitted,
            Refused::NoService(_) | Refused::NoPort(..) => Reason::BackendNotFound,
            Refused::ExternalName(_, refusal) => refusal.reason(),
        }
    }

    /// The reason of the condition `ResolvedRefs` (Gateway rule 49).
    pub(crate) fn condition(&self) -> &'static str {
        let reason = match self {
            Refused::Unsupported => Reason::InvalidKind,
            Refused::NotPermitted(_) => Reason::RefNotPermitted,
            Refused::NoService(_) | Refused::NoPort(..) | Refused::ExternalName(..) => {
                Reason::BackendNotFound
            }
        };
        reason.as_str()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unsupported => f.write_str("it is no Service"),
            Refused::NotPermitted(key) => {
                write!(
                    f,
                    "no ReferenceGrant in namespace {} allows it",
                    key.namespace
                )
            }
            Refused::NoService(key) => write!(f, "there is no Service {key}"),
            Refused::NoPort(key, BackendPort::Number(number)) => {
                write!(f, "Service {key} has no TCP port {number}")
            }
            Refused::NoPort(key, BackendPort::Name(name)) => {
                write!(f, "Service {key} has no TCP port of the name {name}")
            }
            Refused::ExternalName(key, refusal) => {
                write!(f, "Service {key} is of type ExternalName, and {refusal}")
            }
        }
    }
}

/// The cluster behind a backend or a mirror of an object.
///
/// # Errors
/// When the backend is not served.
pub(crate) fn resolve(
    context: &Context<'_>,
    from: &ObjectId,
    target: &Target,
) -> Result<Upstream, Refused> {
    let (key, port) = match target {
        Target::Service(key, port) => (key, port),
        Target::Unsupported(_) => return Err(Refused::Unsupported),
    };
    // Whether a Service exists is nobody's business who may not refer to it (Gateway rule 32).
    let to = (key.namespace.clone(), key.name.clone());
    if !context
        .index
        .routing()
        .is_granted(from, "", ObjectKind::Service.as_str(), &to)
    {
        return Err(Refused::NotPermitted(key.clone()));
    }
    let no_service = || Refused::NoService(key.clone());
    let no_port = || Refused::NoPort(key.clone(), port.clone());
    let service = context.index.service(key).ok_or_else(no_service)?;
    if matches!(service.kind, Kind::ExternalName(_)) {
        let upstream = external_name::upstream(context, service, port);
        return upstream.map_err(|refusal| match refusal {
            Some(refusal) => Refused::ExternalName(key.clone(), refusal),
            None => no_port(),
        });
    }
    let port = clusters::find(service, port).ok_or_else(no_port)?;
    Ok(clusters::upstream(service, port))
}

/// The cluster behind a backend or a mirror at mesh proxies: what the name of the Service leads to
/// there where no route is for it, so that no request is routed twice (Gateway rule 117). A client
/// may ask for any Service by its name, so no grant is needed (Gateway rule 115).
///
/// # Errors
/// When the backend is not served.
pub(crate) fn resolve_in_mesh(context: &Context<'_>, target: &Target) -> Result<Upstream, Refused> {
    let (key, port) = match target {
        Target::Service(key, port) => (key, port),
        Target::Unsupported(_) => return Err(Refused::Unsupported),
    };
    let service = context.index.service(key);
    let service = service.ok_or_else(|| Refused::NoService(key.clone()))?;
    let number = match port {
        BackendPort::Number(number) => Some(*number),
        BackendPort::Name(_) => clusters::find(service, port).map(|port| port.number),
    };
    let mut hosts = hosts::of_any(context, service).into_iter();
    if let Some(host) = hosts.find(|host| Some(host.port.number) == number) {
        return Ok(Upstream {
            cluster: host.cluster,
            hash: host.hash,
            hostname: host.rewrite,
        });
    }
    let refusal = match service.kind {
        Kind::ExternalName(_) => external_name::plan(context, service).refusal,
        _ => None,
    };
    Err(match refusal {
        Some(refusal) => Refused::ExternalName(key.clone(), refusal),
        None => Refused::NoPort(key.clone(), port.clone()),
    })
}
