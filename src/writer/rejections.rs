//! What proxies reject, on its way back from the xDS server to the objects that it was made from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_xds::{QuarantineReason, Quarantined, RejectedResource, Snapshots};
use tokio::sync::watch;

use crate::process::clock::{now, sleep_until};

/// How often it is looked at, at most: proxies that reject something over and over are not worth
/// more.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows what proxies reject.
#[derive(Debug)]
pub(crate) struct Rejections {
    snapshots: Snapshots,
    changes: watch::Receiver<()>,
    /// Not to be looked at before.
    next: Instant,
}

impl Rejections {
    /// Follows what the proxies reject that read from here.
    pub(crate) fn of(snapshots: &Snapshots) -> Rejections {
        Rejections {
            snapshots: snapshots.clone(),
            changes: snapshots.rejections(),
            next: now(),
        }
    }

    /// Waits until something else is rejected than when this was last called. Cancelling it loses
    /// nothing.
    pub(super) async fn changed(&mut self) {
        sleep_until(Some(self.next)).await;
        if self.changes.changed().await.is_err() {
            // Nobody publishes any more.
            std::future::pending::<()>().await;
        }
        self.next = now() + PAUSE;
    }

    /// What is held back from proxies that were not sent it yet: the origin of each content, and why
    /// in words.
    pub(super) fn held_back(&self) -> Vec<(Arc<str>, String)> {
        let all = self.snapshots.quarantined().into_iter();
        all.map(|held| (held.origin.clone(), why(&held))).collect()
    }

    /// All that is rejected now.
    pub(super) fn all(&self) -> Vec<RejectedResource> {
        self.snapshots.rejected()
    }
}

/// Why a content is held back, in words.
fn why(held: &Quarantined) -> String {
    let instead = match held.instead {
        Some(_) => "they are sent what it was before",
        None => "they are sent nothing in its place",
    };
    match &held.reason {
        QuarantineReason::Rejected { by, error } => {
            let count = by.len();
            format!("the proxies of {count} identities rejected it; {instead}: {error}")
        }
        QuarantineReason::TooLarge { bytes } => {
            format!("with {bytes} bytes it is larger than gRPC clients accept; {instead}")
        }
    }
}
