//! Session affinity: the parts of a connection that Envoy hashes to choose an endpoint.
//!
//! The hash of an endpoint is that of its own address, which is Envoy's default, so that no other
//! endpoint coming or going moves it. Periods are told by the proxy's own time: nothing is sent for
//! them, and they go on while Seaway is away.

use seaway_proto::envoy::types::HashPolicy;
use seaway_proto::envoy::types::hash_policy::{FilterState, PolicySpecifier, SourceIp};

use super::filter_state::Note;
use crate::model::Family;
use crate::plan::Affinity;

/// The filter state key of the value that is hashed. The only value that Envoy 1.36 can both make
/// of a text and hash is an address with a port; this key is meant for one, and nothing else reads
/// it here.
const STATE: &str = "envoy.network.transport_socket.original_dst_address";
/// The number of periods after which their count begins again: it is written as a port number.
const PERIODS: u32 = 60_000;

/// The filter state to be set before the client is hashed; `None` if its address alone is hashed.
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

/// The hash policy of a TCP proxy: the client's address, or the filter state with its period.
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
