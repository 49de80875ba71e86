//! ExternalName Services: which names are refused, and where the rest lead (Service rules 121 to 125, 127).
//!
//! A name of the cluster itself is not looked up in DNS but followed here: it is an alias of another Service.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::index::Index;
use crate::model::{Kind, Service, ServiceKey};
use crate::names::is_label;
use crate::{ExternalNamePolicy, Options, Problem, Reason};

/// How many aliases in a row are followed.
const MAX_DEPTH: usize = 8;

/// Names that lead to the proxy's own host or to the cloud's metadata whatever the resolver says (Service rule 124). Addresses are no
/// names to begin with.
const REFUSED: &[&str] = &[
    "localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
    "metadata.google.internal",
];

/// Where an ExternalName Service leads in the end.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// To a name outside of the cluster.
    Dns(Arc<str>),
    /// To another Service.
    Service(Arc<Service>),
}

/// One step: what an externalName says.
enum Step<'a> {
    Dns(&'a Arc<str>),
    Service(ServiceKey),
}

/// Why it leads nowhere.
type Refusal = (Reason, String);

/// The Service of which this one is an alias, if it is one; whether that exists or not.
pub(crate) fn alias_of(service: &Service, options: &Options) -> Option<ServiceKey> {
    match step(service, options)? {
        Ok(Step::Service(key)) => Some(key),
        Ok(Step::Dns(_)) | Err(_) => None,
    }
}

/// Follows an ExternalName to its end. `None`: the name itself is unusable, which its reading has reported.
pub(crate) fn resolve(
    service: &Service,
    index: &Index,
    options: &Options,
) -> Option<Result<Target, Problem>> {
    let problem = |(reason, message): Refusal| {
        Problem::error(
            format!("Service {}", service.key),
            "spec.externalName",
            reason,
            message,
        )
    };
    follow(service, index, options).map(|end| end.map_err(problem))
}

fn follow(service: &Service, index: &Index, options: &Options) -> Option<Result<Target, Refusal>> {
    let mut seen = BTreeSet::from([service.key.clone()]);
    let mut next = step(service, options)?;
    loop {
        let key = match next {
            Ok(Step::Dns(name)) => return Some(Ok(Target::Dns(name.clone()))),
            Ok(Step::Service(key)) => key,
            Err(refusal) => return Some(Err(refusal)),
        };
        if !seen.insert(key.clone()) {
            let message = format!("the aliases lead back to Service {key}");
            return Some(Err((Reason::ExternalNameLoop, message)));
        }
        if seen.len() > MAX_DEPTH + 1 {
            let message = format!("more than {MAX_DEPTH} aliases in a row");
            return Some(Err((Reason::ExternalNameLoop, message)));
        }
        let unresolved = |why: &str| {
            let message = format!("it is an alias of Service {key}, {why}");
            Some(Err((Reason::ExternalNameUnresolved, message)))
        };
        let Some(target) = index.service(&key) else {
            return unresolved("which is not served");
        };
        if !matches!(target.kind, Kind::ExternalName(_)) {
            return Some(Ok(Target::Service(target.clone())));
        }
        let Some(step) = step(target, options) else {
            return unresolved("whose own name is unusable");
        };
        next = step;
    }
}

/// Reads one externalName. `None` when there is none that could be read.
fn step<'a>(service: &'a Service, options: &Options) -> Option<Result<Step<'a>, Refusal>> {
    let Kind::ExternalName(Some(name)) = &service.kind else {
        return None;
    };
    let refuse = |message: String| Some(Err((Reason::ExternalNameRefused, message)));
    if REFUSED.contains(&&**name) || name.ends_with(".localhost") {
        return refuse(format!("{name} is never a name outside of the cluster"));
    }
    if !allowed(name, options) {
        return refuse(format!("--external-name does not allow {name}"));
    }
    let Some(rest) = cluster_name(name, options) else {
        return Some(Ok(Step::Dns(name)));
    };
    let mut labels = rest.split('.');
    match (labels.next(), labels.next(), labels.next()) {
        (Some(target), Some(namespace), None) if is_label(target) => {
            if namespace != &*service.key.namespace {
                return refuse(format!("{name} is a Service of another namespace"));
            }
            Some(Ok(Step::Service(ServiceKey {
                namespace: namespace.into(),
                name: target.into(),
            })))
        }
        _ => refuse(format!(
            "{name} is a name of the cluster but not that of a Service"
        )),
    }
}

/// What stands before `.svc.<cluster domain>` or a final `.svc`, which the search list of a pod would complete; for other names of
/// the cluster's domain the whole name, which is no Service.
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
