//! Why the server closes a connection.

/// Why a connection ends, if not by its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CloseReason {
    /// It is as old as connections get.
    Age,
    /// The server ends.
    Shutdown,
    /// It has had no stream for long, or never one.
    Idle,
    /// Its only stream was refused: the next attempt may find another replica.
    Refused,
    /// Its peer does not take what waits for it.
    Stalled,
    /// The proof of who the proxy is has ended.
    Expired,
    /// That proof was withdrawn.
    Revoked,
    /// There were too many, and it had not opened a stream.
    Crowded,
}
