//! Reads where a rule sends requests, by weight (Gateway rules 79, 81 and 82).

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::super::value;
use super::filters::{self, Found};
use super::parent::{is_kind, part};
use crate::Reason;
use crate::model::{Backend, BackendPort, ServiceKey, Target};
use crate::names::{is_label, is_subdomain};

/// How many backends a rule may have.
const BACKENDS: usize = 16;
/// The largest weight.
const HEAVIEST: i64 = 1_000_000;

/// The backends of a rule, and what a single one's filters do to the whole rule.
#[derive(Default)]
pub(super) struct Backends {
    pub(super) all: Vec<Backend>,
    /// Filters that Envoy has for whole routes only.
    pub(super) lifted: Found,
}

/// Reads `backendRefs`. When the filters or the weight of one cannot be served, the whole rule
/// cannot; one that is no Service is kept, and its share of the requests is answered with 500.
pub(super) fn read(
    list: &Field<'_>,
    namespace: &str,
    report: &mut Report,
) -> Result<Backends, Wrong> {
    let items = list.items(report)?;
    let count = items.count_all();
    if count > BACKENDS {
        let message = format!("{count} are more than the {BACKENDS} that a rule may have");
        return Err(list.error(Reason::TooLarge, message, report));
    }
    let mut backends = Backends::default();
    for item in items {
        item.has_fields(report)?;
        let weight = weight(&item.get("weight"), report)?;
        let list = item.get("filters");
        let mut found = filters::read(&list, namespace, report)?;
        let rewrite = &mut found.filters.rewrite;
        let hostname = rewrite.as_mut().and_then(|rewrite| rewrite.hostname.take());
        if rewrite
            .as_ref()
            .is_some_and(|rewrite| rewrite.path.is_none())
        {
            *rewrite = None;
        }
        backends.all.push(Backend {
            field: item.to_string().into(),
            target: target(&item, namespace, report),
            weight,
            request_headers: std::mem::take(&mut found.filters.request_headers),
            response_headers: std::mem::take(&mut found.filters.response_headers),
            hostname,
        });
        if found.is_of_routes() {
            if count > 1 {
                let message = "beside other backends, only headers and the host name can be changed for one of them";
                return Err(list.error(Reason::UnsupportedFilter, message, report));
            }
            backends.lifted = found;
        }
    }
    Ok(backends)
}

fn weight(field: &Field<'_>, report: &mut Report) -> Result<u32, Wrong> {
    let given = field.number(report)?.unwrap_or(1);
    let weight = u32::try_from(given).ok();
    let weight = weight.filter(|weight| i64::from(*weight) <= HEAVIEST);
    weight.ok_or_else(|| {
        let message = format!("{given} is not a weight from 0 to {HEAVIEST}");
        field.error(Reason::InvalidValue, message, report)
    })
}

/// Reads a reference to a Service.
pub(super) fn target(field: &Field<'_>, namespace: &str, report: &mut Report) -> Target {
    let read = read_target(field, namespace, report);
    read.unwrap_or_else(|Wrong| Target::Unsupported("an invalid reference".into()))
}

fn read_target(field: &Field<'_>, namespace: &str, report: &mut Report) -> Result<Target, Wrong> {
    field.has_fields(report)?;
    let is_group = |text: &str| text.is_empty() || is_subdomain(text);
    let group = part(&field.get("group"), is_group, report)?.unwrap_or_default();
    let kind = part(&field.get("kind"), is_kind, report)?.unwrap_or_else(|| "Service".into());
    if !group.is_empty() || *kind != *"Service" {
        let what = match &*group {
            "" => format!("kind {kind}"),
            group => format!("kind {kind} of {group}"),
        };
        let message = format!("a backend has to be a Service, and this is of {what}");
        report.error(field, Reason::UnsupportedBackend, message);
        return Ok(Target::Unsupported(what.into()));
    }
    let name = field.get("name");
    name.required(report)?;
    let port = field.get("port");
    let number = value::port_field(&port, report)?;
    let number = number.ok_or_else(|| {
        let message = "the port of a Service has to be named";
        port.error(Reason::InvalidPort, message, report)
    })?;
    let key = ServiceKey {
        namespace: part(&field.get("namespace"), is_label, report)?
            .unwrap_or_else(|| namespace.into()),
        name: part(&name, is_label, report)?.unwrap_or_default(),
    };
    Ok(Target::Service(key, BackendPort::Number(number)))
}
