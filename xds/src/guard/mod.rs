//! Limits and watchdogs: how many streams may be opened, how many streams and how much memory each
//! identity and each client may have, and which peers have stalled.

pub(crate) mod admission;
pub(crate) mod identity;
pub(crate) mod identity_limits;
pub(crate) mod liveness;
pub(crate) mod log_limit;
pub(crate) mod memory;
mod token_bucket;
pub(crate) mod validity;
