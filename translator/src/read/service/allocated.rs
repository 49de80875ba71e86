//! What an API server gives to every Service, and a manifest that was just written has not: cluster
//! IPs and node ports.

use std::net::IpAddr;

use super::first_cluster_ip;
use crate::Reason;
use crate::read::api as k8s;
use crate::read::report::Report;

/// Reports that a Service has no cluster IP, with the addresses that it asks for all the same: it
/// has no frontend at all (Service rules 1, 6).
pub(super) fn cluster_ip(service: &k8s::Service, spec: &k8s::ServiceSpec, report: &mut Report) {
    let given = first_cluster_ip(spec);
    // An address that is none is a problem of its own.
    if spec.type_.as_deref() == Some("ExternalName") || !matches!(given, "" | "None") {
        return;
    }
    let status = service.status.as_ref();
    let balancer = status.and_then(|status| status.load_balancer.as_ref());
    let mut balancers = balancer.into_iter().flat_map(|status| &status.ingress);
    let node_port = |port: &k8s::ServicePort| port.node_port.is_some_and(|port| port != 0);
    let asks = matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"))
        || spec.ports.iter().flatten().any(node_port)
        || spec.external_ips.iter().flatten().next().is_some()
        || balancers.any(|all| !all.is_empty());
    let field = "spec.clusterIP";
    match (asks, given) {
        (false, "None") => {}
        (true, "None") => {
            let message = "a headless Service has no node ports, external IPs and addresses of load balancers: they are not served";
            report.warning(field, Reason::NoClusterIp, message);
        }
        (true, _) => {
            let message = "it has none (an API server would give it one), so no address of the Service is served: no node port, no external IP, no load balancer's";
            report.error(field, Reason::NoClusterIp, message);
        }
        (false, _) => {
            let message = "it has none (an API server would give it one), so that the Service is served by name only; None says that this is meant";
            report.warning(field, Reason::NoClusterIp, message);
        }
    }
}

/// Reports the ports of a Service of type NodePort that have no node port. One without a cluster IP
/// has none anyway.
pub(super) fn node_ports(spec: &k8s::ServiceSpec, cluster_ips: &[IpAddr], report: &mut Report) {
    if spec.type_.as_deref() != Some("NodePort") || cluster_ips.is_empty() {
        return;
    }
    for (at, port) in spec.ports.iter().flatten().enumerate() {
        if port.node_port.is_none_or(|port| port == 0) {
            let field = format!("spec.ports[{at}].nodePort");
            let message = "it has none (an API server would give it one), so that the port is not served at the addresses of nodes";
            report.warning(field, Reason::NoNodePort, message);
        }
    }
}
