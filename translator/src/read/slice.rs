//! Reads an EndpointSlice from its API object.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::api as k8s;
use jiff::Timestamp;

use super::report::{self, Report};
use super::value;
use crate::model::{Condition, Endpoint, EndpointSlice, Family, ServiceKey, SlicePort};
use crate::names::{is_label, is_subdomain};
use crate::{ObjectId, ObjectKind, Problem, Reason};

/// The label with the name of the Service to which a slice belongs.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label of the slices of headless Services.
const HEADLESS: &str = "service.kubernetes.io/headless";
/// The annotation with the time of the change that caused the slice's last update.
const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// Reads an EndpointSlice, with the problems found on the way.
pub(super) fn read(slice: &k8s::EndpointSlice) -> Result<EndpointSlice, Problem> {
    let meta = &slice.metadata;
    let kind = ObjectKind::EndpointSlice.as_str();
    let namespace: Arc<str> = report::namespace(kind, meta.namespace.as_deref())?.into();
    let name: Arc<str> = report::name(kind, &namespace, meta.name.as_deref())?.into();
    let mut report = Report::new(ObjectId::of_slice(&namespace, &name));
    let service = service(slice, &namespace, &mut report);
    // Nothing in a slice without a Service means anything, so nothing in it is wrong either.
    let family = service.as_ref().and_then(|_| family(slice, &mut report));
    let (ports, endpoints) = match family {
        Some(family) => (
            ports(slice, &mut report),
            endpoints(slice, family, &mut report),
        ),
        None => Default::default(),
    };
    let changed = value::annotation(meta, LAST_CHANGE).and_then(|t| t.parse::<Timestamp>().ok());
    Ok(EndpointSlice {
        namespace,
        name,
        service,
        headless: value::label(meta, HEADLESS).is_some(),
        changed: changed.map_or(i64::MIN, Timestamp::as_microsecond),
        ports: ports.into(),
        endpoints: endpoints.into(),
        problems: report.finish(),
    })
}

/// The Service to which the slice belongs, by its label (Service rule 36).
fn service(slice: &k8s::EndpointSlice, namespace: &str, report: &mut Report) -> Option<ServiceKey> {
    let name = value::label(&slice.metadata, SERVICE_NAME).filter(|name| !name.is_empty())?;
    if !is_label(name) {
        let message = format!("{name:?} is not the name of a Service");
        let field = format!("metadata.labels[{SERVICE_NAME}]");
        report.error(field, Reason::InvalidName, message);
        return None;
    }
    Some(ServiceKey {
        namespace: namespace.into(),
        name: name.into(),
    })
}

/// The IP family of the slice's addresses; host names have no meaning for Services (Service rule
/// 38).
fn family(slice: &k8s::EndpointSlice, report: &mut Report) -> Option<Family> {
    match slice.address_type.as_str() {
        "IPv4" => return Some(Family::V4),
        "IPv6" => return Some(Family::V6),
        "FQDN" => {
            let message = "endpoints of type FQDN have no meaning for Services and are ignored";
            report.error("addressType", Reason::UnsupportedAddressType, message);
        }
        other => {
            let message = format!("{other:?} is none of IPv4, IPv6, FQDN");
            report.error("addressType", Reason::InvalidValue, message);
        }
    }
    None
}

fn ports(slice: &k8s::EndpointSlice, report: &mut Report) -> Vec<SlicePort> {
    let ports = slice.ports.iter().flatten().enumerate();
    ports
        .filter_map(|(i, port)| slice_port(i, port, report))
        .collect()
}

/// Reads one port. A port without a name matches no Service port (Service rule 40), one without a
/// number leads nowhere (rule 41).
fn slice_port(i: usize, port: &k8s::EndpointPort, report: &mut Report) -> Option<SlicePort> {
    let field = |name: &str| format!("ports[{i}].{name}");
    let Some(name) = port.name.as_deref() else {
        let message =
            "a port without a name is ignored; write name: \"\" for a Service's unnamed port";
        report.error(field("name"), Reason::InvalidPort, message);
        return None;
    };
    let Some(number) = port.port.and_then(value::port) else {
        let message = match port.port {
            Some(number) => format!("{number} is not a port number"),
            None => "a port without a number gives no endpoints".to_owned(),
        };
        report.error(field("port"), Reason::InvalidPort, message);
        return None;
    };
    let Some(protocol) = value::protocol(port.protocol.as_deref()) else {
        let message = format!(
            "{:?} is none of TCP, UDP, SCTP",
            port.protocol.as_deref().unwrap_or_default()
        );
        report.error(field("protocol"), Reason::InvalidValue, message);
        return None;
    };
    Some(SlicePort {
        name: name.into(),
        protocol,
        number,
    })
}

fn endpoints(slice: &k8s::EndpointSlice, family: Family, report: &mut Report) -> Vec<Endpoint> {
    let mut names = Names::default();
    let endpoints = slice.endpoints.iter().flatten().enumerate();
    endpoints
        .filter_map(|(i, endpoint)| read_endpoint(i, endpoint, family, &mut names, report))
        .collect()
}

fn read_endpoint(
    i: usize,
    endpoint: &k8s::Endpoint,
    family: Family,
    names: &mut Names,
    report: &mut Report,
) -> Option<Endpoint> {
    // Only the first address counts (Service rule 39).
    let Some(text) = endpoint.addresses.iter().flatten().next() else {
        report.error(
            format!("endpoints[{i}].addresses"),
            Reason::InvalidAddress,
            "it has none",
        );
        return None;
    };
    let Some(ip) = value::ip(text).filter(|ip| Family::of(*ip) == family) else {
        let message = format!("{text:?} is not an {family} address");
        report.error(
            format!("endpoints[{i}].addresses[0]"),
            Reason::InvalidAddress,
            message,
        );
        return None;
    };
    let (condition, terminating) = condition(endpoint.conditions.as_ref());
    let hints = endpoint.hints.as_ref();
    let zones = hints.and_then(|h| h.for_zones.as_ref());
    let nodes = hints.and_then(|h| h.for_nodes.as_ref());
    Some(Endpoint {
        index: u32::try_from(i).ok()?,
        ip,
        condition,
        terminating,
        hostname: hostname(i, endpoint, report),
        node: node_name(i, endpoint, names, report),
        zone: endpoint.zone.as_deref().and_then(|zone| names.get(zone)),
        zone_hints: names.set(zones.into_iter().flatten().map(|z| z.name.as_str())),
        node_hints: names.set(nodes.into_iter().flatten().map(|n| n.name.as_str())),
    })
}

/// The name of an endpoint's pod (Service rule 129).
fn hostname(i: usize, endpoint: &k8s::Endpoint, report: &mut Report) -> Option<Arc<str>> {
    let name = endpoint
        .hostname
        .as_deref()
        .filter(|name| !name.is_empty())?;
    if !is_label(name) {
        let message =
            format!("{name:?} is not the name of a pod, by which the endpoint is not found");
        let field = format!("endpoints[{i}].hostname");
        report.warning(field, Reason::InvalidValue, message);
        return None;
    }
    Some(name.into())
}

/// The condition of an endpoint, and whether it is terminating. Service rule 44: unset `ready` and
/// `serving` mean true, unset `terminating` means false. A ready endpoint is trusted whatever its
/// other conditions are (rule 50).
fn condition(conditions: Option<&k8s::EndpointConditions>) -> (Condition, bool) {
    let ready = conditions.and_then(|c| c.ready).unwrap_or(true);
    let serving = conditions.and_then(|c| c.serving).unwrap_or(true);
    let terminating = conditions.and_then(|c| c.terminating).unwrap_or(false);
    let condition = match (ready, serving && terminating) {
        (true, _) => Condition::Ready,
        (false, true) => Condition::ServingTerminating,
        (false, false) => Condition::Unusable,
    };
    (condition, terminating)
}

fn node_name(
    i: usize,
    endpoint: &k8s::Endpoint,
    names: &mut Names,
    report: &mut Report,
) -> Option<Arc<str>> {
    let name = endpoint
        .node_name
        .as_deref()
        .filter(|name| !name.is_empty())?;
    if is_subdomain(name) {
        return names.get(name);
    }
    let message = format!("{name:?} is not the name of a Node; the endpoint is local to none");
    report.warning(
        format!("endpoints[{i}].nodeName"),
        Reason::InvalidName,
        message,
    );
    None
}

/// The node and zone names of one slice, each stored once: most endpoints share them.
#[derive(Default)]
struct Names(BTreeSet<Arc<str>>);

impl Names {
    fn get(&mut self, name: &str) -> Option<Arc<str>> {
        if name.is_empty() {
            return None;
        }
        if let Some(known) = self.0.get(name) {
            return Some(known.clone());
        }
        let new: Arc<str> = name.into();
        self.0.insert(new.clone());
        Some(new)
    }

    fn set<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Box<[Arc<str>]> {
        let sorted: BTreeSet<Arc<str>> = names.filter_map(|name| self.get(name)).collect();
        sorted.into_iter().collect()
    }
}
