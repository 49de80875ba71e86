//! Reads the ports of a Service from `spec.ports`.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use super::super::api as k8s;
use super::super::field::Value;

use super::super::report::Report;
use super::super::value;
use crate::Reason;
use crate::model::{AppProtocol, Protocol, ServicePort};

/// Reads all ports; an error in one leaves out only that one.
pub(super) fn read(spec: &k8s::ServiceSpec, report: &mut Report) -> Vec<ServicePort> {
    let mut ports: Vec<ServicePort> = Vec::new();
    let mut numbers = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (i, port) in spec.ports.iter().flatten().enumerate() {
        let Some(port) = read_port(i, port, report) else {
            continue;
        };
        // A port is its name and protocol (Service rule 4); the API server also keeps numbers
        // apart, a file may not. Looked up, not searched: there may be as many as there are
        // numbers.
        let number = (port.protocol, port.number);
        let name = (port.protocol, port.name.clone());
        if let Some(other) = numbers.get(&number).or_else(|| names.get(&name)) {
            let message =
                format!("spec.ports[{other}] has the same name or number, and the same protocol");
            report.error(format!("spec.ports[{i}]"), Reason::DuplicatePort, message);
            continue;
        }
        numbers.insert(number, i);
        names.insert(name, i);
        ports.push(port);
    }
    ports
}

fn read_port(i: usize, port: &k8s::ServicePort, report: &mut Report) -> Option<ServicePort> {
    let field = |name: &str| format!("spec.ports[{i}].{name}");
    let Some(number) = value::port(port.port) else {
        let message = format!("{} is not a port number", port.port);
        report.error(field("port"), Reason::InvalidPort, message);
        return None;
    };
    let text = port.protocol.as_deref();
    let Some(protocol) = value::protocol(text) else {
        let message = format!("{:?} is none of TCP, UDP, SCTP", text.unwrap_or_default());
        report.error(field("protocol"), Reason::InvalidValue, message);
        return None;
    };
    if protocol == Protocol::Sctp {
        let message = "Envoy does not speak SCTP";
        report.error(field("protocol"), Reason::UnsupportedProtocol, message);
    }
    Some(ServicePort {
        index: i,
        name: port.name.as_deref().unwrap_or_default().into(),
        number,
        protocol,
        target: target(number, &port.target_port),
        node_port: node_port(i, port.node_port, report),
        app_protocol: app_protocol(i, port.app_protocol.as_deref(), report),
    })
}

/// The port of the endpoints, if it is given as a number. One that is no port is nobody's business
/// here: endpoints have ports of their own in their slices.
fn target(own: NonZeroU16, target: &Value) -> Option<NonZeroU16> {
    match target {
        Value::Unset => Some(own),
        Value::Number(number) => i32::try_from(*number).ok().and_then(value::port),
        _ => None,
    }
}

fn node_port(i: usize, number: Option<i32>, report: &mut Report) -> Option<NonZeroU16> {
    let number = number.filter(|number| *number != 0)?;
    let port = value::port(number);
    if port.is_none() {
        let message = format!("{number} is not a port number");
        report.error(
            format!("spec.ports[{i}].nodePort"),
            Reason::InvalidPort,
            message,
        );
    }
    port
}

/// Reads `appProtocol` (Service rules 106 to 109). Names other than those of HTTP/2 and of TLS mean
/// as much as no name, `tcp` and `tls` among them: to listeners of connections they make no
/// difference, and routes by host name send plain HTTP/1.1. That is no problem of the Service: it
/// says what its endpoints speak, and a route by host name may never be asked for.
fn app_protocol(i: usize, name: Option<&str>, report: &mut Report) -> AppProtocol {
    match name {
        Some("kubernetes.io/h2c" | "grpc") => AppProtocol::H2c,
        Some("https") => AppProtocol::Https,
        Some("kubernetes.io/wss") => AppProtocol::Wss,
        Some(bare @ ("h2c" | "http2")) => {
            let message = format!("{bare:?} is read as kubernetes.io/h2c");
            let field = app_protocol_field(i);
            report.warning(field, Reason::UnsupportedAppProtocol, message);
            AppProtocol::H2c
        }
        _ => AppProtocol::Http1,
    }
}

/// Warns of ports whose endpoints are spoken to over TLS without a check of who they are (Service
/// rule 109). The certificate of an ExternalName is checked.
pub(super) fn unverified(ports: &[ServicePort], report: &mut Report) {
    for port in ports {
        let who = match port.app_protocol {
            AppProtocol::Wss => "HTTP requests",
            AppProtocol::Https => "HTTP requests by name, which mesh proxies take,",
            AppProtocol::Http1 | AppProtocol::H2c => continue,
        };
        let message = format!(
            "{who} are sent to the endpoints over TLS, whose certificates nothing says how to \
             check: they are not checked"
        );
        let field = app_protocol_field(port.index);
        report.warning(field, Reason::UnverifiedBackend, message);
    }
}

fn app_protocol_field(i: usize) -> String {
    format!("spec.ports[{i}].appProtocol")
}
