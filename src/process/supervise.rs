//! What becomes of a part of the process that panics, or ends although nobody asked it to: nothing that serves goes on without one it needs.
//!
//! Parts that serving needs are [`Supervisor::spawn`]ed: the process ends with a line that names the part. What is done as well as can be is
//! [`contained`]: it is tried again, and counted by whoever does it. Every panic is a log line and counts in `panics_total` ([`crate::process::log`]).

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::anyhow;
use tokio::sync::mpsc;
use tokio::task::JoinError;

use crate::process::exit::Failure;

/// Starts parts; clones report to the same [`Ended`].
#[derive(Clone, Debug)]
pub(crate) struct Supervisor(mpsc::UnboundedSender<(String, Option<JoinError>)>);

/// Hears of parts that ended.
#[derive(Debug)]
pub(crate) struct Ended(mpsc::UnboundedReceiver<(String, Option<JoinError>)>);

/// A supervisor, and who hears of what it starts.
pub(crate) fn supervisor() -> (Supervisor, Ended) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Supervisor(sender), Ended(receiver))
}

impl Supervisor {
    /// Starts a part that is to run until the process ends.
    pub(crate) fn spawn(
        &self,
        part: impl Into<String>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let (ended, part) = (self.0.clone(), part.into());
        let task = tokio::spawn(task);
        tokio::spawn(async move {
            let result = task.await;
            // While the process ends nobody wants to know.
            let _ = ended.send((part, result.err()));
        });
    }
}

impl Ended {
    /// The next part that ended, as the reason to end the process.
    pub(crate) async fn next(&mut self) -> Failure {
        match self.0.recv().await {
            Some((part, error)) => {
                early(&part, error.map_or(Ok(None), |error: JoinError| Err(error)))
            }
            None => std::future::pending().await,
        }
    }
}

/// A part ended although nobody asked it to.
pub(crate) fn early(part: &str, ended: Result<Option<anyhow::Error>, JoinError>) -> Failure {
    Failure::Broken(match ended {
        Ok(None) => anyhow!("{part} ended"),
        Ok(Some(error)) => error.context(format!("{part} ended")),
        Err(error) => anyhow!("{part} ended: {error}"),
    })
}

/// Does work of which nothing depends. `None`: it panicked, and what it worked on has to be thrown away.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_is_named_with_its_reason() {
        let (supervisor, mut ended) = supervisor();
        supervisor.spawn("the rest", std::future::pending());
        supervisor.spawn("the watch of nodes", async { panic!("out of luck") });
        let failure = ended.next().await.to_string();
        let words = ["the watch of nodes ended", "panicked", "out of luck"];
        assert!(words.iter().all(|word| failure.contains(word)), "{failure}");
        supervisor.spawn("the keeper", async {});
        assert_eq!(ended.next().await.to_string(), "the keeper ended");
    }

    #[test]
    fn contained_work_may_panic() {
        assert_eq!(contained(|| 1), Some(1));
        assert_eq!(contained(|| -> u32 { panic!("out of luck") }), None);
    }
}
