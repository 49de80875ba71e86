//! Which ports of a Service take a route that has it as a parent (Gateway rules 115 and 116).

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{HTTPRoute, Kind, ParentRef, Service, ServiceKey, ServicePort};
use crate::policy::frontends::is_stream;

/// Why a Service takes no route by one of its parents. To clients the reason is always the same:
/// `NoMatchingParent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It is of type ExternalName.
    ExternalName,
    /// It is headless.
    Headless,
    /// It has no TCP port of the number and name that the route asks for.
    NoPort,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotTaken::ExternalName => "it is of type ExternalName",
            NotTaken::Headless => "it is headless",
            NotTaken::NoPort => "it has no TCP port of the number and name that the route asks for",
        })
    }
}

/// The Service that a route names as its parent, if that is what it names.
pub(crate) fn service_of(route: &HTTPRoute, parent: &ParentRef) -> Option<ServiceKey> {
    let namespace = parent.namespace.as_ref().unwrap_or(&route.namespace);
    parent.is_service().then(|| ServiceKey {
        namespace: namespace.clone(),
        name: parent.name.clone(),
    })
}

/// The ports of a Service that take a route by one of its parents.
///
/// # Errors
/// When there is none.
pub(crate) fn ports_of_parent<'s>(
    parent: &ParentRef,
    service: &'s Service,
) -> Result<Vec<&'s ServicePort>, NotTaken> {
    match service.kind {
        // A manifest that no API server has seen may say nothing of a cluster IP.
        Kind::ClusterIp | Kind::WithoutIp => {}
        Kind::Headless => return Err(NotTaken::Headless),
        Kind::ExternalName(_) => return Err(NotTaken::ExternalName),
    }
    let is_meant = |port: &&ServicePort| {
        is_stream(port)
            && parent.port.is_none_or(|number| number == port.number)
            && parent
                .section
                .as_ref()
                .is_none_or(|name| *name == port.name)
    };
    let ports: Vec<&ServicePort> = service.ports.iter().filter(is_meant).collect();
    match ports.is_empty() {
        true => Err(NotTaken::NoPort),
        false => Ok(ports),
    }
}

/// The ports of a Service that take a route by any of its parents, each once, by their numbers.
pub(crate) fn ports_of<'s>(route: &HTTPRoute, service: &'s Service) -> Vec<&'s ServicePort> {
    let parents = route.parents.iter();
    let parents = parents.filter(|parent| service_of(route, parent).as_ref() == Some(&service.key));
    let ports = parents.flat_map(|parent| ports_of_parent(parent, service).unwrap_or_default());
    let by_number: BTreeMap<_, _> = ports.map(|port| (port.number, port)).collect();
    by_number.into_values().collect()
}
