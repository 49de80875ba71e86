//! The validity of the proofs of identity that a connection's streams rest on.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::future::select_all;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::guard::identity::Identity;
use crate::reasons::CloseReason;

/// The proofs of identity that a connection's streams rest on, and a notification of changes.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    proofs: Mutex<Proofs>,
    changed: Notify,
}

/// When the first of a connection's proofs expires, and the tokens by which each may be revoked.
#[derive(Clone, Debug, Default)]
struct Proofs {
    /// When the first of the proofs expires.
    until: Option<Instant>,
    /// The revocation token of each identity: one, unless streams of several proxies share the
    /// connection.
    revoked: SmallVec<[(Arc<str>, CancellationToken); 1]>,
}

impl Validity {
    /// Adds the proof by which a stream was let in.
    pub(crate) fn rest_on(&self, identity: &Identity) {
        let until = identity.expires.map(from_now);
        let mut proofs = self.lock();
        let earliest = proofs.until.into_iter().chain(until).min();
        let mut changed = earliest != proofs.until;
        proofs.until = earliest;
        if let Some(token) = &identity.revoked {
            changed = true;
            proofs.revoked.retain(|(name, _)| *name != identity.name);
            proofs.revoked.push((identity.name.clone(), token.clone()));
        }
        drop(proofs);
        if changed {
            self.changed.notify_one();
        }
    }

    /// Waits until one of the proofs has expired or was revoked.
    pub(crate) async fn ended(&self) -> CloseReason {
        loop {
            let changed = self.changed.notified();
            let Proofs { until, revoked } = self.lock().clone();
            tokio::select! {
                () = changed => {}
                () = sleep_until(until) => return CloseReason::Expired,
                () = any(&revoked) => return CloseReason::Revoked,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Proofs> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The timer's moment for a time of the calendar: later changes of the clock do not matter.
fn from_now(time: SystemTime) -> Instant {
    /// The longest wait, with which no sum overflows.
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
    let left = time.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.min(LONGEST)
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => pending().await,
    }
}

async fn any(revoked: &[(Arc<str>, CancellationToken)]) {
    if revoked.is_empty() {
        return pending().await;
    }
    select_all(revoked.iter().map(|(_, token)| Box::pin(token.cancelled()))).await;
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn identity(name: &str, left: Option<u64>, revoked: Option<&CancellationToken>) -> Identity {
        Identity {
            name: name.into(),
            principal: name.into(),
            kind: "token",
            expires: left.map(|left| SystemTime::now() + Duration::from_secs(left)),
            revoked: revoked.cloned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_proof_to_end_counts() {
        let validity = Validity::default();
        let start = Instant::now();
        validity.rest_on(&identity("a", Some(100), None));
        let mut ended = Box::pin(validity.ended());
        assert!((&mut ended).now_or_never().is_none());
        validity.rest_on(&identity("b", Some(20), None));
        validity.rest_on(&identity("c", None, None));
        assert_eq!(ended.await, CloseReason::Expired);
        let passed = start.elapsed();
        assert!((19..=20).contains(&passed.as_secs()), "{passed:?}");
    }

    #[tokio::test]
    async fn a_proof_that_is_withdrawn_counts_at_once() {
        let (validity, token) = (Validity::default(), CancellationToken::new());
        let mut ended = Box::pin(validity.ended());
        assert!((&mut ended).now_or_never().is_none());
        validity.rest_on(&identity("a", None, Some(&token)));
        assert!((&mut ended).now_or_never().is_none());
        token.cancel();
        assert_eq!(ended.await, CloseReason::Revoked);
    }

    #[tokio::test]
    async fn a_newer_token_of_the_same_proxy_takes_the_place_of_the_older() {
        let (validity, old, new) = (
            Validity::default(),
            CancellationToken::new(),
            CancellationToken::new(),
        );
        validity.rest_on(&identity("a", None, Some(&old)));
        validity.rest_on(&identity("a", None, Some(&new)));
        let mut ended = Box::pin(validity.ended());
        old.cancel();
        assert!((&mut ended).now_or_never().is_none());
        new.cancel();
        assert_eq!(ended.await, CloseReason::Revoked);
    }
}
