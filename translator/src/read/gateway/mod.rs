//! Reads the objects of Gateway API other than routes: GatewayClass, Gateway and ReferenceGrant,
//! and the labels of Namespaces that listeners select. What their CRDs' schemas would refuse is
//! found here, too, for manifests that no API server has seen (Gateway rules 3 and 4).
//!
//! The lists have the bounds of the CRDs: [`ADDRESSES`], and in [`listener`], [`grant`] and
//! [`selector`] those of their own. What is beyond a bound is left out, with the problem
//! `TooLarge`.

pub(super) mod class;
pub(super) mod grant;
mod listener;
pub(super) mod namespace;
pub(super) mod selector;
mod tls;

use std::sync::Arc;

pub(crate) use class::NO_PARAMETERS as CLASS_HAS_NO_PARAMETERS;
pub(crate) use tls::NOT_A_SECRET;

use super::api as k8s;
use super::field::{Field, Wrong};
use super::fleet;
use super::report::Identity;
use super::report::Report;
use crate::model::{Gateway, GatewayAddress};
use crate::{Problem, Reason};

/// How many addresses a Gateway may ask for.
const ADDRESSES: usize = 16;
/// How many bytes the name of a class, an address or the like may have.
const LONGEST: usize = 253;

/// What is said of a Gateway with parameters.
pub(crate) const NO_PARAMETERS: &str = "Seaway reads no parameters, so the Gateway is not served";

/// Reads a Gateway, with the problems found on the way. One without a usable class is nobody's.
pub(super) fn read(gateway: &k8s::Gateway) -> Result<Gateway, Problem> {
    let (identity, mut report) = Identity::namespaced("Gateway", &gateway.metadata)?;
    let spec = Field::top("spec", &gateway.spec);
    // A `spec` of a wrong type is reported, and asks for nothing.
    let _ = spec.has_fields(&mut report);
    let class = short(&spec.get("gatewayClassName"), &mut report);
    let infrastructure = spec.get("infrastructure");
    // One of a wrong type is reported, and asks for nothing.
    let _ = infrastructure.has_fields(&mut report);
    let parameters = infrastructure.get("parametersRef");
    if parameters.is_set() {
        report.error(&parameters, Reason::InvalidParameters, NO_PARAMETERS);
    }
    for name in ["labels", "annotations"] {
        let field = infrastructure.get(name);
        if field.is_set() {
            let message = "nothing is made for a Gateway that could have them";
            report.warning(&field, Reason::UnsupportedField, message);
        }
    }
    Ok(Gateway {
        generation: identity.generation,
        created: identity.created,
        class: class.unwrap_or_default(),
        fleet: fleet::read(&gateway.metadata, &mut report),
        has_parameters: parameters.is_set(),
        addresses: addresses(&spec.get("addresses"), &mut report).into(),
        listeners: listener::read(&spec, &identity.namespace, &mut report).into(),
        namespace: identity.namespace,
        name: identity.name,
        problems: report.finish(),
    })
}

/// Reads a text that has to be there and not to be long.
fn short(field: &Field<'_>, report: &mut Report) -> Result<Arc<str>, Wrong> {
    let text = field.required(report)?;
    if text.len() > LONGEST {
        let message = format!("it has more than {LONGEST} bytes");
        return Err(field.error(Reason::TooLarge, message, report));
    }
    Ok(text.into())
}

/// Reads `spec.addresses`. One that cannot be read is kept with a type that nobody has, so that the
/// Gateway is not served at addresses that it did not ask for.
fn addresses(list: &Field<'_>, report: &mut Report) -> Vec<GatewayAddress> {
    let unreadable = || GatewayAddress {
        kind: "".into(),
        value: "".into(),
    };
    match list.first_items(ADDRESSES, report) {
        Err(Wrong) => vec![unreadable()],
        Ok(items) => items
            .map(|item| address(&item, report).unwrap_or_else(|Wrong| unreadable()))
            .collect(),
    }
}

fn address(item: &Field<'_>, report: &mut Report) -> Result<GatewayAddress, Wrong> {
    item.has_fields(report)?;
    let (kind, value) = (item.get("type"), item.get("value"));
    let of = |field: &Field<'_>, otherwise: &str, report: &mut Report| match field.is_set()
        && field.text(report)?.is_some_and(|text| !text.is_empty())
    {
        true => short(field, report),
        false => Ok(otherwise.into()),
    };
    Ok(GatewayAddress {
        kind: of(&kind, "IPAddress", report)?,
        value: of(&value, "", report)?,
    })
}

#[cfg(test)]
mod tests;
