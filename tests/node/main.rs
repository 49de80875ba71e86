//! Services on nodes with their own network: real packets between pods, nodes and an outside
//! client, through real Envoys.
//!
//! Each test names the rules of kube-proxy's behaviour that it proves ("Service rule 61");
//! `tests/README.md` lists them the other way round.

use seaway_testing::{ServiceManifest, SliceManifest, join};

/// Makes tests of functions that take a [`Setup`](seaway_testing::Setup): one for each capture, and
/// one for a node as `deploy/overlays/node` makes it. What differs is in the table of
/// `docs/capture.md`: with redirected connections refused becomes closed
/// ([`Cluster::expect`](seaway_testing::Cluster::expect)).
macro_rules! all_captures {
    ($($name:ident),* $(,)?) => {
        mod bind {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                let keep_source = crate::keep_sources();
                super::$name(&seaway_testing::Setup { keep_source, ..Default::default() })
            })*
        }
        mod redirect {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                let (redirect, keep_source) = (true, crate::keep_sources());
                super::$name(&seaway_testing::Setup { redirect, keep_source, ..Default::default() })
            })*
        }
        mod namespace {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                let namespace = true;
                super::$name(&seaway_testing::Setup { namespace, ..Default::default() })
            })*
        }
        mod as_shipped {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                let (namespace, keep_source) = (true, true);
                super::$name(&seaway_testing::Setup { namespace, keep_source, ..Default::default() })
            })*
        }
    };
}
use all_captures;

/// Makes the same tests once more for a node that binds in its own network and keeps its clients'
/// addresses: whoever is served without is served with it.
macro_rules! keeping_sources {
    ($($name:ident),* $(,)?) => {
        mod keeping_sources {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                let keep_source = true;
                super::$name(&seaway_testing::Setup { keep_source, ..Default::default() })
            })*
        }
    };
}
use keeping_sources;

/// Whether nodes keep their clients' addresses in `bind` and `redirect`, too: then every test has
/// run in all captures, with and without.
fn keep_sources() -> bool {
    std::env::var_os("SEAWAY_KEEP_SOURCES").is_some_and(|value| value == "1")
}

mod addresses;
mod affinity;
mod carriage;
mod choice;
mod datagram_sizes;
mod dead_endpoints;
mod first_use;
mod floods;
mod granular;
mod health;
mod host;
mod host_ports;
mod keep_source;
mod node_ports;
mod official;
mod policies;
mod replacement;
mod setup;
mod source_ranges;
mod strays;
mod udp;
mod unserved;
mod who_is_seen;

/// A Service `name` with cluster IP `address` and port `http` 80.
fn service(name: &str, address: &str) -> ServiceManifest {
    ServiceManifest::new(name)
        .cluster_ip(address)
        .port("http", 80)
}

/// A Service and its slice in one file.
fn with(service: &ServiceManifest, slice: &SliceManifest) -> String {
    join([service.document(), slice.document()])
}

/// `status.loadBalancer` with one address of mode VIP.
fn load_balancer(address: &str) -> serde_json::Value {
    serde_json::json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}})
}
