//! Reads Seaway's annotations of a Service, and its session affinity.

pub(super) mod known;
pub(super) mod protocol;
pub(super) mod settings;

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::api as k8s;
use super::ingress::annotations::OF_INGRESSES;
use super::report::Report;
use super::value;
use crate::Reason;
use crate::model::{
    AFFINITY_DEFAULT, DNS_IDLE, DNS_PORT, IMPORT_ANNOTATION, LONGEST_UDP_IDLE, Protocol,
    ProxyProtocol, ServicePort,
};
use crate::names::{GATEWAY_ANNOTATION, is_label, is_subdomain};

/// The annotation that lets a Local policy fall back to the zone and the cluster.
const LOCAL_FALLBACK: &str = "seaway.dev/local-fallback";
/// The annotation with the PROXY protocol version that endpoints expect.
const PROXY_PROTOCOL: &str = "seaway.dev/proxy-protocol";
/// The annotation with the number of connect failures that eject an endpoint.
const OUTLIER_DETECTION: &str = "seaway.dev/outlier-detection";
/// The annotation with the connect timeout of endpoints.
const CONNECT_TIMEOUT: &str = "seaway.dev/connect-timeout";
/// The annotation with the idle timeout of UDP flows.
const UDP_IDLE_TIMEOUT: &str = "seaway.dev/udp-idle-timeout";
/// The annotations about connections.
const OF_CONNECTIONS: [&str; 7] = [
    LOCAL_FALLBACK,
    PROXY_PROTOCOL,
    OUTLIER_DETECTION,
    CONNECT_TIMEOUT,
    UDP_IDLE_TIMEOUT,
    GATEWAY_ANNOTATION,
    protocol::PROTOCOL,
];
/// All annotations of Services.
const KNOWN: &[&[&str]] = &[&OF_CONNECTIONS, &settings::ALL];
/// The number of consecutive connect failures after which an endpoint is ejected by default.
const FAILURES: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
/// The bounds of a connect timeout, in milliseconds.
const CONNECT_TIMEOUTS: RangeInclusive<u32> = 100..=60_000;
/// The longest timeout of session affinity, in seconds.
pub(super) const DAY: i32 = 86_400;

/// The timeout of `sessionAffinity: ClientIP`, in seconds.
pub(super) fn affinity(
    spec: &k8s::ServiceSpec,
    ports: &[ServicePort],
    report: &mut Report,
) -> Option<NonZeroU32> {
    match spec.session_affinity.as_deref() {
        Some("ClientIP") => {}
        None | Some("" | "None") => return None,
        Some(other) => {
            let message = format!("{other:?} is neither None nor ClientIP; it is read as None");
            report.warning("spec.sessionAffinity", Reason::InvalidValue, message);
            return None;
        }
    }
    let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    let config = spec.session_affinity_config.as_ref();
    let asked = config.and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
    let timeout = match asked {
        None => AFFINITY_DEFAULT,
        Some(seconds) => timeout(seconds).unwrap_or_else(|| {
            let message = format!(
                "{seconds} is not a number of seconds up to a day; it is read as {AFFINITY_DEFAULT}"
            );
            report.warning(field, Reason::InvalidValue, message);
            AFFINITY_DEFAULT
        }),
    };
    if timeout < AFFINITY_DEFAULT {
        let message = format!(
            "clients change their endpoint every {timeout} seconds, all at once, not {timeout} seconds after their last connection"
        );
        report.warning(field, Reason::UnsupportedField, message);
        if ports.iter().any(|port| port.protocol == Protocol::Udp) {
            let message = "the timeout is not kept for UDP: clients keep their endpoint for good";
            report.warning(field, Reason::UnsupportedField, message);
        }
    }
    Some(timeout)
}

fn timeout(seconds: i32) -> Option<NonZeroU32> {
    let seconds = Some(seconds).filter(|seconds| *seconds <= DAY)?;
    u32::try_from(seconds).ok().and_then(NonZeroU32::new)
}

/// The Gateway that the Service is made for (annotation `seaway.dev/gateway`).
pub(super) fn of_gateway(
    meta: &k8s::Metadata,
    report: &mut Report,
) -> Option<(Arc<str>, Arc<str>)> {
    let text = value::annotation(meta, GATEWAY_ANNOTATION)?;
    let parts = text.split_once('/');
    let named = parts.filter(|(namespace, name)| is_label(namespace) && is_subdomain(name));
    if named.is_none() {
        let message = format!("{text:?} is not the namespace and the name of a Gateway");
        report.warning(field(GATEWAY_ANNOTATION), Reason::InvalidValue, message);
    }
    named.map(|(namespace, name)| (namespace.into(), name.into()))
}

/// Whether a Local policy may fall back to the zone and the cluster (annotation
/// `seaway.dev/local-fallback`).
pub(super) fn local_fallback(meta: &k8s::Metadata, report: &mut Report) -> bool {
    match value::annotation(meta, LOCAL_FALLBACK) {
        None => false,
        Some("cluster") => true,
        Some(other) => {
            let message = format!("{other:?} is not \"cluster\"; Local policies stay strict");
            report.warning(field(LOCAL_FALLBACK), Reason::InvalidValue, message);
            false
        }
    }
}

/// The PROXY protocol version that the endpoints expect (annotation `seaway.dev/proxy-protocol`).
pub(super) fn proxy_protocol(meta: &k8s::Metadata, report: &mut Report) -> Option<ProxyProtocol> {
    match value::annotation(meta, PROXY_PROTOCOL)? {
        "v1" => Some(ProxyProtocol::V1),
        "v2" => Some(ProxyProtocol::V2),
        other => {
            let message =
                format!("{other:?} is neither \"v1\" nor \"v2\"; no PROXY header is sent");
            report.warning(field(PROXY_PROTOCOL), Reason::InvalidValue, message);
            None
        }
    }
}

/// The number of consecutive connect failures after which an endpoint is ejected (annotation
/// `seaway.dev/outlier-detection`); `None`: never.
pub(super) fn outlier_detection(meta: &k8s::Metadata, report: &mut Report) -> Option<NonZeroU32> {
    let Some(text) = value::annotation(meta, OUTLIER_DETECTION) else {
        return Some(FAILURES);
    };
    if let Some(failures) = text.parse().ok().filter(|failures| *failures <= 1000) {
        return NonZeroU32::new(failures);
    }
    let message = format!(
        "{text:?} is not a number of failed connections from 0 (never) to 1000; it is read as {FAILURES}"
    );
    report.warning(field(OUTLIER_DETECTION), Reason::InvalidValue, message);
    Some(FAILURES)
}

/// The connect timeout of endpoints in milliseconds (annotation `seaway.dev/connect-timeout`).
pub(super) fn connect_timeout(meta: &k8s::Metadata, report: &mut Report) -> Option<NonZeroU32> {
    let text = value::annotation(meta, CONNECT_TIMEOUT)?;
    let timeout = value::milliseconds(text).filter(|timeout| CONNECT_TIMEOUTS.contains(timeout));
    if timeout.is_none() {
        let message = format!(
            "{text:?} is not a time from 100ms to 60s, such as \"3s\"; it is read as the default"
        );
        report.warning(field(CONNECT_TIMEOUT), Reason::InvalidValue, message);
    }
    timeout.and_then(NonZeroU32::new)
}

/// The idle timeout of UDP flows in milliseconds (annotation `seaway.dev/udp-idle-timeout`).
pub(super) fn udp_idle_timeout(
    meta: &k8s::Metadata,
    ports: &[ServicePort],
    report: &mut Report,
) -> Option<NonZeroU32> {
    let text = value::annotation(meta, UDP_IDLE_TIMEOUT)?;
    let field = field(UDP_IDLE_TIMEOUT);
    let longest = LONGEST_UDP_IDLE / 1000;
    let Some(timeout) = value::milliseconds(text).filter(|t| (1000..=LONGEST_UDP_IDLE).contains(t))
    else {
        let message = format!(
            "{text:?} is not a time from 1s to {longest}s, such as \"60s\"; it is read as the default"
        );
        report.warning(field, Reason::InvalidValue, message);
        return None;
    };
    let dns = |port: &ServicePort| port.protocol == Protocol::Udp && port.number.get() == DNS_PORT;
    if timeout > DNS_IDLE && ports.iter().any(dns) {
        let most = DNS_IDLE / 1000;
        let message = format!("at port {DNS_PORT} a flow is forgotten after {most}s at the latest");
        report.warning(field, Reason::UnsupportedField, message);
    }
    NonZeroU32::new(timeout)
}

/// Whether there is such an annotation of Services.
pub(super) fn is_known(name: &str) -> bool {
    known::is_among(KNOWN, name)
}

/// Reports annotations in Seaway's name that mean nothing on a Service.
pub(super) fn unknown(meta: &k8s::Metadata, report: &mut Report) {
    let elsewhere = |name: &str| {
        if name == IMPORT_ANNOTATION {
            return Some("it is one of Namespaces, whose mesh proxies import what it says");
        }
        let of_others = OF_INGRESSES.contains(&name);
        of_others.then_some("it is one of Ingresses: set it on those that lead to the Service")
    };
    known::unknown(meta, ("Services", KNOWN), elsewhere, report);
}

/// The field of an annotation.
pub(super) fn field(annotation: &str) -> String {
    format!("metadata.annotations[{annotation}]")
}
