//! What is asked of the writer: explanations, and which objects stand.
//!
//! It answers between two commits, so questions are paced: for as long as one took, four times as
//! long none is asked. Whoever asks takes at most a fifth of the writer's time.

pub(super) mod explain;
pub(super) mod objects;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::Response;
use seaway_translator::Translator;
use tokio::sync::Mutex;

use super::Inspect;
use super::guard::error;
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
    let mut next = inspect.pace.0.lock().await;
    if let Some(at) = *next {
        tokio::time::sleep_until(at.into()).await;
    }
    let answer = inspect.asker.ask(move |translator| {
        let begin = Instant::now();
        (about(translator), begin.elapsed())
    });
    let ending = || {
        error(
            StatusCode::SERVICE_UNAVAILABLE,
            "this process is about to end",
        )
    };
    let (answer, took) = answer.await.ok_or_else(ending)?;
    *next = Some(Instant::now() + (took * REST).min(LONGEST));
    Ok(answer)
}
