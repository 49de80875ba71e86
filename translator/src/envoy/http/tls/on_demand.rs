//! Certificates on demand: one filter chain for all exact host names, whose certificates Envoy asks
//! for by the name that a client asks for, so that a host comes and goes without the listener
//! (Gateway rule 109).
//!
//! A client could have Envoy ask for any name, and some do harm: one that begins with `xdstp:` ends
//! Envoy 1.40.0, `*` is everything, and a text that is not UTF-8 ends the stream. So only what can
//! be a host name comes to the chain ([`server_names`](super::server_names)).
//!
//! Envoy would ask when the first client comes, and the handshake would depend on the control plane
//! being there. So listeners that take no connections have Envoy ask at once: the secrets that they
//! hold are found by the chain. Each name is in one of them, by its hash, so that a name that comes
//! changes that one alone.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use seaway_proto::envoy::core::{TypedExtensionConfig, socket_address::Protocol};
use seaway_proto::envoy::listener::{Filter, FilterChain, Listener};
use seaway_proto::envoy::on_demand_secret::Config;
use seaway_proto::envoy::sni_mapper::Sni;
use seaway_proto::envoy::tls::downstream_tls_context::SessionTicketKeysType;
use seaway_proto::envoy::tls::{CommonTlsContext, DownstreamTlsContext};
use seaway_proto::google::protobuf::BoolValue;
use seaway_proto::{Resource, TypeUrl, any};

use crate::envoy::http::tls;
use crate::envoy::{ads, listening};
use crate::plan::ListenOn;

/// The name of the chain, which no other has: those have names of objects.
pub(super) const CHAIN: &str = "on demand";
/// The secret of clients that ask for no name, which do not come here. There is none of that name.
const NAMELESS: &str = "-";
/// What the names of the listeners that hold names begin with.
pub(crate) const PREFETCHING: &str = "certificates/";
/// The most listeners that hold names.
const SHARDS: u16 = 64;
/// The first of the ports of 127.0.0.1 that are theirs; nothing is bound there, but no two
/// listeners may have the same address.
const FIRST_PORT: u16 = 2;

/// What the listener header of a request says of a name that a client asked for, which no name of a
/// listener is.
pub(in super::super) fn shown_for(name: &str) -> String {
    format!("sni:{name}")
}

/// The same of the name that the client of a connection asked for.
pub(in super::super) fn shown() -> String {
    shown_for("%REQUESTED_SERVER_NAME%")
}

/// The chain for all names that no other chain has.
pub(in super::super) fn chain(manager: Filter) -> FilterChain {
    FilterChain {
        filters: vec![manager],
        transport_socket_connect_timeout: Some(tls::handshake_timeout()),
        ..closed_chain(Vec::new())
    }
}

/// The listeners that have Envoy ask for the certificates of these names.
pub(crate) fn prefetching<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> Vec<Resource> {
    let mut shards: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for name in names {
        shards
            .entry(shard(name))
            .or_default()
            .push(name.to_string());
    }
    let listener = |(shard, names)| {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), FIRST_PORT + shard);
        let message = Listener {
            name: format!("{PREFETCHING}{shard}"),
            address: Some(listening(&ListenOn::of_the_node(address), Protocol::Tcp)),
            bind_to_port: Some(BoolValue { value: false }),
            filter_chains: vec![closed_chain(names)],
            ..Default::default()
        };
        let name = message.name.clone();
        Resource::new(TypeUrl::LISTENER, name, &message, Vec::new())
    };
    shards.into_iter().map(listener).collect()
}

/// The shard of a name. The hash is FNV-1a, the same for ever and everywhere: another one would
/// move all names.
fn shard(name: &str) -> u16 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The upper half depends on all bytes more evenly than the lowest bits do.
    let mixed = (hash >> 32) ^ hash;
    (mixed % u64::from(SHARDS)) as u16
}

/// A chain without filters that asks for these names at once, and for others when they come.
fn closed_chain(prefetched: Vec<String>) -> FilterChain {
    let mapper = TypedExtensionConfig {
        name: "envoy.tls.certificate_mappers.sni".to_owned(),
        typed_config: Some(any(&Sni {
            default_value: NAMELESS.to_owned(),
        })),
    };
    let selector = TypedExtensionConfig {
        name: "envoy.tls.certificate_selectors.on_demand_secret".to_owned(),
        typed_config: Some(any(&Config {
            config_source: Some(ads()),
            certificate_mapper: Some(mapper),
            prefetch_secret_names: prefetched,
        })),
    };
    let context = DownstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            custom_tls_certificate_selector: Some(selector),
            ..tls::common()
        }),
        // Envoy refuses it with sessions that are resumed: they would be of any name.
        session_ticket_keys_type: Some(SessionTicketKeysType::DisableStatelessSessionResumption(
            true,
        )),
        disable_stateful_session_resumption: true,
        ..Default::default()
    };
    FilterChain {
        name: CHAIN.to_owned(),
        transport_socket: Some(tls::socket(&context)),
        ..Default::default()
    }
}
