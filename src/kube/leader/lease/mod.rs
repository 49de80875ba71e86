//! Elects one of several replicas by a Lease (`coordination.k8s.io/v1`), for what only one of them
//! is to do: writing status and Services. Serving never depends on it.
//!
//! [`election`] is the decision, as plain state; here are the requests. A [`Candidate`] is a task,
//! and its [`Seat`] says whether this replica is the leader now. Nobody asks for the Lease before
//! there is something to do for a leader ([`Seat::stand`]).

mod election;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use k8s_openapi::jiff::Timestamp;
use kube::api::{GetParams, PostParams, Request};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::kube::client::{Client, within};
use crate::kube::wire::{self, Failure};
use crate::process::clock::now;
pub(super) use election::Times;
use election::{Election, KIND, Step};

/// How long the API server may take for a request: a leader whose renewal takes longer can still
/// try again before it has to stop.
const LIMIT: Duration = Duration::from_secs(5);
/// How long it may take to release the Lease at the end.
const LAST: Duration = Duration::from_secs(2);
/// The largest answer, in bytes. It has the Lease.
const MAX_ANSWER: usize = 1 << 20;

/// Where a Lease is: its namespace and name.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub namespace: String,
    pub name: &'static str,
}

/// The task that tries to hold a Lease.
#[derive(Debug)]
pub(super) struct Candidate {
    client: Client,
    place: Place,
    retry: Duration,
    election: Election,
    wanted: watch::Receiver<bool>,
    until: watch::Sender<Option<Instant>>,
    /// The failure that has been logged, until a request succeeds.
    failing: Option<Failure>,
    random: fastrand::Rng,
}

/// Whether this replica is the leader.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    wanted: watch::Sender<bool>,
    until: watch::Receiver<Option<Instant>>,
}

impl Seat {
    /// Has the Lease asked for from now on.
    pub(super) fn stand(&self) {
        self.wanted
            .send_if_modified(|wanted| !std::mem::replace(wanted, true));
    }

    /// Until when this replica is the leader, as of now.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.borrow().filter(|until| *until > now)
    }

    /// Waits until [`Seat::until`] may have changed other than by time.
    pub(super) async fn changed(&mut self) {
        if self.until.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A candidate of this identity, which no other process may have, and its seat.
pub(super) fn candidate(
    client: Client,
    place: Place,
    identity: String,
    times: Times,
) -> (Candidate, Seat) {
    let (wanted, is_wanted) = watch::channel(false);
    let (until, is_until) = watch::channel(None);
    let candidate = Candidate {
        client,
        election: Election::new(identity, place.name.to_owned(), times),
        place,
        retry: times.retry,
        wanted: is_wanted,
        until,
        failing: None,
        random: fastrand::Rng::new(),
    };
    let seat = Seat {
        wanted,
        until: is_until,
    };
    (candidate, seat)
}

impl Candidate {
    /// Tries to hold the Lease until `stop` is cancelled, and releases it then.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.contend()).await;
        if self.election.until().is_some() {
            self.until.send_replace(None);
            // Else the next leader has to wait until the Lease has ended.
            let _ = within(LAST, self.release()).await;
        }
    }

    async fn contend(&mut self) {
        if self.wanted.wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
        loop {
            let tried = AssertUnwindSafe(self.attempt()).catch_unwind().await;
            let tried = tried.unwrap_or_else(|_| Err(panicked()));
            self.told(tried);
            let until = self.election.until();
            self.until.send_if_modified(|before| {
                let is_new = *before != until;
                *before = until;
                is_new
            });
            // Those who wait do not all ask at the same moment.
            let jitter = 1.0 + self.random.f64() / 5.0;
            tokio::time::sleep(self.retry.mul_f64(jitter)).await;
        }
    }

    /// Looks at the Lease, and takes or renews it if that is due.
    ///
    /// # Errors
    /// A request failed.
    async fn attempt(&mut self) -> Result<(), Failure> {
        let step = match self.election.next(Timestamp::now()) {
            Step::Read => {
                let lease = self.read().await?;
                self.election.read(lease, now(), Timestamp::now())
            }
            step => Some(step),
        };
        let Some(step) = step else {
            return Ok(());
        };
        let sent = now();
        let written = self.write(step).await;
        match written {
            Ok(lease) => self.election.wrote(lease, sent),
            Err(failure) => {
                self.election.failed();
                // Somebody else wrote, created or deleted it meanwhile: it is read again.
                let raced = failure.is_conflict() || failure.is_not_found();
                return if raced { Ok(()) } else { Err(failure) };
            }
        }
        Ok(())
    }

    /// Logs a failure once until a request succeeds.
    fn told(&mut self, tried: Result<(), Failure>) {
        let Err(failure) = tried else {
            self.failing = None;
            return;
        };
        let known = self.failing.as_ref() == Some(&failure);
        if !known {
            let missing = failure.is_forbidden().then(|| {
                let namespace = &self.place.namespace;
                format!(
                    "; missing permission: get, create and update of leases in the API group \"coordination.k8s.io\" in the namespace {namespace:?}"
                )
            });
            let why = format!("{failure}{}", missing.unwrap_or_default());
            tracing::warn!(
                source = "kube",
                why,
                "the Lease of the replica that writes status cannot be used; serving does not depend on it"
            );
        }
        self.failing = Some(failure);
    }

    /// Gives the Lease back.
    async fn release(&mut self) -> Result<(), Failure> {
        let Some(lease) = self.read().await? else {
            return Ok(());
        };
        if let Some(free) = self.election.release(lease, Timestamp::now()) {
            self.write(Step::Replace(free)).await?;
        }
        Ok(())
    }

    /// The path of the Leases of its namespace.
    fn path(&self) -> String {
        let namespace = &self.place.namespace;
        format!("/apis/{}/namespaces/{namespace}/leases", KIND.0)
    }

    async fn read(&self) -> Result<Option<Value>, Failure> {
        let request = Request::new(self.path());
        let request = request.get(self.place.name, &GetParams::default())?;
        match self.ask(request).await {
            Ok(lease) => Ok(Some(lease)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn write(&self, step: Step) -> Result<Value, Failure> {
        let (request, parameters) = (Request::new(self.path()), PostParams::default());
        let request = match step {
            Step::Read => request.get(self.place.name, &GetParams::default())?,
            Step::Create(lease) => request.create(&parameters, lease.to_string().into_bytes())?,
            Step::Replace(lease) => {
                let text = lease.to_string().into_bytes();
                request.replace(self.place.name, &parameters, text)?
            }
        };
        self.ask(request).await
    }

    async fn ask(&self, request: axum::http::Request<Vec<u8>>) -> Result<Value, Failure> {
        let answer = within(LIMIT, self.client.whole(request, MAX_ANSWER)).await;
        let lease = answer.and_then(|text| wire::parse(&text, KIND.0, KIND.1));
        lease.map_err(|failure| failure.at(&self.client.place(&self.path())))
    }
}

/// The failure that stands for a panic, of which the log has more.
fn panicked() -> Failure {
    Failure::Garbled("the election of a leader panicked".to_owned())
}

#[cfg(test)]
mod tests;
