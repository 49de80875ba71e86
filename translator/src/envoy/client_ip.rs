//! The `original_src` listener filter, by which Envoy connects to endpoints from its clients' own
//! addresses.

use seaway_proto::any;
use seaway_proto::envoy::listener::ListenerFilter;
use seaway_proto::envoy::listener::listener_filter::ConfigType;
use seaway_proto::envoy::original_src::OriginalSrc;

use crate::plan::ClientIp;

/// The mark of connections whose clients keep their address only if they are pods of this node.
/// `deploy/node/setup.sh` knows it; no bit of it is one that Calico, Cilium or kube-proxy use.
const PODS_ONLY: u32 = 0x53;

/// The filter for a listener that keeps the source addresses of these clients.
pub(super) fn filter(client_ip: ClientIp) -> ListenerFilter {
    let config = OriginalSrc {
        mark: match client_ip {
            ClientIp::OfPods => PODS_ONLY,
            ClientIp::OfEverybody => 0,
        },
        ..Default::default()
    };
    ListenerFilter {
        name: "envoy.filters.listener.original_src".to_owned(),
        config_type: Some(ConfigType::TypedConfig(any(&config))),
        ..Default::default()
    }
}
