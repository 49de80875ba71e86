//! Whose a token is: the API server says so (TokenReview), and is asked as seldom as can be.
//!
//! A token is looked at first ([`presented`]), which refuses most of what is not one without a question. [`desk`] knows who waits for
//! which answer, [`cache`] what has been answered and when to ask again, [`turns`] whose turn it is; all three are plain state, owned by
//! the one task here. [`mod@review`] is the question, and what its answer means.
//!
//! A token in use is asked about again every few minutes, since those who issue tokens cannot call them back otherwise than by
//! deleting what they are bound to. For that the text of an accepted token has to be kept, in memory that is wiped when it goes and in a
//! type that never shows it; a refused token is known by its hash alone.

mod cache;
mod limits;
mod review;
mod review_broker;
mod review_queue;
mod token;

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures::stream::{FuturesUnordered, StreamExt};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::wire::Failure;
use crate::process::clock::{now, sleep_until};
use crate::process::supervise::Supervisor;
use limits::Limits;
use review::{Verdict, review};
use review_broker::{Answer, ReviewBroker};
use token::{Flaw, Hash, Token};

/// Questions that the task has not taken in yet.
const QUEUE: usize = 256;

/// A service account that the API server vouches for.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Of the service account.
    pub(crate) namespace: Arc<str>,
    /// Of the service account.
    pub(crate) name: Arc<str>,
    /// The node that the token is bound to, itself or by its pod (KEP-4193). API servers before 1.30 name none.
    pub(crate) node: Option<Arc<str>>,
    /// The pod that the token is bound to.
    pub(crate) pod: Option<Arc<str>>,
    /// When the token expires. What it was good for is to end then; nothing is cancelled.
    pub(crate) expires: SystemTime,
    /// Cancelled when the API server no longer vouches for it: its pod, node or account is gone. For that the task has to run, and it
    /// does for as long as there is a [`Tokens`].
    pub(crate) revoked: CancellationToken,
}

/// Why a token is not taken. No text has the token in it, or more than one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It cannot be one. Nobody was asked.
    #[error("the token cannot be accepted: {0}")]
    Malformed(#[from] Flaw),
    /// The API server does not vouch for it.
    #[error("the API server does not accept the token: {0}")]
    NotAccepted(String),
    /// The API server does not say.
    #[error("the API server cannot be asked about the token: {0}")]
    Unavailable(String),
    /// Too many ask at once.
    #[error("too many tokens are to be reviewed at once")]
    Busy,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Counts reviews; clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenMetrics {
    reviews: Family<OutcomeLabel, Counter>,
    cached: Gauge,
}

impl TokenMetrics {
    /// Registers `token_reviews_total{outcome}` and `tokens_cached`.
    pub(crate) fn register(registry: &mut Registry) -> TokenMetrics {
        let metrics = TokenMetrics::default();
        let help = "Reviews of tokens by the API server, by outcome: accepted, refused or failed";
        registry.register("token_reviews", help, metrics.reviews.clone());
        let help = "Accepted tokens that are known";
        for outcome in ["accepted", "refused", "failed"] {
            drop(metrics.reviews.get_or_create(&OutcomeLabel { outcome }));
        }
        registry.register("tokens_cached", help, metrics.cached.clone());
        metrics
    }

    fn count(&self, result: &Result<Verdict, Failure>) {
        let outcome = match result {
            Ok(Verdict::Accepted(_)) => "accepted",
            Ok(Verdict::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        self.reviews.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

/// Checks tokens; clones share what is known.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    audience: Arc<str>,
    asks: mpsc::Sender<Ask>,
}

/// A token, and who asks about it.
type Ask = (Token, oneshot::Sender<Answer>);

impl Tokens {
    /// Begins to check tokens for this audience, as `client`, which needs the permission to create TokenReviews.
    pub(crate) fn start(
        client: Client,
        audience: String,
        metrics: TokenMetrics,
        supervisor: &Supervisor,
    ) -> Tokens {
        Tokens::with(client, audience, metrics, supervisor, Limits::default())
    }

    fn with(
        client: Client,
        audience: String,
        metrics: TokenMetrics,
        supervisor: &Supervisor,
        limits: Limits,
    ) -> Tokens {
        let audience: Arc<str> = audience.into();
        let (asks, asked) = mpsc::channel(QUEUE);
        let task = Task {
            client,
            audience: audience.clone(),
            metrics,
            desk: ReviewBroker::new(limits, fastrand::Rng::new()),
            asked,
            reviews: FuturesUnordered::new(),
        };
        supervisor.spawn("the review of tokens", task.run());
        Tokens { audience, asks }
    }

    /// Whose token this is, by what the API server has said or says now. Takes ten seconds at most.
    ///
    /// # Errors
    /// Nobody is known to be vouched for; [`Refusal`] says why.
    pub(crate) async fn verify(&self, token: &str) -> Result<Arc<Account>, Refusal> {
        let token = Token::read(token, &self.audience, SystemTime::now(), now())?;
        let (asker, answer) = oneshot::channel();
        let ended = || Refusal::Unavailable("tokens are no longer reviewed".to_owned());
        let asked = self.asks.send((token, asker)).await;
        asked.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// A review under way.
type Review = Pin<Box<dyn Future<Output = (Hash, Result<Verdict, Failure>)> + Send>>;

/// Asks the API server, for all [`Tokens`].
struct Task {
    client: Client,
    audience: Arc<str>,
    metrics: TokenMetrics,
    desk: ReviewBroker<oneshot::Sender<Answer>>,
    asked: mpsc::Receiver<Ask>,
    reviews: FuturesUnordered<Review>,
}

impl Task {
    async fn run(mut self) {
        while self.step().await {
            while let Some(token) = self.desk.take(now()) {
                self.reviews.push(self.review(token));
            }
            for (asker, answer) in self.desk.answers() {
                // Its stream may have gone.
                let _ = asker.send(answer);
            }
            let cached = i64::try_from(self.desk.cached());
            self.metrics.cached.set(cached.unwrap_or(i64::MAX));
        }
    }

    /// Waits for something to do. `false`: nobody can ask any more.
    async fn step(&mut self) -> bool {
        let next = self.desk.next(now());
        tokio::select! {
            ask = self.asked.recv() => {
                let Some((token, asker)) = ask else {
                    return false;
                };
                self.desk.ask(token, asker, now());
            }
            Some((hash, result)) = self.reviews.next() => {
                self.metrics.count(&result);
                self.desk.reviewed(&hash, result, now());
            }
            () = sleep_until(next) => {}
        }
        true
    }

    fn review(&self, token: Token) -> Review {
        let (client, audience) = (self.client.clone(), self.audience.clone());
        Box::pin(async move {
            let result = review(&client, &token, &audience).await;
            (token.hash, result)
        })
    }
}

#[cfg(test)]
mod tests;
