//! What is asked of the writer: explanations, and which objects stand.
//!
//! It answers between two commits, so questions are paced: for as long as one took, four times as
//! long none is asked. Whoever asks takes at most a fifth of the writer's time.

pub(super) mod explain;
mod have;
pub(super) mod objects;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::Response;
use seaway_translator::Translator;
use tokio::sync::Mutex;

use super::Inspect;
use super::guard::error;
use crate::writer::Asker;
pub(crate) use objects::fingerprint;

/// How many times as long as an answer took the writer is left alone.
const REST: u32 = 4;
/// The longest rest.
const LONGEST: Duration = Duration::from_millis(500);

/// When the writer may be asked again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace(Arc<Mutex<Option<Instant>>>);

/// Asks the writer, when it may be asked.
async fn ask<T: Send + 'static>(
    inspect: &Inspect,
    about: impl FnOnce(&Translator) -> T + Send + 'static,
) -> Result<T, Response> {
    let ending = "this process is about to end";
    paced(&inspect.pace, &inspect.asker, about)
        .await
        .ok_or_else(|| error(StatusCode::SERVICE_UNAVAILABLE, ending))
}

/// The answer, or `None` if nobody answers any more.
async fn paced<T: Send + 'static>(
    pace: &Pace,
    asker: &Asker,
    about: impl FnOnce(&Translator) -> T + Send + 'static,
) -> Option<T> {
    let mut next = pace.0.clone().lock_owned().await;
    if let Some(at) = *next {
        tokio::time::sleep_until(at.into()).await;
    }
    let asker = asker.clone();
    // What is asked is answered, also when whoever asked has gone: the rest is kept all the same.
    let asking = tokio::spawn(async move {
        let answer = asker.ask(move |translator| {
            let begin = Instant::now();
            (about(translator), begin.elapsed())
        });
        let (answer, took) = answer.await?;
        *next = Some(Instant::now() + (took * REST).min(LONGEST));
        Some(answer)
    });
    asking.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use seaway_translator::Options;

    use super::*;

    #[tokio::test]
    async fn who_goes_away_shortens_no_rest() {
        let (pace, (asker, mut questions)) = (Pace::default(), Asker::channel());
        let translator = Translator::new(Options::default());
        let took = Duration::from_millis(20);
        let gone = paced(&pace, &asker, move |_| std::thread::sleep(took));
        assert!(tokio::time::timeout(took, gone).await.is_err());
        let question = questions.recv().await.unwrap();
        question.answer(&translator);
        let begin = Instant::now();
        let (answer, ()) = tokio::join!(paced(&pace, &asker, |_| 7), async {
            let question = questions.recv().await.unwrap();
            assert!(begin.elapsed() >= took * 3, "{:?}", begin.elapsed());
            question.answer(&translator);
        });
        assert_eq!(answer, Some(7));
    }
}
