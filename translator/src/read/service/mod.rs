//! Reads a Service from its API object.

mod allocated;
mod ports;

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::api as k8s;
use super::field::Value;
use ipnet::IpNet;

use super::report::{self, Report};
use super::{annotations, value};
use crate::model::{
    Exposure, Family, Kind, LB_ADDRESSES, Policy, Service, ServiceKey, SourceRanges,
};
use crate::names::{MANAGED_BY, MANAGED_BY_LABEL, is_dns_name, is_subdomain};
use crate::status::StatusAddress;
use crate::{ObjectId, ObjectKind, Problem, Reason};

/// The label that takes a Service from the default proxy.
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

/// Reads a Service, with the problems found on the way.
pub(super) fn read(service: &k8s::Service) -> Result<Service, Problem> {
    let meta = &service.metadata;
    let namespace = report::namespace(ObjectKind::Service.as_str(), meta.namespace.as_deref())?;
    let name = report::name(
        ObjectKind::Service.as_str(),
        namespace,
        meta.name.as_deref(),
    )?;
    let key = ServiceKey {
        namespace: namespace.into(),
        name: name.into(),
    };
    let mut report = Report::new(ObjectId::of_service(&key));
    let default = k8s::ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&default);
    let cluster_ips = cluster_ips(spec, &mut report);
    let mut ports = ports::read(spec, &mut report);
    annotations::protocol::fill_in(meta, spec, &mut ports, &mut report);
    let kind = kind(spec, &cluster_ips, &mut report);
    if !matches!(kind, Kind::ExternalName(_)) {
        ports::unverified(&ports, &mut report);
    }
    allocated::cluster_ip(service, spec, &mut report);
    allocated::node_ports(spec, &cluster_ips, &mut report);
    annotations::unknown(meta, &mut report);
    let affinity = annotations::affinity(spec, &ports, &mut report);
    let internal = spec.internal_traffic_policy.as_deref();
    Ok(Service {
        key,
        created: report::created(meta, "of Services that claim one address", &mut report),
        kind,
        proxy_name: value::label(meta, PROXY_NAME).map(Arc::from),
        primary_family: primary_family(spec, &cluster_ips),
        selector: selector(spec),
        of_gateway: annotations::of_gateway(meta, &mut report),
        managed: value::label(meta, MANAGED_BY_LABEL) == Some(MANAGED_BY),
        cluster_ips: cluster_ips.into(),
        external_ips: external_ips(spec, &mut report).into(),
        lb_ips: lb_ips(service, &mut report).into(),
        exposure: exposure(service, &mut report),
        internal_policy: policy("internalTrafficPolicy", internal, &mut report),
        external_policy: policy(
            "externalTrafficPolicy",
            spec.external_traffic_policy.as_deref(),
            &mut report,
        ),
        local_fallback: annotations::local_fallback(meta, &mut report),
        source_ranges: source_ranges(spec, &mut report),
        health_check_port: health_check_port(spec, &mut report),
        affinity,
        proxy_protocol: annotations::proxy_protocol(meta, &mut report),
        outlier_detection: annotations::outlier_detection(meta, &mut report),
        connect_timeout: annotations::connect_timeout(meta, &mut report),
        udp_idle_timeout: annotations::udp_idle_timeout(meta, &ports, &mut report),
        accounts: annotations::mtls::accounts(meta, &mut report),
        settings: annotations::settings::read(meta, affinity.is_some(), &mut report),
        ports: ports.into(),
        problems: report.finish(),
    })
}

/// The selector as one text, by which Services before the same pods are known.
fn selector(spec: &k8s::ServiceSpec) -> Arc<str> {
    let Value::Fields(labels) = &spec.selector else {
        return "".into();
    };
    let pairs = labels.iter().filter_map(|(key, value)| match value {
        Value::Text(text) => Some(format!("{key}={text}")),
        _ => None,
    });
    pairs.collect::<Vec<_>>().join(",").into()
}

fn kind(spec: &k8s::ServiceSpec, cluster_ips: &[IpAddr], report: &mut Report) -> Kind {
    match spec.type_.as_deref() {
        Some("ExternalName") => return Kind::ExternalName(external_name(spec, report)),
        None | Some("" | "ClusterIP" | "NodePort" | "LoadBalancer") => {}
        Some(other) => {
            let message = format!("{other:?} is no type of Service; it is read as ClusterIP");
            report.warning("spec.type", Reason::InvalidValue, message);
        }
    }
    match (cluster_ips.is_empty(), first_cluster_ip(spec)) {
        (true, "None") => Kind::Headless,
        (true, _) => Kind::WithoutIp,
        (false, _) => Kind::ClusterIp,
    }
}

/// Reads `spec.externalName` (Service rule 122). The resolver must never see a name it could take
/// for an address, such as `127.1`: no DNS name ends in a number.
fn external_name(spec: &k8s::ServiceSpec, report: &mut Report) -> Option<Arc<str>> {
    let text = spec.external_name.as_deref().unwrap_or_default();
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if is_dns_name(name) && !number {
        return Some(name.into());
    }
    let message = if number && !name.is_empty() {
        format!("{text:?} is an address, not a DNS name")
    } else {
        format!("{text:?} is not an RFC 1123 subdomain")
    };
    report.error("spec.externalName", Reason::InvalidExternalName, message);
    None
}

/// The first cluster IP as it is written; empty: there is none.
fn first_cluster_ip(spec: &k8s::ServiceSpec) -> &str {
    let list = spec.cluster_ips.as_deref().unwrap_or_default();
    match spec.cluster_ip.as_deref().unwrap_or_default() {
        "" => list.first().map_or("", String::as_str),
        single => single,
    }
}

/// The cluster IPs, paired with the families (Service rule 5). An API server writes down the
/// families of a Service that has none, one of each address (KEP-563); so does this, for manifests
/// that never met one.
fn cluster_ips(spec: &k8s::ServiceSpec, report: &mut Report) -> Vec<IpAddr> {
    if spec.type_.as_deref() == Some("ExternalName") {
        return Vec::new();
    }
    let list = spec.cluster_ips.as_deref().unwrap_or_default();
    let first = first_cluster_ip(spec);
    if first.is_empty() || first == "None" {
        return Vec::new();
    }
    let families = families(spec);
    let mut found: Vec<IpAddr> = Vec::new();
    for (i, text) in std::iter::once(first)
        .chain(list.iter().skip(1).map(String::as_str))
        .enumerate()
    {
        let field = if i == 0 {
            "spec.clusterIP".to_owned()
        } else {
            format!("spec.clusterIPs[{i}]")
        };
        let expected = families.get(i).copied();
        let Some(ip) = frontend_ip(text, &field, report) else {
            continue;
        };
        let taken = found
            .iter()
            .any(|other| Family::of(*other) == Family::of(ip));
        let message = if expected.is_some_and(|family| family != Family::of(ip)) {
            format!("{ip} is not of the family that spec.ipFamilies[{i}] names")
        } else if taken {
            format!("{ip} is of the same family as the cluster IP before it")
        } else {
            found.push(ip);
            continue;
        };
        report.error(field, Reason::InvalidAddress, message);
    }
    found
}

fn families(spec: &k8s::ServiceSpec) -> Vec<Family> {
    let read = |text: &String| match text.as_str() {
        "IPv4" => Some(Family::V4),
        "IPv6" => Some(Family::V6),
        _ => None,
    };
    spec.ip_families.iter().flatten().filter_map(read).collect()
}

fn primary_family(spec: &k8s::ServiceSpec, cluster_ips: &[IpAddr]) -> Family {
    let first = families(spec).first().copied();
    let from_ip = || cluster_ips.first().map(|ip| Family::of(*ip));
    first.or_else(from_ip).unwrap_or(Family::V4)
}

/// Reads an address that can be listened on. Loopback is fine here: cluster IPs may lie anywhere.
fn frontend_ip(text: &str, field: &str, report: &mut Report) -> Option<IpAddr> {
    let Some(ip) = value::ip(text) else {
        let message = format!("{text:?} is not an IP address");
        report.error(field, Reason::InvalidAddress, message);
        return None;
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        let message = format!("{ip} is not the address of a single host");
        report.error(field, Reason::FrontendRefused, message);
        return None;
    }
    Some(ip)
}

/// Reads an address that anybody who may write a Service can claim: not one that would catch a
/// node's own traffic (Service rule 20).
fn claimed_ip(text: &str, field: &str, report: &mut Report) -> Option<IpAddr> {
    let ip = frontend_ip(text, field, report)?;
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if ip.is_loopback() || link_local {
        let message =
            format!("{ip} is a loopback or link-local address and must not be taken over");
        report.error(field, Reason::FrontendRefused, message);
        return None;
    }
    Some(ip)
}

fn external_ips(spec: &k8s::ServiceSpec, report: &mut Report) -> Vec<(usize, IpAddr)> {
    let ips = spec.external_ips.iter().flatten().enumerate();
    ips.filter_map(|(i, text)| {
        Some((
            i,
            claimed_ip(text, &format!("spec.externalIPs[{i}]"), report)?,
        ))
    })
    .collect()
}

/// The load-balancer ingress IPs: only entries with an address, and only if traffic to it may be
/// answered on the node itself (Service rule 8).
fn lb_ips(service: &k8s::Service, report: &mut Report) -> Vec<(usize, IpAddr)> {
    let status = service
        .status
        .as_ref()
        .and_then(|s| s.load_balancer.as_ref());
    let entries = status.and_then(|s| s.ingress.as_ref());
    let vips = entries.into_iter().flatten().enumerate();
    vips.filter(|(_, entry)| matches!(entry.ip_mode.as_deref(), None | Some("VIP")))
        .filter_map(|(i, entry)| {
            let text = entry.ip.as_deref().filter(|ip| !ip.is_empty())?;
            let field = format!("status.loadBalancer.ingress[{i}].ip");
            Some((i, claimed_ip(text, &field, report)?))
        })
        .collect()
}

/// Where clients outside of the cluster reach the Service. An address that no node may answer on
/// counts, too. One that is none was reported with [`lb_ips`].
fn exposure(service: &k8s::Service, report: &mut Report) -> Exposure {
    let spec = service.spec.as_ref();
    match spec.and_then(|spec| spec.type_.as_deref()) {
        Some("NodePort") => return Exposure::NodePort,
        Some("LoadBalancer") => {}
        _ => return Exposure::ClusterIp,
    }
    let status = service.status.as_ref();
    let balancer = status.and_then(|status| status.load_balancer.as_ref());
    let entries = balancer.and_then(|balancer| balancer.ingress.as_ref());
    let mut addresses = Vec::new();
    for (i, entry) in entries.into_iter().flatten().take(LB_ADDRESSES).enumerate() {
        let ip = entry.ip.as_deref().and_then(value::ip);
        let hostname = entry.hostname.as_deref().filter(|name| !name.is_empty());
        match (ip, hostname) {
            (Some(ip), _) => addresses.push(StatusAddress::Ip(ip)),
            (None, Some(name)) if is_subdomain(name) => {
                addresses.push(StatusAddress::Hostname(name.into()));
            }
            (None, Some(name)) => {
                let message = format!("{name:?} is not a DNS name");
                let field = format!("status.loadBalancer.ingress[{i}].hostname");
                report.warning(field, Reason::InvalidHostname, message);
            }
            (None, None) => {}
        }
    }
    Exposure::LoadBalancer(addresses.into())
}

fn policy(field: &str, text: Option<&str>, report: &mut Report) -> Policy {
    match text {
        None | Some("" | "Cluster") => Policy::Cluster,
        Some("Local") => Policy::Local,
        Some(other) => {
            let message = format!("{other:?} is neither Cluster nor Local; it is read as Cluster");
            report.warning(format!("spec.{field}"), Reason::InvalidValue, message);
            Policy::Cluster
        }
    }
}

/// Reads `spec.loadBalancerSourceRanges` (Service rule 27): a family is restricted when it has a
/// range and none of its ranges is all of it. When no range can be read, both are: nothing may be
/// served that was meant to be closed.
fn source_ranges(spec: &k8s::ServiceSpec, report: &mut Report) -> SourceRanges {
    let texts = spec.load_balancer_source_ranges.as_deref();
    let texts = texts.unwrap_or_default();
    let mut ranges = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        match value::cidr(text) {
            Some(range) => ranges.push(range),
            None => report.warning(
                format!("spec.loadBalancerSourceRanges[{i}]"),
                Reason::InvalidValue,
                format!("{text:?} is not a CIDR"),
            ),
        }
    }
    if ranges.is_empty() && !texts.is_empty() {
        let field = "spec.loadBalancerSourceRanges";
        let message = "none of the ranges can be read: nobody may connect to the load balancer";
        report.error(field, Reason::InvalidValue, message);
        let nobody = || Some(Box::default());
        return SourceRanges {
            v4: nobody(),
            v6: nobody(),
        };
    }
    let restricted = |family: Family| {
        let own = ranges.iter().copied();
        let own: Vec<IpNet> = own
            .filter(|range| Family::of(range.addr()) == family)
            .collect();
        let open = own.is_empty() || own.iter().any(|range| range.prefix_len() == 0);
        (!open).then(|| own.into())
    };
    SourceRanges {
        v4: restricted(Family::V4),
        v6: restricted(Family::V6),
    }
}

/// Reads the health check node port, of Services that may have one (Service rule 31).
fn health_check_port(spec: &k8s::ServiceSpec, report: &mut Report) -> Option<NonZeroU16> {
    let number = spec.health_check_node_port.filter(|number| *number != 0)?;
    let load_balancer = spec.type_.as_deref() == Some("LoadBalancer");
    if !load_balancer || spec.external_traffic_policy.as_deref() != Some("Local") {
        return None;
    }
    let port = value::port(number);
    if port.is_none() {
        let message = format!("{number} is not a port number");
        report.error("spec.healthCheckNodePort", Reason::InvalidPort, message);
    }
    port
}
