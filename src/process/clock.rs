//! The clock of the tasks: that of tokio, so that tests may pause it.

use std::time::Instant;

/// The current time by the clock that [`sleep_until`] uses.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Sleeps until a moment, or for ever.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
