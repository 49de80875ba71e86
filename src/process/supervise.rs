//! Supervises tasks: when one that serving needs panics or ends, the process ends.
//!
//! Tasks that serving needs are [`Supervisor::spawn`]ed: their end ends the process with a line
//! that names the task. Work that may fail is [`contained`]: its caller counts a panic and tries
//! again. Every panic is a log line and counts in `panics_total` ([`crate::process::log`]).

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::anyhow;
use tokio::sync::mpsc;
use tokio::task::JoinError;

use crate::process::exit::Failure;

/// Spawns tasks that have to run until the process ends. Clones report to one [`Ended`].
#[derive(Clone, Debug)]
pub(crate) struct Supervisor(mpsc::UnboundedSender<(String, Option<JoinError>)>);

/// Receives the end of tasks that a [`Supervisor`] has spawned.
#[derive(Debug)]
pub(crate) struct Ended(mpsc::UnboundedReceiver<(String, Option<JoinError>)>);

/// A supervisor, and the receiver of its tasks' ends.
pub(crate) fn supervisor() -> (Supervisor, Ended) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Supervisor(sender), Ended(receiver))
}

impl Supervisor {
    /// Spawns a task that is to run until the process ends; `part` is its name in the error.
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
    /// Waits for the next task that ends, and makes it the reason to end the process.
    pub(crate) async fn next(&mut self) -> Failure {
        match self.0.recv().await {
            Some((part, error)) => {
                early(&part, error.map_or(Ok(None), |error: JoinError| Err(error)))
            }
            None => std::future::pending().await,
        }
    }
}

/// The failure for a part that ended too early.
pub(crate) fn early(part: &str, ended: Result<Option<anyhow::Error>, JoinError>) -> Failure {
    Failure::Broken(match ended {
        Ok(None) => anyhow!("{part} ended"),
        Ok(Some(error)) => error.context(format!("{part} ended")),
        Err(error) => anyhow!("{part} ended: {error}"),
    })
}

/// Runs work on which nothing depends. `None`: it panicked, and the state it worked on has to be
/// discarded.
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
