//! What differs between a Service of a Gateway as it is and as it should be: pure functions over
//! JSON, so that what others wrote survives as it is: annotations of a cloud's controller, node
//! ports, addresses, policies that somebody has edited.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use seaway_translator::model::{GatewayService, ServiceKey};
use seaway_translator::names::{GATEWAY_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL};
use serde_json::{Map, Value, json};

/// The label of Gateway API for objects that are made for a Gateway.
const GATEWAY_NAME_LABEL: &str = "gateway.networking.k8s.io/gateway-name";
/// The longest value of a label.
const LONGEST_LABEL: usize = 63;

/// The Service where there is none.
pub(super) fn fresh(key: &ServiceKey, made: &GatewayService) -> Value {
    let policy = if made.is_local { "Local" } else { "Cluster" };
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": &*key.name,
            "namespace": &*key.namespace,
            "labels": labels(made),
            "annotations": {GATEWAY_ANNOTATION: annotation(&made.gateway)},
        },
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": policy,
            "selector": selector(made),
            "ports": ports(&[], made),
        },
    })
}

/// Whether a Service was made by Seaway for this Gateway.
pub(super) fn is_of(there: &Value, gateway: &(Arc<str>, Arc<str>)) -> bool {
    let metadata = &there["metadata"];
    metadata["labels"][MANAGED_BY_LABEL] == MANAGED_BY
        && metadata["annotations"][GATEWAY_ANNOTATION] == *annotation(gateway)
}

/// Whether a Service is being deleted.
pub(super) fn is_going(there: &Value) -> bool {
    !there["metadata"]["deletionTimestamp"].is_null()
}

/// Whether a Service is the one that was decided on: Seaway's own, for this Gateway, with the ports
/// that were seen.
pub(super) fn may_write(there: &Value, made: &GatewayService) -> bool {
    is_of(there, &made.gateway) && !is_going(there) && targets(there) == *made.seen
}

/// The patch that makes a Service what it should be; `None` if it is.
pub(super) fn patch(there: &Value, made: &GatewayService) -> Option<Value> {
    let mut patch = json!({});
    let known = entries(there);
    let ports = ports(known, made);
    if ports != known {
        patch["spec"]["ports"] = ports.into();
    }
    let mut selector = selector(made);
    if there["spec"]["selector"] != json!(selector) {
        let there = there["spec"]["selector"].as_object();
        for key in there.into_iter().flat_map(Map::keys) {
            selector.entry(key.as_str()).or_insert(Value::Null);
        }
        patch["spec"]["selector"] = selector.into();
    }
    let labels = labels(made).into_iter();
    let labels: Map<String, Value> = labels
        .filter(|(key, value)| there["metadata"]["labels"][key] != *value)
        .collect();
    if !labels.is_empty() {
        patch["metadata"]["labels"] = labels.into();
    }
    (patch != json!({})).then_some(patch)
}

fn annotation((namespace, name): &(Arc<str>, Arc<str>)) -> String {
    format!("{namespace}/{name}")
}

fn labels(made: &GatewayService) -> Map<String, Value> {
    let mut labels = Map::from_iter([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.into())]);
    let name = &made.gateway.1;
    if name.len() <= LONGEST_LABEL {
        labels.insert(GATEWAY_NAME_LABEL.to_owned(), (**name).into());
    }
    labels
}

fn selector(made: &GatewayService) -> Map<String, Value> {
    let pairs = made.selector.split(',');
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

/// The entries of a Service's ports.
fn entries(there: &Value) -> &[Value] {
    let ports = there["spec"]["ports"].as_array();
    ports.map(Vec::as_slice).unwrap_or_default()
}

/// The number of an entry for TCP.
fn number(entry: &Value) -> Option<NonZeroU16> {
    let protocol = &entry["protocol"];
    let is_tcp = protocol.is_null() || protocol == "TCP";
    port(&entry["port"]).filter(|_| is_tcp)
}

fn port(value: &Value) -> Option<NonZeroU16> {
    let number = u16::try_from(value.as_u64()?).ok()?;
    NonZeroU16::new(number)
}

/// The ports for TCP, each with where it leads; `None` for a name.
fn targets(there: &Value) -> BTreeMap<NonZeroU16, Option<NonZeroU16>> {
    let all = entries(there).iter();
    let all = all.filter_map(|entry| {
        let (number, target) = (number(entry)?, &entry["targetPort"]);
        let own = target.is_null().then_some(number);
        Some((number, own.or_else(|| port(target))))
    });
    all.collect()
}

/// The entries that a Service should have: those that it has for these ports lead where they
/// should, with everything else that is in them; others for TCP go.
fn ports(known: &[Value], made: &GatewayService) -> Vec<Value> {
    let kept = known.iter().filter_map(|entry| {
        let mut entry = entry.clone();
        if let Some(number) = number(&entry) {
            entry["targetPort"] = made.ports.get(&number)?.get().into();
        } else if entry["protocol"].is_null() {
            return None;
        }
        Some(entry)
    });
    let mut all: Vec<Value> = kept.collect();
    let numbers: BTreeSet<NonZeroU16> = all.iter().filter_map(number).collect();
    for (number, target) in &made.ports {
        if !numbers.contains(number) {
            let mut name = format!("port-{number}");
            while all.iter().any(|entry| entry["name"] == name) {
                name.push('x');
            }
            all.push(json!({
                "name": name,
                "protocol": "TCP",
                "port": number,
                "targetPort": target,
            }));
        }
    }
    all
}
