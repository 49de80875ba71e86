//! Questions about what the translator decided: asked by the inspection API, answered by the writer
//! between two commits.

use std::fmt;

use seaway_translator::Translator;
use tokio::sync::{mpsc, oneshot};

/// How many questions may wait for the writer.
const WAITING: usize = 4;

/// Something that is asked of the translator. It is answered on the writer's task, so an answer
/// takes microseconds, or a few milliseconds for a Service with thousands of endpoints.
pub(crate) struct Question(Box<dyn FnOnce(&Translator) + Send>);

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").finish_non_exhaustive()
    }
}

impl Question {
    /// Has the translator answer.
    pub(crate) fn answer(self, translator: &Translator) {
        (self.0)(translator);
    }
}

/// Asks the writer. Clones ask the same one.
#[derive(Clone, Debug)]
pub(crate) struct Asker(mpsc::Sender<Question>);

impl Asker {
    /// A channel of questions.
    pub(crate) fn channel() -> (Asker, mpsc::Receiver<Question>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Asker(sender), receiver)
    }

    /// What `about` says of the translator, as of all that was applied; `None` if nobody answers
    /// any more.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        about: impl FnOnce(&Translator) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let question = Question(Box::new(move |translator| {
            // Whoever asked may have gone.
            let _ = answer.send(about(translator));
        }));
        self.0.send(question).await.ok()?;
        answered.await.ok()
    }
}
