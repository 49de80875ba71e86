//! Authenticates the tokens of proxies by TokenReview, with a cache so that the API server is asked
//! as seldom as can be.
//!
//! A token is checked locally first ([`token`]), which refuses most of what is not one.
//! [`review_broker`] matches waiting streams with reviews, [`cache`] keeps verdicts and when to
//! review again, [`review_queue`] decides which review is next; all three are plain state, owned by
//! the one task here. [`mod@review`] sends the TokenReview and judges its answer.
//!
//! A token in use is reviewed again every few minutes, since tokens cannot be revoked otherwise
//! than by deleting the object they are bound to. For that the text of an accepted token has to be
//! kept, in memory that is zeroed when it is freed and in a type whose `Debug` never shows it; a
//! refused token is known by its hash alone.

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

/// How many tokens may wait to be taken in by the task.
const QUEUE: usize = 256;

/// A service account whose token the API server has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The namespace of the service account.
    pub(crate) namespace: Arc<str>,
    /// The name of the service account.
    pub(crate) name: Arc<str>,
    /// The node that the token is bound to, itself or by its pod (KEP-4193). API servers before
    /// 1.30 name none.
    pub(crate) node: Option<Arc<str>>,
    /// The pod that the token is bound to.
    pub(crate) pod: Option<Arc<str>>,
    /// When the token expires. Streams that it admitted have to end then; nothing is cancelled.
    pub(crate) expires: SystemTime,
    /// Cancelled when a review refuses the token: its pod, node or account is gone. For that the
    /// task has to run, and it does for as long as there is a [`Tokens`].
    pub(crate) revoked: CancellationToken,
}

/// The reason why a token is not accepted. No message contains the token, or more than one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It cannot be valid; the API server was not asked.
    #[error("the token cannot be accepted: {0}")]
    Malformed(#[from] Flaw),
    /// The API server refuses it.
    #[error("the API server does not accept the token: {0}")]
    NotAccepted(String),
    /// The API server does not answer.
    #[error("the API server cannot be asked about the token: {0}")]
    Unavailable(String),
    /// Too many tokens are waiting for a review.
    #[error("too many tokens are waiting for a review")]
    Busy,
}

/// The label `outcome` of `token_reviews_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The metrics of token reviews. Clones share their values.
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

/// Verifies the tokens of proxies by TokenReview. Clones share the cache.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    audience: Arc<str>,
    asks: mpsc::Sender<Ask>,
}

/// A token to verify, and where the answer goes.
type Ask = (Token, oneshot::Sender<Answer>);

impl Tokens {
    /// Starts the task that reviews tokens for this audience by `client`, which needs the
    /// permission to create TokenReviews.
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
            broker: ReviewBroker::new(limits, fastrand::Rng::new()),
            asked,
            reviews: FuturesUnordered::new(),
        };
        supervisor.spawn("the review of tokens", task.run());
        Tokens { audience, asks }
    }

    /// The service account of a token, from the cache or by a review. Takes ten seconds at most.
    ///
    /// # Errors
    /// The token is not accepted; [`Refusal`] says why.
    pub(crate) async fn verify(&self, token: &str) -> Result<Arc<Account>, Refusal> {
        let token = Token::read(token, &self.audience, SystemTime::now(), now())?;
        let (asker, answer) = oneshot::channel();
        let ended = || Refusal::Unavailable("tokens are no longer reviewed".to_owned());
        let asked = self.asks.send((token, asker)).await;
        asked.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// A running TokenReview.
type Review = Pin<Box<dyn Future<Output = (Hash, Result<Verdict, Failure>)> + Send>>;

/// The task that runs TokenReviews for all clones of [`Tokens`].
struct Task {
    client: Client,
    audience: Arc<str>,
    metrics: TokenMetrics,
    broker: ReviewBroker<oneshot::Sender<Answer>>,
    asked: mpsc::Receiver<Ask>,
    reviews: FuturesUnordered<Review>,
}

impl Task {
    async fn run(mut self) {
        while self.step().await {
            while let Some(token) = self.broker.take(now()) {
                self.reviews.push(self.review(token));
            }
            for (asker, answer) in self.broker.answers() {
                // Its stream may have gone.
                let _ = asker.send(answer);
            }
            let cached = i64::try_from(self.broker.cached());
            self.metrics.cached.set(cached.unwrap_or(i64::MAX));
        }
    }

    /// Waits for one thing to do and does it. `false`: every [`Tokens`] is dropped.
    async fn step(&mut self) -> bool {
        let next = self.broker.next(now());
        tokio::select! {
            ask = self.asked.recv() => {
                let Some((token, asker)) = ask else {
                    return false;
                };
                self.broker.ask(token, asker, now());
            }
            Some((hash, result)) = self.reviews.next() => {
                self.metrics.count(&result);
                self.broker.reviewed(&hash, result, now());
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
