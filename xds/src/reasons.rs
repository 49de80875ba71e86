//! The reasons for which the server closes connections and denies streams: the values of the label
//! `reason` of two metrics.

use tonic::{Code, Status};

/// Declares an enum of reasons, each with the value of the label `reason` that stands for it.
macro_rules! reasons {
    (
        $(#[$of_all:meta])*
        enum $name:ident {
            $($(#[$of_one:meta])* $variant:ident => $label:literal,)*
        }
    ) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name {
            $($(#[$of_one])* $variant,)*
        }

        impl $name {
            /// All reasons.
            pub(crate) const ALL: &[$name] = &[$($name::$variant,)*];

            /// The value of the metrics' label `reason`.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $label,)*
                }
            }
        }
    };
}

reasons! {
    /// The reason for which the server closes a connection.
    enum CloseReason {
        /// The connection has reached the maximal age of connections.
        Age => "age",
        /// Others serve better than this server: it sheds its connections.
        Shed => "shed",
        /// The server shuts down.
        Shutdown => "shutdown",
        /// The connection has had no stream for long, or has never had one.
        Idle => "idle",
        /// The only stream of the connection was refused: the next attempt may find another
        /// replica.
        Refused => "refused",
        /// The peer does not take the bytes that wait for it.
        Stalled => "stalled",
        /// A proof of the proxy's identity has expired.
        Expired => "expired",
        /// A proof of the proxy's identity was revoked.
        Revoked => "revoked",
        /// There were too many connections, and this one had not opened a stream.
        Crowded => "crowded",
    }
}

reasons! {
    /// The reason for which a stream is denied by authentication or authorization.
    enum DenyReason {
        /// The caller did not prove its identity.
        Unauthenticated => "unauthenticated",
        /// The caller may not have what it asked for.
        Forbidden => "forbidden",
        /// The caller has reached one of its limits.
        Limit => "limit",
        /// Authentication or authorization failed otherwise.
        Other => "other",
    }
}

impl DenyReason {
    /// The reason that the status of a denied stream stands for.
    pub(crate) fn of(status: &Status) -> DenyReason {
        match status.code() {
            Code::Unauthenticated => DenyReason::Unauthenticated,
            Code::PermissionDenied => DenyReason::Forbidden,
            Code::ResourceExhausted => DenyReason::Limit,
            _ => DenyReason::Other,
        }
    }
}
