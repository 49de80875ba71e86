//! Session affinity: what of a connection is hashed.
//!
//! The hash of an endpoint is that of its own address, which is Envoy's default, so that no other
//! endpoint coming or going moves it. Periods are told by the proxy's own time: nothing is sent for
//! them, and they go on while Seaway is away.

use seaway_proto::envoy::types::HashPolicy;
use seaway_proto::envoy::types::hash_policy::{FilterState, PolicySpecifier, SourceIp};

use super::filter_state::Note;
use crate::model::Family;
use crate::plan::Affinity;

/// What Envoy 1.36 can both make of a text and hash is an address with a port. The name is that of
/// a place for one which nothing reads here.
const STATE: &str = "envoy.network.transport_socket.original_dst_address";
/// Periods count in a port number.
const PERIODS: u32 = 60_000;

/// What is to be noted before the client is hashed.
pub(super) fn note(affinity: &Affinity, family: Family) -> Option<Note> {
    let client = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%";
    let client = match family {
        Family::V4 => client.to_owned(),
        Family::V6 => format!("[{client}]"),
    };
    match affinity {
        Affinity::ForGood => None,
        Affinity::Periods { timeout, phase } => {
            let now = format!("(int(request.time) + {phase}) / {timeout}");
            let text = format!("{client}:%CEL({now} - {now} / {PERIODS} * {PERIODS})%");
            Some(Note::new(STATE, text).computed())
        }
    }
}

/// What a TCP proxy hashes.
pub(super) fn hash_policy(affinity: &Affinity) -> HashPolicy {
    let policy = match affinity {
        Affinity::ForGood => PolicySpecifier::SourceIp(SourceIp {}),
        Affinity::Periods { .. } => PolicySpecifier::FilterState(FilterState {
            key: STATE.to_owned(),
        }),
    };
    HashPolicy {
        policy_specifier: Some(policy),
    }
}
