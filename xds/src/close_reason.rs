//! The reasons for which the server closes connections.

/// The reason for which the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CloseReason {
    /// The connection has reached the maximal age of connections.
    Age,
    /// The server shuts down.
    Shutdown,
    /// The connection has had no stream for long, or has never had one.
    Idle,
    /// The only stream of the connection was refused: the next attempt may find another replica.
    Refused,
    /// The peer does not take the bytes that wait for it.
    Stalled,
    /// A proof of the proxy's identity has expired.
    Expired,
    /// A proof of the proxy's identity was withdrawn.
    Revoked,
    /// There were too many connections, and this one had not opened a stream.
    Crowded,
}

impl CloseReason {
    /// All reasons.
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

    /// The value of the metrics' label `reason`.
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
