//! The limits of token reviews: how many, how often, how long.

use std::time::Duration;

/// The limits that keep token reviews cheap for Seaway and for the API server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The period after which a token in use is reviewed again.
    pub every: Duration,
    /// The period after which a token that was refused then is reviewed once more: an API server
    /// that has just started, or that has lost its storage, refuses tokens because it cannot look
    /// up what they are bound to.
    pub confirm: Duration,
    /// The period after which a failed review is repeated.
    pub retry: Duration,
    /// How long the refusal of a new token is cached.
    pub refused_for: Duration,
    /// How long a new token waits for a review to begin.
    pub patience: Duration,
    /// How many reviews may run at the same time.
    pub in_flight: usize,
    /// How many reviews may begin at once after a while without any; after that one for each
    /// `each`.
    pub burst: u32,
    pub each: Duration,
    /// How many new tokens may wait for a review.
    pub waiting: usize,
    /// How many streams may wait for an answer.
    pub askers: usize,
    /// How many accepted tokens are cached. Of each the text is kept, one or two thousand bytes.
    pub accepted: usize,
    /// How many refused tokens are cached, by their hash alone.
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
