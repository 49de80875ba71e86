//! Shedding: all connections that are open are closed with GOAWAY, spread over a while, and the
//! server goes on. Their proxies come back wherever they are let in.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;

/// Over how long the GOAWAYs are spread.
const WINDOW: Duration = Duration::from_secs(30);

/// Waits until a connection is to be shed. `chance`, below 1, is its place among all. Connections
/// that begin while others are shed stay: whether they may have streams is not decided here.
pub(crate) async fn shed(wanted: Option<watch::Receiver<bool>>, chance: f64) {
    let Some(mut wanted) = wanted else {
        return pending().await;
    };
    wanted.mark_unchanged();
    loop {
        if wanted.changed().await.is_err() {
            return pending().await;
        }
        if !*wanted.borrow_and_update() {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(WINDOW.mul_f64(chance)) => return,
            // It may be taken back.
            () = taken_back(&mut wanted) => {}
        }
    }
}

/// Waits until nothing is to be shed any more.
async fn taken_back(wanted: &mut watch::Receiver<bool>) {
    if wanted.wait_for(|wanted| !wanted).await.is_err() {
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_are_shed_one_after_the_other_and_new_ones_stay() {
        let (sender, wanted) = watch::channel(false);
        let begin = Instant::now();
        let early = tokio::spawn(shed(Some(wanted.clone()), 0.1));
        let late = tokio::spawn(shed(Some(wanted.clone()), 0.9));
        tokio::task::yield_now().await;
        sender.send_replace(true);
        early.await.unwrap();
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
        let new = timeout(2 * WINDOW, shed(Some(wanted), 0.5));
        assert!(new.await.is_err());
        late.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_back_in_time_closes_nothing() {
        let (sender, wanted) = watch::channel(false);
        let late = tokio::spawn(shed(Some(wanted), 0.9));
        tokio::task::yield_now().await;
        sender.send_replace(true);
        tokio::time::sleep(WINDOW / 2).await;
        sender.send_replace(false);
        tokio::time::sleep(2 * WINDOW).await;
        assert!(!late.is_finished());
        sender.send_replace(true);
        late.await.unwrap();
    }
}
