//! Reads the listeners of a Gateway, each alone (Gateway rules 19 to 23).

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::super::field::{Field, Wrong};
use super::super::http::hostname;
use super::super::report::Report;
use super::super::route::parent::part;
use super::super::value;
use super::{selector, short, tls};
use crate::Reason;
use crate::model::{
    AllowedNamespaces, GatewayListener, Hostname, ListenerProtocol, ParentRef, RouteKind,
};
use crate::names::is_subdomain;

/// How many listeners a Gateway may have.
const LISTENERS: usize = 64;
/// How many kinds of routes a listener may name.
const KINDS: usize = 8;

/// Reads `spec.listeners`. One without a usable name or port is left out, since nothing can be said
/// of it; any other is kept, with what keeps it from being accepted.
pub(super) fn read(spec: &Field<'_>, namespace: &str, report: &mut Report) -> Vec<GatewayListener> {
    let mut listeners: Vec<GatewayListener> = Vec::new();
    let mut names = BTreeSet::new();
    let (gateway_tls, list) = (spec.get("tls"), spec.get("listeners"));
    // What cannot be read may ask for certificates of clients, too.
    let is_wrong = gateway_tls.has_fields(report).is_err();
    let frontend = gateway_tls.get("frontend");
    let backend = gateway_tls.get("backend");
    if backend.is_set() {
        let message = "no certificate is shown to backends yet";
        report.warning(&backend, Reason::UnsupportedField, message);
    }
    let items = list.first_items(LISTENERS, report);
    for item in items.into_iter().flatten() {
        let Ok((name, port)) = identity(&item, report) else {
            continue;
        };
        if !names.insert(name.clone()) {
            let message = "a listener before it has the same name";
            item.get("name")
                .error(Reason::InvalidValue, message, report);
            continue;
        }
        let mut listener = read_one(&item, (name, port), namespace, report);
        let asks = is_wrong || frontend.is_set();
        if asks && listener.protocol == ListenerProtocol::Https {
            let before = report.mark();
            tls::no_validation(&frontend, report);
            listener.invalid = listener.invalid.or_else(|| Some(why(before, report)));
        }
        listeners.push(listener);
    }
    listeners
}

fn identity(item: &Field<'_>, report: &mut Report) -> Result<(Arc<str>, NonZeroU16), Wrong> {
    item.has_fields(report)?;
    let (name, port) = (item.get("name"), item.get("port"));
    name.required(report)?;
    let number = value::port_field(&port, report)?;
    let number = number.ok_or_else(|| port.error(Reason::InvalidPort, "it is missing", report))?;
    Ok((
        part(&name, is_subdomain, report)?.unwrap_or_default(),
        number,
    ))
}

/// What was last reported, in words for the status of the listener.
fn why(before: usize, report: &Report) -> Arc<str> {
    let problem = report.first_since(before);
    problem.map_or_else(
        || "it is not valid".into(),
        |problem| format!("{}: {}", problem.field, problem.message).into(),
    )
}

fn read_one(
    item: &Field<'_>,
    (name, port): (Arc<str>, NonZeroU16),
    namespace: &str,
    report: &mut Report,
) -> GatewayListener {
    let before = report.mark();
    let protocol = protocol(&item.get("protocol"), report);
    let is_wrong = protocol.is_err();
    let protocol = protocol.unwrap_or_else(|Wrong| ListenerProtocol::Other("".into()));
    let hostname = hostname_of(&item.get("hostname"), &protocol, report);
    let certificates = tls::read(&item.get("tls"), &protocol, namespace, report);
    let allowed = item.get("allowedRoutes");
    let routes = allowed.has_fields(report);
    let namespaces = namespaces(&allowed.get("namespaces"), report);
    let is_invalid = is_wrong
        || hostname.is_err()
        || certificates.is_err()
        || routes.is_err()
        || namespaces.is_err();
    let invalid = is_invalid.then(|| why(before, report));
    // After what makes the listener invalid, which bad kinds do not.
    let (kinds, has_invalid_kinds) = kinds(&allowed.get("kinds"), &protocol, report);
    GatewayListener {
        index: item.position(),
        name,
        hostname: hostname.unwrap_or(Hostname::Any),
        port,
        protocol,
        kinds: kinds.into(),
        has_invalid_kinds,
        namespaces: namespaces.unwrap_or(AllowedNamespaces::Same),
        certificates: certificates.unwrap_or_default().into(),
        invalid,
    }
}

/// Reads the protocol. One that nobody knows is a protocol, too.
fn protocol(field: &Field<'_>, report: &mut Report) -> Result<ListenerProtocol, Wrong> {
    let text = short(field, report)?;
    Ok(match &*text {
        "HTTP" => ListenerProtocol::Http,
        "HTTPS" => ListenerProtocol::Https,
        "TLS" => ListenerProtocol::Tls,
        "TCP" => ListenerProtocol::Tcp,
        "UDP" => ListenerProtocol::Udp,
        other => {
            let message = format!("{other:?} is not supported");
            report.error(field, Reason::UnsupportedProtocol, message);
            ListenerProtocol::Other(text)
        }
    })
}

/// Reads the host name, which means nothing to protocols that do not tell one.
fn hostname_of(
    field: &Field<'_>,
    protocol: &ListenerProtocol,
    report: &mut Report,
) -> Result<Hostname, Wrong> {
    match protocol {
        ListenerProtocol::Tcp | ListenerProtocol::Udp => Ok(Hostname::Any),
        _ => Ok(hostname::read(field, report)?.unwrap_or(Hostname::Any)),
    }
}

fn namespaces(field: &Field<'_>, report: &mut Report) -> Result<AllowedNamespaces, Wrong> {
    field.has_fields(report)?;
    let from = field.get("from");
    match from.text(report)?.unwrap_or("Same") {
        "Same" => Ok(AllowedNamespaces::Same),
        "All" => Ok(AllowedNamespaces::All),
        "Selector" => {
            let selector = selector::read(&field.get("selector"), report)?;
            Ok(AllowedNamespaces::Selector(selector))
        }
        other => {
            let message = format!("{other:?} is none of Same, All, Selector");
            Err(from.error(Reason::InvalidValue, message, report))
        }
    }
}

/// The kinds of routes that may attach, and whether others are named (Gateway rule 20).
fn kinds(
    list: &Field<'_>,
    protocol: &ListenerProtocol,
    report: &mut Report,
) -> (Vec<RouteKind>, bool) {
    let of_protocol: &[RouteKind] = match protocol {
        ListenerProtocol::Http | ListenerProtocol::Https => &[RouteKind::HTTPRoute],
        _ => &[],
    };
    let Ok(items) = list.first_items(KINDS, report) else {
        return (Vec::new(), true);
    };
    if items.is_empty() {
        return (of_protocol.to_vec(), false);
    }
    let mut kinds = Vec::new();
    let mut has_others = false;
    for item in items {
        match kind(&item, report) {
            Ok(Some(kind)) if of_protocol.contains(&kind) => {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            Ok(_) => {
                has_others = true;
                let message = "routes of this kind cannot attach to the listener";
                report.error(&item, Reason::UnsupportedKind, message);
            }
            Err(Wrong) => has_others = true,
        }
    }
    (kinds, has_others)
}

fn kind(item: &Field<'_>, report: &mut Report) -> Result<Option<RouteKind>, Wrong> {
    item.has_fields(report)?;
    let group = item.get("group").text(report)?.unwrap_or(ParentRef::GROUP) == ParentRef::GROUP;
    let kind = item.get("kind").required(report)? == "HTTPRoute";
    Ok((group && kind).then_some(RouteKind::HTTPRoute))
}
