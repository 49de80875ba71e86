//! How the open files of an Envoy are shared out. The shares of role `node` are equal to those in
//! `deploy/node/setup.sh`, which limits what Envoy does not: flows of UDP, and the connections of a
//! single client.

use rustix::process::{Resource, getrlimit};

/// Files that are reserved for logs, threads, the control plane, and clusters that resolve names.
const RESERVE: u64 = 1_000;

/// How an Envoy's limit of open files is divided: the connections of clients that it may have, so
/// that files are left for UDP flows, listeners and Envoy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// How many connections of clients there may be: each takes two files.
    pub connections: u64,
}

impl Shares {
    /// The shares of so many files, of which the sockets of listeners take `listeners`, else an
    /// eighth. Of the rest three quarters are for flows of UDP, a quarter for connections.
    pub(super) fn of(files: u64, listeners: Option<u64>) -> Shares {
        let listeners = listeners.unwrap_or(files / 8);
        let rest = files.saturating_sub(listeners).saturating_sub(RESERVE);
        Shares {
            // Few, where files are few, but some: and Envoy takes no 0 for an answer.
            connections: (rest / 8).max(files / 32).max(1),
        }
    }

    /// The shares of an Envoy of role `ingress`, which has few listeners and no flows of UDP: each
    /// connection of a client may have one to an endpoint.
    pub(super) fn of_ingress(files: u64) -> Shares {
        Shares {
            connections: (files.saturating_sub(RESERVE) / 2).max(files / 32).max(1),
        }
    }
}

/// How many files this process may have open at most; an Envoy started beside it may have as many.
/// Ten million and more count as no limit, as in `setup.sh`.
pub(super) fn own_limit() -> u64 {
    const UNLIMITED: u64 = 1 << 20;
    let limit = getrlimit(Resource::Nofile).maximum;
    limit
        .filter(|files| *files < 10_000_000)
        .unwrap_or(UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_add_up_to_more_than_there_is() {
        for (files, listeners) in [
            (1_048_576, None),
            (20_000, None),
            (20_000, Some(10_000)),
            (2_000, None),
        ] {
            let taken = listeners.unwrap_or(files / 8);
            let flows = (files - taken - RESERVE) / 4 * 3;
            let Shares { connections } = Shares::of(files, listeners);
            assert!(
                taken + flows + connections * 2 + RESERVE <= files,
                "{files}"
            );
            assert!(connections > 1, "{files}");
        }
        assert_eq!(
            Shares::of(1_048_576, None),
            Shares {
                connections: 114_563
            }
        );
        assert_eq!(Shares::of(10, None), Shares { connections: 1 });
        for (files, connections) in [(1_048_576, 523_788), (2_000, 500), (10, 1)] {
            assert_eq!(Shares::of_ingress(files), Shares { connections });
        }
    }
}
