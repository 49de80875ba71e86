//! Reads where an Ingress sends requests (Service rule 142).

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::super::value;
use crate::Reason;
use crate::model::{Backend, BackendPort, HeaderChanges, ServiceKey, Target};
use crate::names::is_label;

/// Reads a backend. One that cannot be used is kept as [`Target::Unsupported`]: requests for its
/// path are answered by the proxy, and go to no wider path (T123).
pub(super) fn read(field: &Field<'_>, namespace: &str, report: &mut Report) -> Backend {
    let target = target(field, namespace, report);
    Backend {
        field: field.to_string().into(),
        target: target.unwrap_or_else(|Wrong| Target::Unsupported("an invalid backend".into())),
        weight: 1,
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        hostname: None,
    }
}

fn target(field: &Field<'_>, namespace: &str, report: &mut Report) -> Result<Target, Wrong> {
    field.has_fields(report)?;
    let (service, resource) = (field.get("service"), field.get("resource"));
    match (service.has_fields(report)?, resource.is_set()) {
        (true, false) => {}
        (false, true) => {
            let message = "a backend has to be a Service; requests for it are answered with 503";
            report.error(&resource, Reason::UnsupportedBackend, message);
            return Ok(Target::Unsupported("a resource".into()));
        }
        (true, true) => {
            let message = "service and resource exclude one another";
            return Err(field.error(Reason::InvalidValue, message, report));
        }
        (false, false) => {
            let message = "it names no Service";
            return Err(field.error(Reason::InvalidValue, message, report));
        }
    }
    let name = service.get("name");
    let text = name.required(report)?;
    if !is_label(text) {
        let message = format!("{text:?} is not the name of a Service");
        return Err(name.error(Reason::InvalidName, message, report));
    }
    let key = ServiceKey {
        namespace: namespace.into(),
        name: text.into(),
    };
    Ok(Target::Service(key, port(&service.get("port"), report)?))
}

fn port(field: &Field<'_>, report: &mut Report) -> Result<BackendPort, Wrong> {
    field.has_fields(report)?;
    let (number, name) = (field.get("number"), field.get("name"));
    let numbered = match number.number(report)? {
        // As a client of Kubernetes writes a number that is not set.
        Some(0) => None,
        _ => value::port_field(&number, report)?,
    };
    match (numbered, name.filled(report)?) {
        (Some(port), None) => Ok(BackendPort::Number(port)),
        (None, Some(text)) if is_label(text) => Ok(BackendPort::Name(text.into())),
        (None, Some(text)) => {
            let message = format!("{text:?} is not the name of a port");
            Err(name.error(Reason::InvalidPort, message, report))
        }
        (Some(_), Some(_)) => {
            let message = "number and name exclude one another";
            Err(field.error(Reason::InvalidPort, message, report))
        }
        (None, None) => {
            let message = "a port of the Service has to be named, by number or by name";
            Err(field.error(Reason::InvalidPort, message, report))
        }
    }
}
