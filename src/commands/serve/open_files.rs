//! Shares out the process's open files: connections of proxies never get those that its own work
//! needs. A source that cannot open a file or a connection, a checkpoint that cannot be written and
//! a probe that is not answered harm all proxies; one that is turned away tries again.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::admin;

/// Files that are reserved for the source, the checkpoint, certificates, listeners, the runtime and
/// standard streams, several times over.
const OWN: usize = 96;
/// How many connections of proxies are allowed however few files there are.
const LEAST: usize = 16;

/// Raises the limit of open files as far as it goes: the usual soft limit of 1024 is for programs
/// that use `select`, which this one does not. Returns how many connections of proxies there is
/// room for.
pub(crate) fn share_out() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, limit.current, "the limit of open files, which limits connections, cannot be raised");
            limit.current
        }
    };
    for_proxies(limit)
}

fn for_proxies(limit: Option<u64>) -> usize {
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let room = limit.saturating_sub(OWN + admin::CONNECTIONS);
    if room < LEAST {
        tracing::warn!(
            limit,
            "the limit of open files is too low for Seaway and its connections; set it to {} or more",
            OWN + admin::CONNECTIONS + LEAST
        );
    }
    room.max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_have_what_the_process_does_not_need_itself() {
        assert_eq!(for_proxies(None), usize::MAX - OWN - admin::CONNECTIONS);
        assert_eq!(for_proxies(Some(4096)), 4096 - OWN - admin::CONNECTIONS);
        assert_eq!(for_proxies(Some(256)), 256 - OWN - admin::CONNECTIONS);
        assert_eq!(for_proxies(Some(64)), LEAST);
    }
}
