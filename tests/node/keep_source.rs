//! `deploy/node/setup.sh --keep-source`: answers find their way back to an Envoy that uses its clients' own addresses.
//!
//! The listeners here are Envoy's own configuration, to prove the node's part alone.

use anyhow::Result;
use seaway_testing::{Cluster, EnvoyOptions, Setup};

/// A listener on `vip` that connects to `pod` from the client's address.
fn listener(vip: &str, pod: &str) -> String {
    format!(
        r#"
  - name: "{vip}"
    address: {{socket_address: {{address: {vip}, port_value: 80}}}}
    freebind: true
    listener_filters:
    - name: envoy.filters.listener.original_src
      typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: "{pod}"
          cluster: "{pod}""#
    )
}

fn cluster(pod: &str) -> String {
    format!(
        r#"
  - name: "{pod}"
    connect_timeout: 1s
    load_assignment:
      cluster_name: "{pod}"
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {pod}, port_value: 8080}}}}}}"#
    )
}

/// Service rules 111, 112: backends on this node and on another see pods and outside clients as themselves.
#[test]
fn backends_see_their_clients_where_envoy_uses_their_addresses() -> Result<()> {
    let (here, there) = ("10.245.1.10", "10.245.2.10");
    let listeners = listener("203.0.113.1", here) + &listener("203.0.113.2", there);
    let clusters = cluster(here) + &cluster(there);
    let overlay = format!("static_resources:\n  listeners:{listeners}\n  clusters:{clusters}\n");
    let setup = Setup {
        keep_source: true,
        envoy: EnvoyOptions {
            overlay: Some(overlay),
            ..EnvoyOptions::default()
        },
        ..Setup::default()
    };
    Cluster::run(&["a", "b"], &setup, |cluster| {
        cluster.backend("here", "n1")?;
        cluster.backend("there", "n2")?;
        cluster.client("client", "n1")?;
        for (vip, backend) in [("203.0.113.1:80", "here"), ("203.0.113.2:80", "there")] {
            let client = cluster.host("client")?.v4.into();
            cluster.expect_from("client", vip, backend, client)?;
        }
        // Only a node that has the endpoint may use an outside client's address: from elsewhere the answer would pass it by.
        let outside = cluster.host("outside")?.v4.into();
        cluster.expect_from("outside", "203.0.113.1:80", "here", outside)?;
        let other = cluster.host("there")?.v4.into();
        cluster.expect_from("there", "203.0.113.1:80", "here", other)
    })
}
