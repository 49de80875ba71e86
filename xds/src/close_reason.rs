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

impl CloseReason {
    pub(crate) const ALL: [CloseReason; 8] = [
        CloseReason::Age,
        CloseReason::Shutdown,
        CloseReason::Idle,
        CloseReason::Refused,
        CloseReason::Stalled,
        CloseReason::Expired,
        CloseReason::Revoked,
        CloseReason::Crowded,
    ];

    /// Its name in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            CloseReason::Age => "age",
            CloseReason::Shutdown => "shutdown",
            CloseReason::Idle => "idle",
            CloseReason::Refused => "refused",
            CloseReason::Stalled => "stalled",
            CloseReason::Expired => "expired",
            CloseReason::Revoked => "revoked",
            CloseReason::Crowded => "crowded",
        }
    }
}
