//! How many, how often, how long.

use std::time::Duration;

/// What the review of tokens may cost, us and the API server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A token in use is looked at again after about so long.
    pub every: Duration,
    /// One that was refused then, once more after so long: an API server that has just started, or that has lost its storage, refuses
    /// tokens for want of what it would look them up in.
    pub confirm: Duration,
    /// One that could not be looked at, after about so long.
    pub retry: Duration,
    /// A new token that was refused is not asked about again for so long.
    pub refused_for: Duration,
    /// How long a new token waits for its turn.
    pub patience: Duration,
    /// Reviews at the same time.
    pub in_flight: usize,
    /// Reviews at once after a while without, and one for each `each` after that.
    pub burst: u32,
    pub each: Duration,
    /// New tokens that wait for their turn.
    pub waiting: usize,
    /// Streams that wait for an answer.
    pub askers: usize,
    /// Accepted tokens that are known. Of each the text is kept, one or two thousand bytes.
    pub accepted: usize,
    /// Refused tokens that are remembered, by their hash alone.
    pub refused: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            every: Duration::from_secs(5 * 60),
            confirm: Duration::from_secs(15),
            retry: Duration::from_secs(30),
            refused_for: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            in_flight: 32,
            burst: 200,
            each: Duration::from_millis(10),
            waiting: 1000,
            askers: 20_000,
            accepted: 20_000,
            refused: 10_000,
        }
    }
}
