//! The idle timeout of UDP flows.

use std::num::NonZeroU32;

use crate::model::{DNS_IDLE, DNS_PORT, LONGEST_UDP_IDLE, Service, ServicePort};

/// The idle timeout of a UDP flow in milliseconds where the Service sets none: as long as the
/// kernel keeps an unanswered or once answered flow for kube-proxy. Each flow takes a file
/// descriptor of Envoy.
const IDLE: u32 = 30_000;

/// The idle timeout of UDP flows to a Service port. Envoy cannot tell a flow that had its one
/// answer from one in use; the port can, mostly. At DNS's own port it is never longer than that of
/// DNS, whatever is asked for: so short are the flows that the node counts there.
pub(crate) fn idle(service: &Service, port: &ServicePort) -> NonZeroU32 {
    let default = if is_dns(port) { DNS_IDLE } else { IDLE };
    let asked = service.udp_idle_timeout.map_or(default, NonZeroU32::get);
    let most = match port.number.get() {
        DNS_PORT => DNS_IDLE,
        _ => LONGEST_UDP_IDLE,
    };
    NonZeroU32::new(asked.min(most)).unwrap_or(NonZeroU32::MIN)
}

fn is_dns(port: &ServicePort) -> bool {
    port.number.get() == DNS_PORT || &*port.name == "dns" || port.name.starts_with("dns-")
}
