//! Whether the API server may have gone back in time, and how that is found out.

use crate::kube::wire::Failure;

/// How often a server that lets watches begin, but is busy, is asked for its resourceVersion.
pub(super) const TRIES: u8 = 5;

/// Whether the server may be at an earlier resourceVersion than the known one. After an outage it
/// may have been restored from a backup; such a server sends nothing on a watch until it gets
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// No doubt: the server was not away, or it has been asked.
    None,
    /// It is asked for its resourceVersion.
    Check,
    /// It refused to say. If it lets a watch begin, the refusal holds; else it has not started
    /// completely.
    Probe,
    /// It has let a watch begin, and is asked again, while it is busy up to [`TRIES`] times.
    Confirm(u8),
}

impl Doubt {
    /// The doubt after a failure.
    pub(super) fn after(self, failure: &Failure) -> Doubt {
        match failure {
            Failure::Unreachable(_) | Failure::Silent(_) | Failure::Foreign(_) => Doubt::Check,
            Failure::Refused { code, .. } => match self {
                Doubt::Check => Doubt::Probe,
                Doubt::Probe => Doubt::Check,
                // It may say so a little later.
                Doubt::Confirm(tries) if (*code == 429 || *code >= 500) && tries < TRIES => {
                    Doubt::Confirm(tries + 1)
                }
                Doubt::Confirm(_) | Doubt::None => Doubt::None,
            },
            _ => self,
        }
    }
}
