//! What is wrong with a GatewayClass, a Gateway or a route as a whole, whatever else there is.

use std::fmt;
use std::sync::Arc;

use crate::model::{Gateway, GatewayClass, HTTPRoute};
use crate::{Reason, read, status};

/// Whether a GatewayClass is one of this controller (Gateway rule 6).
pub(crate) fn is_class_ours(class: &GatewayClass) -> bool {
    *class.controller == *status::GATEWAY_CONTROLLER
}

/// Why no Gateway of a class is served.
pub(crate) fn class_refusal(class: &GatewayClass) -> Option<(Reason, &'static str)> {
    let refusal = (Reason::InvalidParameters, read::CLASS_HAS_NO_PARAMETERS);
    class.has_parameters.then_some(refusal)
}

/// Why none of the listeners of a Gateway is served (Gateway rules 8 and 101).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GatewayRefusal {
    /// It has parameters.
    Parameters,
    /// It names no fleet that could be.
    Fleet,
    /// The address at this position is of a type that is not supported.
    Address(usize, Arc<str>),
}

impl GatewayRefusal {
    /// Whether the problem was found while the Gateway was read.
    pub(crate) fn is_read_already(&self) -> bool {
        match self {
            GatewayRefusal::Parameters | GatewayRefusal::Fleet => true,
            // The type of one that could not be read.
            GatewayRefusal::Address(_, kind) => kind.is_empty(),
        }
    }

    /// The [`Reason`] of the problem, which is that of the condition `Accepted`.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            GatewayRefusal::Parameters | GatewayRefusal::Fleet => Reason::InvalidParameters,
            GatewayRefusal::Address(..) => Reason::UnsupportedAddress,
        }
    }

    /// The field that the Gateway is refused for.
    pub(crate) fn field(&self) -> String {
        match self {
            GatewayRefusal::Parameters => "spec.infrastructure.parametersRef".to_owned(),
            GatewayRefusal::Fleet => read::fleet_field(),
            GatewayRefusal::Address(index, _) => format!("spec.addresses[{index}]"),
        }
    }
}

impl fmt::Display for GatewayRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatewayRefusal::Parameters => f.write_str(read::NO_PARAMETERS),
            GatewayRefusal::Fleet => f.write_str("it names no fleet that could be"),
            GatewayRefusal::Address(_, kind) => write!(
                f,
                "an address of type {kind:?} is not supported, only IPAddress and Hostname; the \
                 Gateway is not served"
            ),
        }
    }
}

/// The type of an address that is an IP address.
pub(crate) const IP_ADDRESS: &str = "IPAddress";
/// The type of an address that is a host name.
pub(crate) const HOSTNAME: &str = "Hostname";

/// Why none of the listeners of a Gateway is served.
pub(crate) fn gateway_refusal(gateway: &Gateway) -> Option<GatewayRefusal> {
    if gateway.has_parameters {
        return Some(GatewayRefusal::Parameters);
    }
    if gateway.fleet.is_none() {
        return Some(GatewayRefusal::Fleet);
    }
    let addresses = gateway.addresses.iter().enumerate();
    let mut unknown = addresses.filter(|(_, one)| ![IP_ADDRESS, HOSTNAME].contains(&&*one.kind));
    let (index, address) = unknown.next()?;
    Some(GatewayRefusal::Address(index, address.kind.clone()))
}

/// The rules of a route that are not valid (Gateway rule 94).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidRules {
    /// All of them: the route is not accepted, for this reason.
    All(&'static str),
    /// Some, for this reason; the others are served.
    Some(&'static str),
}

/// Which rules of a route are not valid, if some are not.
pub(crate) fn invalid_rules(route: &HTTPRoute) -> Option<InvalidRules> {
    if route.dropped.is_empty() {
        return None;
    }
    let unsupported = Reason::UnsupportedValue.as_str();
    if route.rules.iter().any(|rule| !rule.broken) {
        return Some(InvalidRules::Some(unsupported));
    }
    Some(InvalidRules::All(match route.incompatible_filters {
        true => "IncompatibleFilters",
        false => unsupported,
    }))
}
