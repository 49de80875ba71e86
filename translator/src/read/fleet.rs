//! Reads the label by which an object names the fleet of ingress proxies that serves it.

use super::api as k8s;
use super::report::Report;
use super::value;
use crate::Reason;
use crate::model::{FLEET_LABEL, Fleet};

/// The fleet that an object names; the default one without a label. `None`, with a problem: the
/// label names none that could be.
pub(super) fn read(meta: &k8s::Metadata, report: &mut Report) -> Option<Fleet> {
    let Some(text) = value::label(meta, FLEET_LABEL) else {
        return Some(Fleet::default());
    };
    let fleet = text.parse().ok();
    if fleet.is_none() {
        let message = format!("{text:?} is no name of a fleet: it is not an RFC 1123 label");
        report.error(field(), Reason::InvalidParameters, message);
    }
    fleet
}

/// The field that names the fleet.
pub(crate) fn field() -> String {
    format!("metadata.labels[{FLEET_LABEL}]")
}
