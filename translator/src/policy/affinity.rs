//! Session affinity: how long a client's connections go to the endpoint to which its address hashes
//! (Service rules 97 to 101).
//!
//! Such a choice lasts for ever. Where a short timeout is asked for, the client's address is hashed
//! together with the number of the current period: the timeouts since 1970, shifted for each
//! Service so that not all of them move at once. What this gives and costs is measured in
//! `docs/session-affinity.md`.

use std::num::NonZeroU32;

use crate::model::{AFFINITY_DEFAULT, ServiceKey};

/// The session affinity of a Service: for how long connections of one client go to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// A client keeps its endpoint as long as the endpoint is there.
    ForGood,
    /// A client keeps its endpoint for a period and may get another one in the next.
    Periods {
        /// The length of a period in seconds.
        timeout: NonZeroU32,
        /// Seconds by which the periods of this Service begin earlier.
        phase: u32,
    },
}

impl Affinity {
    /// The affinity of a Service with this timeout in seconds.
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
}
