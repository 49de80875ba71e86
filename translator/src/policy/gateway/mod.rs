//! What becomes of each listener of a Gateway, and of each parent that a route names, as far as it
//! follows from those objects alone.

mod mesh;
pub(crate) mod services;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

pub(crate) use mesh::{NotTaken, ports_of, ports_of_parent, service_of};
pub(crate) use whole::{
    HOSTNAME, IP_ADDRESS, InvalidRules, class_refusal, gateway_refusal, invalid_rules,
    is_class_ours,
};

use super::binding::Binding;
use super::table::Table;
use crate::model::{
    AllowedNamespaces, Gateway, GatewayListener, HTTPRoute, Hostname, LabelOperator, LabelSelector,
    ListenerProtocol, ParentRef, RouteKind, ServiceKey,
};
use crate::{Options, Reason};
use services::Waits;

/// Why a listener of a Gateway is not served (Gateway rules 14, 19, 21 and 25).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenerRefusal {
    /// Its protocol is not supported.
    Protocol,
    /// A field of it is not valid; the text is for people.
    Invalid(Arc<str>),
    /// The Service that its addresses are of has no such port, but these; the Service may not be
    /// known.
    Port(NonZeroU16, Option<ServiceKey>, Box<[u16]>),
    /// That port of the Service leads to a port of the proxies that is given as a name.
    NamedTarget(NonZeroU16, Option<ServiceKey>),
    /// That port leads to one at which the proxies speak another protocol.
    OtherProtocol(NonZeroU16, &'static str),
    /// The Service that is to be made for the Gateway is not there yet, or lacks its port.
    Pending(Waits),
    /// Another listener of the Gateway has its port and host name.
    HostnameConflict,
    /// Another listener of the Gateway has its port with another protocol.
    ProtocolConflict,
}

impl ListenerRefusal {
    /// The [`Reason`] of the problem, which is that of the condition `Accepted`.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            ListenerRefusal::Protocol => Reason::UnsupportedProtocol,
            ListenerRefusal::Invalid(_) => Reason::UnsupportedValue,
            ListenerRefusal::Port(..)
            | ListenerRefusal::NamedTarget(..)
            | ListenerRefusal::OtherProtocol(..)
            | ListenerRefusal::Pending(_) => Reason::PortUnavailable,
            ListenerRefusal::HostnameConflict => Reason::HostnameConflict,
            ListenerRefusal::ProtocolConflict => Reason::ProtocolConflict,
        }
    }
}

impl fmt::Display for ListenerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenerRefusal::Protocol => {
                f.write_str("only the protocols HTTP and HTTPS are served")
            }
            ListenerRefusal::Invalid(why) => f.write_str(why),
            ListenerRefusal::Port(port, service, known) => {
                f.write_str("the addresses of this Gateway")?;
                if let Some(service) = service {
                    write!(f, ", which are those of Service {service},")?;
                }
                let known: Vec<String> = known.iter().map(u16::to_string).collect();
                write!(f, " have no port {port}, only {}", known.join(", "))
            }
            ListenerRefusal::NamedTarget(port, service) => {
                let service = service.as_ref().map(ToString::to_string);
                let service = service.unwrap_or_default();
                write!(
                    f,
                    "the targetPort of port {port} of Service {service} is a name; it has to be the \
                     number of a port at which the proxies listen for it"
                )
            }
            ListenerRefusal::OtherProtocol(port, spoken) => {
                write!(f, "behind port {port} the proxies speak {spoken}")
            }
            ListenerRefusal::Pending(why) => why.fmt(f),
            ListenerRefusal::HostnameConflict => {
                f.write_str("another listener of this Gateway has the same port and host name")
            }
            ListenerRefusal::ProtocolConflict => f.write_str(
                "another listener of this Gateway has the same port and another protocol",
            ),
        }
    }
}

/// The table that each listener of a Gateway is served at, in the order of the listeners, or why it
/// is not. Each is judged alone first, and only those that are good take part in conflicts, which
/// all parties lose (Gateway rules 23 and 25).
pub(crate) fn listeners(
    gateway: &Gateway,
    binding: &Binding,
    options: &Options,
) -> Vec<Result<Table, ListenerRefusal>> {
    let judged = judged(gateway).into_iter();
    let table = |(listener, refused): (&GatewayListener, Option<ListenerRefusal>)| match refused {
        Some(refused) => Err(refused),
        None => binding.table(listener, options),
    };
    judged.map(table).collect()
}

/// The listeners of a Gateway that are good, whatever it is reached by.
pub(crate) fn good(gateway: &Gateway) -> impl Iterator<Item = &GatewayListener> {
    let judged = judged(gateway).into_iter();
    let good = judged.filter(|(_, refused)| refused.is_none());
    let good = good.map(|(listener, _)| listener);
    good.filter(|listener| {
        let protocol = &listener.protocol;
        matches!(protocol, ListenerProtocol::Http | ListenerProtocol::Https)
    })
}

/// Each listener of a Gateway, with what is wrong with it alone or beside the others.
fn judged(gateway: &Gateway) -> Vec<(&GatewayListener, Option<ListenerRefusal>)> {
    let mut at_port: BTreeMap<NonZeroU16, Vec<&GatewayListener>> = BTreeMap::new();
    let alone: Vec<_> = gateway.listeners.iter().map(alone).collect();
    for (listener, refused) in gateway.listeners.iter().zip(&alone) {
        if refused.is_none() {
            at_port.entry(listener.port).or_default().push(listener);
        }
    }
    let mut all: Vec<_> = gateway.listeners.iter().zip(alone).collect();
    for (listener, refused) in &mut all {
        let rivals = at_port.get(&listener.port).map_or(&[][..], |rivals| rivals);
        *refused = refused.take().or_else(|| conflict(listener, rivals));
    }
    all
}

/// What is wrong with a listener by itself.
fn alone(listener: &GatewayListener) -> Option<ListenerRefusal> {
    match (&listener.protocol, &listener.invalid) {
        (ListenerProtocol::Other(_), _) => Some(ListenerRefusal::Protocol),
        (_, Some(why)) => Some(ListenerRefusal::Invalid(why.clone())),
        _ => None,
    }
}

/// The classes of protocols of which a port has one; UDP ports are apart from all (Gateway rule
/// 24).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Http,
    Sni,
    Tcp,
    Udp,
}

impl Class {
    fn of(listener: &GatewayListener) -> Class {
        match listener.protocol {
            ListenerProtocol::Http => Class::Http,
            ListenerProtocol::Https | ListenerProtocol::Tls => Class::Sni,
            ListenerProtocol::Udp => Class::Udp,
            ListenerProtocol::Tcp | ListenerProtocol::Other(_) => Class::Tcp,
        }
    }
}

/// The conflict of a listener with another of its Gateway at its port.
fn conflict(listener: &GatewayListener, rivals: &[&GatewayListener]) -> Option<ListenerRefusal> {
    let class = Class::of(listener);
    let others = rivals.iter().filter(|other| other.index != listener.index);
    let mut found = None;
    for other in others {
        match (class, Class::of(other)) {
            (Class::Udp, Class::Udp) | (Class::Tcp, Class::Tcp) => {
                found = Some(ListenerRefusal::HostnameConflict);
            }
            (Class::Udp, _) | (_, Class::Udp) => {}
            (own, class) if own != class => return Some(ListenerRefusal::ProtocolConflict),
            _ if other.hostname == listener.hostname => {
                found = Some(ListenerRefusal::HostnameConflict);
            }
            _ => {}
        }
    }
    found
}

/// Why no listener of a parent takes a route (Gateway rules 42 to 44).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAttached {
    /// The parent has no listener of the name and port asked for.
    NoMatchingParent,
    /// None of them allows routes of this kind or namespace.
    NotAllowedByListeners,
    /// None of them has a host name in common with the route.
    NoMatchingListenerHostname,
}

impl NotAttached {
    /// The [`Reason`] of the problem, which is that of the condition `Accepted`.
    pub(crate) fn reason(self) -> Reason {
        match self {
            NotAttached::NoMatchingParent => Reason::NoMatchingParent,
            NotAttached::NotAllowedByListeners => Reason::NotAllowedByListeners,
            NotAttached::NoMatchingListenerHostname => Reason::NoMatchingListenerHostname,
        }
    }
}

impl fmt::Display for NotAttached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotAttached::NoMatchingParent => "none has the name and port that it asks for",
            NotAttached::NotAllowedByListeners => {
                "allowedRoutes of none allows its kind and namespace"
            }
            NotAttached::NoMatchingListenerHostname => "none has a host name in common with it",
        })
    }
}

/// The listeners that take a route, each with the host names that it takes it for.
pub(crate) type Taken<'a> = Vec<(&'a GatewayListener, Vec<&'a Hostname>)>;

/// The listeners that take a route by one of its parents, each with the host names that it takes
/// it for. Whether a listener is served does not matter (Gateway rule 45).
///
/// # Errors
/// When there is none; the first test that all of them failed says why.
pub(crate) fn attach<'a>(
    route: &'a HTTPRoute,
    parent: &ParentRef,
    gateway: &'a Gateway,
    labels: impl Fn(&str) -> Option<&'a BTreeMap<Arc<str>, Arc<str>>>,
) -> Result<Taken<'a>, NotAttached> {
    let named = |listener: &&GatewayListener| {
        parent
            .section
            .as_ref()
            .is_none_or(|name| *name == listener.name)
            && parent.port.is_none_or(|port| port == listener.port)
    };
    let named: Vec<_> = gateway.listeners.iter().filter(named).collect();
    if named.is_empty() {
        return Err(NotAttached::NoMatchingParent);
    }
    let allows = |listener: &&&GatewayListener| {
        listener.kinds.contains(&RouteKind::HTTPRoute)
            && allows_namespace(listener, &route.namespace, &gateway.namespace, &labels)
    };
    let allowed: Vec<_> = named.iter().filter(allows).copied().collect();
    if allowed.is_empty() {
        return Err(NotAttached::NotAllowedByListeners);
    }
    let taken = allowed.into_iter().filter_map(|listener| {
        let common = |host: &'a Hostname| listener.hostname.intersection(host);
        let hosts: Vec<&Hostname> = route.hostnames.iter().filter_map(common).collect();
        (!hosts.is_empty()).then_some((listener, hosts))
    });
    let taken: Vec<_> = taken.collect();
    match taken.is_empty() {
        true => Err(NotAttached::NoMatchingListenerHostname),
        false => Ok(taken),
    }
}

/// Whether a listener takes routes of a namespace (Gateway rule 43).
fn allows_namespace<'a>(
    listener: &GatewayListener,
    of_route: &str,
    of_gateway: &str,
    labels: impl Fn(&str) -> Option<&'a BTreeMap<Arc<str>, Arc<str>>>,
) -> bool {
    match &listener.namespaces {
        AllowedNamespaces::All => true,
        AllowedNamespaces::Same => of_route == of_gateway,
        // A Namespace that is not known has no label, and may have any: nothing selects it.
        AllowedNamespaces::Selector(selector) => {
            labels(of_route).is_some_and(|labels| selects(selector, labels))
        }
    }
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<Arc<str>, Arc<str>>) -> bool {
    selector.requirements.iter().all(|requirement| {
        let value = labels.get(&requirement.key);
        let is_in = value.is_some_and(|value| requirement.values.contains(value));
        match requirement.operator {
            LabelOperator::In => is_in,
            LabelOperator::NotIn => !is_in,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    })
}
