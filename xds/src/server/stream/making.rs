//! The time between a client's question for what is made on demand and its making.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::store::missing::demand::Demand;

/// How long a stream waits at most. A gRPC client takes after 15 s for missing what it was not
/// sent.
const LONGEST: Duration = Duration::from_secs(10);

/// Waits until that is made for which a client asked. Until then its stream says nothing, and so
/// not that it does not exist. After a while it goes on without it: the writer is at a loss then,
/// and others wait as well.
#[derive(Default)]
pub(super) struct Making(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Making {
    /// Begins to wait for everything up to this number.
    pub(super) fn begin(&mut self, demand: &Arc<Demand>, number: u64) {
        let demand = demand.clone();
        self.0 = Some(Box::pin(async move {
            let _ = tokio::time::timeout(LONGEST, demand.made(number)).await;
        }));
    }

    /// Whether the wait has just ended; ready with `false` if there is none.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(making) = &mut self.0 else {
            return Poll::Ready(false);
        };
        making.as_mut().poll(cx).map(|()| {
            self.0 = None;
            true
        })
    }
}
