//! Reads a Node from its API object.

use std::sync::Arc;

use super::api as k8s;
use ipnet::IpNet;

use super::report::{self, Report};
use super::value;
use crate::model::Node;
use crate::{ObjectId, ObjectKind, Problem, Reason};

/// The key of the taint that the cluster autoscaler sets on a Node before it deletes it.
const LEAVING: &str = "ToBeDeletedByClusterAutoscaler";

/// Reads a Node, with the problems found on the way.
pub(super) fn read(node: &k8s::Node) -> Result<Node, Problem> {
    let name = report::name(ObjectKind::Node.as_str(), "", node.metadata.name.as_deref())?;
    let name: Arc<str> = name.into();
    let mut report = Report::new(ObjectId::of_node(&name));
    let label = |key| {
        let value = value::label(&node.metadata, key).filter(|v| !v.is_empty());
        value.map(Arc::<str>::from)
    };
    Ok(Node {
        name,
        zone: label("topology.kubernetes.io/zone"),
        region: label("topology.kubernetes.io/region"),
        addresses: addresses(node, &mut report).into(),
        pod_cidrs: pod_cidrs(node, &mut report).into(),
        leaving: leaving(node),
        problems: report.finish(),
    })
}

/// The ranges of `spec.podCIDRs`, or else the single one of `spec.podCIDR`.
fn pod_cidrs(node: &k8s::Node, report: &mut Report) -> Vec<IpNet> {
    let Some(spec) = &node.spec else {
        return Vec::new();
    };
    let single = spec.pod_cidr.iter().filter(|text| !text.is_empty());
    let list = spec.pod_cidrs.as_deref().unwrap_or_default();
    let texts: Vec<&String> = match list {
        [] => single.collect(),
        list => list.iter().collect(),
    };
    let mut found = Vec::new();
    for (i, text) in texts.into_iter().enumerate() {
        match value::cidr(text) {
            Some(range) => found.push(range),
            None => report.warning(
                format!("spec.podCIDRs[{i}]"),
                Reason::InvalidAddress,
                format!("{text:?} is not a CIDR"),
            ),
        }
    }
    found
}

fn leaving(node: &k8s::Node) -> bool {
    let spec = node.spec.as_ref();
    let mut taints = spec.and_then(|s| s.taints.as_ref()).into_iter().flatten();
    node.metadata.deletion_timestamp || taints.any(|taint| taint.key == LEAVING)
}

/// The Node's addresses in the order in which kube-proxy looks for a primary one: internal before
/// external.
fn addresses(node: &k8s::Node, report: &mut Report) -> Vec<std::net::IpAddr> {
    let status = node.status.as_ref().and_then(|s| s.addresses.as_ref());
    let mut found = Vec::new();
    for kind in ["InternalIP", "ExternalIP"] {
        for (i, address) in status.into_iter().flatten().enumerate() {
            if address.type_ != kind {
                continue;
            }
            match value::ip(&address.address) {
                Some(ip) if found.contains(&ip) => {}
                Some(ip) => found.push(ip),
                None => report.warning(
                    format!("status.addresses[{i}].address"),
                    Reason::InvalidAddress,
                    format!("{:?} is not an IP address", address.address),
                ),
            }
        }
    }
    found
}
