//! Reads which protocol the endpoints are asked in where `appProtocol` says nothing.

use super::super::api as k8s;
use super::super::report::Report;
use super::super::value;
use super::field;
use crate::Reason;
use crate::model::{AppProtocol, Protocol, ServicePort};

/// The annotation.
pub(super) const PROTOCOL: &str = "seaway.dev/protocol";

/// Has the ports of a Service without an `appProtocol` speak what the annotation says (Service rule
/// 108): `appProtocol` is of one port, so it wins.
pub(in super::super) fn fill_in(
    meta: &k8s::Metadata,
    spec: &k8s::ServiceSpec,
    ports: &mut [ServicePort],
    report: &mut Report,
) {
    let wanted = match value::annotation(meta, PROTOCOL) {
        None => return,
        Some("http1") => AppProtocol::Http1,
        Some("http2") => AppProtocol::H2c,
        Some(other) => {
            let message = format!("{other:?} is neither \"http1\" nor \"http2\"; it is left out");
            report.warning(field(PROTOCOL), Reason::InvalidValue, message);
            return;
        }
    };
    for port in ports.iter_mut().filter(|p| p.protocol == Protocol::Tcp) {
        let of_port = spec.ports.iter().flatten().nth(port.index);
        match of_port.and_then(|port| port.app_protocol.as_deref()) {
            None | Some("") => port.app_protocol = wanted,
            Some(_) if port.app_protocol == wanted => {}
            Some(own) => {
                let message = format!(
                    "spec.ports[{}].appProtocol is {own:?}, which holds for that port",
                    port.index
                );
                report.warning(field(PROTOCOL), Reason::InvalidValue, message);
            }
        }
    }
}
