//! Merges what the status of an object should say into the object as it stands: pure functions over
//! JSON, so that what other controllers wrote survives as it is (Gateway rules 98 to 105, Service
//! rule 146).
//!
//! Only what is ours is touched: of a Gateway and a GatewayClass the fields of their controller,
//! of a route our entries, of an Ingress the addresses of its load balancer. A Gateway that is not
//! ours any more is its new controller's, who writes all of it anew: nothing is written there.

mod conditions;
mod gateway;

use k8s_openapi::jiff::Timestamp;
use seaway_translator::ObjectKind;
use seaway_translator::status::{Status, StatusAddress};
use serde_json::{Map, Value, json};

use crate::kube::leader::writing;

/// What a merge needs to know besides the status.
struct Around<'a> {
    /// The time of a transition, as conditions have it.
    time: &'a str,
    /// `metadata.generation` of the object.
    generation: i64,
}

/// Which status an object should have.
pub(super) type Wanted<'a> = writing::Wanted<'a, Status>;

/// Whether there may be something to write for an object of this kind: what nobody wants is taken
/// away where it can be told from what others wrote.
pub(in crate::kube) fn concerns(kind: ObjectKind, wanted: Wanted<'_>) -> bool {
    match kind {
        ObjectKind::HTTPRoute => true,
        ObjectKind::Ingress => wanted.target.or(wanted.before).is_some(),
        _ => wanted.target.is_some(),
    }
}

/// The fields of `status` that have to be written, as a JSON merge patch of it; `None` if the
/// object says already what it should.
pub(super) fn patch(
    object: &Value,
    kind: ObjectKind,
    wanted: Wanted<'_>,
    now: Timestamp,
) -> Option<Value> {
    let time = format!("{now:.0}");
    let around = Around {
        time: &time,
        generation: object["metadata"]["generation"]
            .as_i64()
            .unwrap_or(i64::MAX),
    };
    let current = &object["status"];
    let should = match (kind, wanted.target) {
        (_, Some(Status::GatewayClass(conditions))) => gateway::class(current, conditions, &around),
        (_, Some(Status::Gateway(status))) => gateway::gateway(current, status, &around),
        (_, Some(Status::Route(parents))) => {
            gateway::route(current, &object["spec"]["parentRefs"], parents, &around)
        }
        (ObjectKind::HTTPRoute, None) => gateway::route(current, &Value::Null, &[], &around),
        (_, Some(Status::Ingress(addresses))) => return ingress(current, &shown(addresses)),
        (ObjectKind::Ingress, None) => {
            let Some(Status::Ingress(before)) = wanted.before else {
                return None;
            };
            // Another controller's addresses are not ours to clear.
            let ours = current["loadBalancer"]["ingress"] == json!(shown(before));
            return ours.then(|| ingress(current, &[]))?;
        }
        (_, None) => return None,
    };
    let Value::Object(fields) = should else {
        return None;
    };
    let empty = json!([]);
    let differs = |name: &str, value: &Value| {
        let there = &current[name];
        value != if there.is_null() { &empty } else { there }
    };
    let fields = fields.into_iter();
    let fields: Map<String, Value> = fields
        .filter(|(name, value)| differs(name, value))
        .collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// The patch for the addresses of an Ingress, if it has others.
fn ingress(current: &Value, wanted: &[Value]) -> Option<Value> {
    let there = current["loadBalancer"]["ingress"].as_array();
    if there.map(Vec::as_slice).unwrap_or_default() == wanted {
        return None;
    }
    let wanted = match wanted {
        [] => Value::Null,
        wanted => json!(wanted),
    };
    Some(json!({"loadBalancer": {"ingress": wanted}}))
}

/// Addresses as the status of an Ingress has them.
fn shown(addresses: &[StatusAddress]) -> Vec<Value> {
    let shown = addresses.iter().map(|address| match address {
        StatusAddress::Ip(ip) => json!({"ip": ip}),
        StatusAddress::Hostname(name) => json!({"hostname": **name}),
    });
    shown.collect()
}

#[cfg(test)]
mod tests;
