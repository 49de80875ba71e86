//! Session affinity: a client's connections go to the endpoint that its address hashes to (Service rules 97 to 101).
//!
//! The hash of an endpoint is that of its own address, which is Envoy's default, so that no other endpoint coming or going moves it.
//! Such a choice lasts for ever. Where a short timeout is asked for, the client's address is hashed together with the number of the
//! current period: the timeouts since 1970, shifted for each Service so that not all of them move at once. The proxy takes the time
//! from the connection: nothing is sent for it, and it goes on while Seaway is away. What this gives and costs is measured in
//! `docs/session-affinity.md`.

use std::num::NonZeroU32;

use seaway_proto::envoy::types::HashPolicy;
use seaway_proto::envoy::types::hash_policy::{FilterState, PolicySpecifier, SourceIp};

use super::filter_state::Note;
use crate::model::{AFFINITY_DEFAULT, Family, ServiceKey};

/// What Envoy 1.36 can both make of a text and hash is an address with a port. The name is that of a place for one which nothing
/// reads here.
const STATE: &str = "envoy.network.transport_socket.original_dst_address";
/// Periods count in a port number.
const PERIODS: u32 = 60_000;

/// How long a client stays with its endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// As long as the endpoint is there.
    ForGood,
    /// For a period.
    Periods {
        /// Its length in seconds.
        timeout: NonZeroU32,
        /// Seconds by which the periods of this Service begin earlier.
        phase: u32,
    },
}

impl Affinity {
    /// That of a Service with this timeout in seconds.
    pub(crate) fn new(service: &ServiceKey, timeout: NonZeroU32) -> Affinity {
        if timeout >= AFFINITY_DEFAULT {
            return Affinity::ForGood;
        }
        // FNV-1a: any function that is the same on every replica and in every version would do.
        let hash = service
            .to_string()
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        let phase = hash % timeout;
        Affinity::Periods { timeout, phase }
    }

    /// What is to be noted before the client is hashed.
    pub(super) fn note(&self, family: Family) -> Option<Note> {
        let client = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%";
        let client = match family {
            Family::V4 => client.to_owned(),
            Family::V6 => format!("[{client}]"),
        };
        match self {
            Affinity::ForGood => None,
            Affinity::Periods { timeout, phase } => {
                let now = format!("(int(request.time) + {phase}) / {timeout}");
                let text = format!("{client}:%CEL({now} - {now} / {PERIODS} * {PERIODS})%");
                Some(Note::new(STATE, text).computed())
            }
        }
    }

    /// What a TCP proxy hashes.
    pub(super) fn hash_policy(&self) -> HashPolicy {
        let policy = match self {
            Affinity::ForGood => PolicySpecifier::SourceIp(SourceIp {}),
            Affinity::Periods { .. } => PolicySpecifier::FilterState(FilterState {
                key: STATE.to_owned(),
            }),
        };
        HashPolicy {
            policy_specifier: Some(policy),
        }
    }
}
