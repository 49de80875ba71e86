//! Asks the API server what the rounds of probes want to know, beside the watch and not on its way.

use std::time::Duration;

use futures::AsyncBufRead;
use kube::api::{ListParams, Request, WatchParams};
use tokio::time::{sleep_until, timeout};

use super::{Rounds, Sight, Task, Verdict};
use crate::admin::freshness::{Outcome, Position};
use crate::kube::client::within;
use crate::kube::resource::Resource;
use crate::kube::watch::{LIST_PAUSE, MAX_OBJECT, Watch, read_line};
use crate::kube::wire::{Failure, Line, Page};
use crate::process::clock::now;

/// API servers count the time of watches in seconds.
const LEAST_LOOK: Duration = Duration::from_secs(1);
/// How long after its time a second watch is waited for.
const GRACE: Duration = Duration::from_secs(2);

impl Watch {
    /// Holds the watch against the API server again and again, for ever.
    pub(in crate::kube::watch) async fn probe(&self, resource: Resource, random: fastrand::Rng) {
        let (probing, mut random) = (self.probing, random);
        if probing.every.is_zero() {
            std::future::pending().await
        }
        let selective = self.selector.is_some() || resource.fields().is_some();
        let mut rounds = Rounds::new(probing, selective, now(), random.f64());
        loop {
            sleep_until(rounds.due().into()).await;
            match rounds.task(now(), self.position()) {
                Some(Task::Probe) => {
                    rounds.schedule(now(), random.f64());
                    self.ask(&mut rounds, resource).await;
                }
                Some(Task::Look { after, up_to }) => {
                    self.look(&mut rounds, resource, (after, up_to)).await;
                }
                None if now() >= rounds.due() => rounds.schedule(now(), random.f64()),
                None => {}
            }
            self.health.set_stale(rounds.is_stale());
        }
    }

    fn position(&self) -> Position {
        self.health.freshness().position()
    }

    async fn ask(&self, rounds: &mut Rounds, resource: Resource) {
        match self.newest(resource).await {
            Ok(version) => {
                let seen = version.parse().ok();
                match rounds.probed(now(), seen, self.position()) {
                    Some(verdict) => self.conclude(&verdict, seen),
                    None => self.health.freshness().answered(),
                }
            }
            Err(failure) => self.unanswered(resource, failure),
        }
    }

    async fn look(&self, rounds: &mut Rounds, resource: Resource, (after, up_to): (u64, u64)) {
        match self.sight(resource, after, up_to).await {
            Ok(sight) => {
                let verdict = rounds.looked(now(), up_to, &sight, self.position());
                self.conclude(&verdict, Some(up_to));
            }
            Err(failure) => {
                rounds.failed(now());
                self.unanswered(resource, failure);
            }
        }
    }

    fn conclude(&self, verdict: &Verdict, seen: Option<u64>) {
        self.health.freshness().probed(verdict.outcome, seen);
        if !verdict.list {
            return;
        }
        tracing::warn!(
            source = "kube",
            watch = self.scope.name(),
            reached = ?self.position(),
            seen,
            proven = verdict.outcome == Outcome::Behind,
            "the API server has versions that the watch is not told of; the kind is listed anew"
        );
        self.health.freshness().want_list();
    }

    /// The watch itself says what is wrong with the server, if it notices.
    fn unanswered(&self, resource: Resource, failure: Failure) {
        let failure = match resource.is_secret() {
            true => failure.unquoted(),
            false => failure,
        };
        let watch = self.scope.name();
        tracing::debug!(source = "kube", watch, %failure, "a probe of the API server failed");
        let outcome = match failure.is_forbidden() {
            true => Outcome::Forbidden,
            false => Outcome::Failed,
        };
        self.health.freshness().probed(outcome, None);
    }

    /// The resourceVersion that the API server's storage is at. No label is asked for: the server
    /// would look through the whole storage for an object that has it.
    async fn newest(&self, resource: Resource) -> Result<String, Failure> {
        let params = ListParams {
            field_selector: resource.fields(),
            limit: Some(1),
            ..ListParams::default()
        };
        let request = Request::new(self.path(resource)).list(&params)?;
        let asked = self.client.whole(request, MAX_OBJECT);
        let text = within(LIST_PAUSE.min(self.silence), asked).await?;
        Ok(Page::parse(&text, resource)?.version)
    }

    /// Opens a watch for a moment. API servers send a bookmark two seconds before a watch is to
    /// end.
    async fn sight(&self, resource: Resource, after: u64, up_to: u64) -> Result<Sight, Failure> {
        let params = WatchParams {
            label_selector: self.selector.clone(),
            field_selector: resource.fields(),
            timeout: u32::try_from(self.probing.look.max(LEAST_LOOK).as_secs()).ok(),
            bookmarks: true,
            send_initial_events: false,
        };
        let request = Request::new(self.path(resource)).watch(&params, &after.to_string())?;
        let limit = self.probing.look.max(LEAST_LOOK) + GRACE;
        let body = match within(limit, self.client.stream(request)).await {
            Err(failure) if failure.is_gone() => return Ok(Sight::Nothing),
            body => body?,
        };
        let body = std::pin::pin!(body);
        match timeout(limit, first(body, resource, up_to)).await {
            Ok(sight) => sight,
            Err(_) => Ok(Sight::Nothing),
        }
    }
}

/// The first thing of use that a watch brings.
async fn first(
    mut body: impl AsyncBufRead + Unpin,
    resource: Resource,
    up_to: u64,
) -> Result<Sight, Failure> {
    let mut line = Vec::new();
    while read_line(&mut body, &mut line).await? {
        let version = match Line::parse(&line, resource)? {
            Line::Applied(raw) | Line::Deleted(raw) => {
                let (_, version) = resource.identify(raw)?;
                return Ok(version.parse().map_or(Sight::Nothing, Sight::Change));
            }
            Line::Bookmark { version, .. } => version.parse().unwrap_or_default(),
            Line::Failed(failure) if failure.is_gone() => return Ok(Sight::Nothing),
            Line::Failed(failure) => return Err(failure),
        };
        if version >= up_to {
            return Ok(Sight::Bookmark(version));
        }
    }
    Ok(Sight::Nothing)
}
