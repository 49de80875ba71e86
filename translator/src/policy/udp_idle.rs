//! How long a UDP flow may be silent.

use std::num::NonZeroU32;

use crate::model::{DNS_IDLE, DNS_PORT, LONGEST_UDP_IDLE, Service, ServicePort};

/// How long a flow may be silent: as long as the kernel remembers a question and its answer, for
/// kube-proxy. Each takes a file of Envoy.
const IDLE: u32 = 30_000;

/// How long a flow at this port may be silent. Envoy cannot tell a flow that had its one answer
/// from one in use; the port can, mostly. At DNS's own it is never longer, whatever is asked for:
/// so short are the flows that the node counts there.
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
