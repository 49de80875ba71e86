//! The task that runs one list-and-watch: sends the requests that its [`Cursor`] wants, hands it
//! the answers, and waits after failures. What a watch is past is fetched by its name ([`fetch`]).
//! Beside that, each watch is held against what the API server says otherwise ([`freshness`]).

mod fetch;
mod freshness;

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use kube::api::{ListParams, Request, VersionMatch, WatchParams};
use seaway_translator::{ObjectId, ObjectKind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::client::{Client, within};
use super::cluster_state::{Scope, Wants};
use super::cursor::{Ask, Cursor, News};
use super::optional::{Doubt, Refusals};
use super::resource::Resource;
use super::wire::{Failure, Page};
use crate::admin::watch_status::{self, How};
use crate::process::outside::quote;

pub(crate) use freshness::Probing;

/// The longest line of a watch, in bytes. No object is nearly as large: etcd takes 1.5 MiB.
const MAX_LINE: u64 = 16 << 20;
/// The largest page, in bytes: [`Resource::page`] objects, of which none is nearly as large as a
/// line.
const MAX_PAGE: usize = 512 << 20;
/// The largest answer with one object and the list around it, in bytes.
const MAX_OBJECT: usize = 16 << 20;
/// The `timeoutSeconds` of watches: about the shortest that client-go asks for.
const KEEP: Duration = Duration::from_secs(290);
/// How long the server may take to send the next line of a streaming list. An old server never
/// sends the bookmark that ends the list.
const LIST_PAUSE: Duration = Duration::from_secs(10);
/// A watch that ends sooner than this, without a line, counts as failed.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// A report to the source.
#[derive(Debug)]
pub(super) enum Message {
    /// What the watch of this number received.
    News(usize, News),
    /// There is no object of this name.
    Nowhere(ObjectId),
    /// The watch of this number lacks a permission, and its kind is optional: there is no waiting
    /// for it.
    Forbidden(usize),
    /// The API server does not serve this kind.
    Absent(ObjectKind),
}

/// One list-and-watch of a kind, which reports to the source.
pub(super) struct Watch {
    pub number: usize,
    pub scope: Scope,
    pub client: Client,
    /// The label selector of the requests.
    pub selector: Option<String>,
    /// How long a watch may be silent before it is closed and asked for anew.
    pub silence: Duration,
    /// How often the watch is held against the API server.
    pub probing: Probing,
    /// Which objects are kept and fetched by name; `None` is all that there are.
    pub wants: Option<Wants>,
    pub health: Arc<watch_status::Watch>,
    pub news: mpsc::Sender<Message>,
}

/// Why one list or watch request ended, and so what the watch does next.
enum Stop {
    Failed(Failure),
    /// There is more to fetch than a list costs.
    Anew,
    /// The watch is not told what others are.
    Behind,
    /// The receiver of reports is dropped.
    Unheard,
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Watch {
    /// Lists and watches a kind that is not optional, until the receiver of reports is dropped.
    pub(super) async fn run(self, random: fastrand::Rng) {
        self.follow(Resource::of(self.scope.kind), None, random)
            .await;
    }

    /// Lists and watches until the receiver of reports is dropped. Where the kind is optional,
    /// `doubt` is told of answers that say there is no such kind.
    pub(super) async fn follow(
        &self,
        resource: Resource,
        doubt: Option<&Doubt>,
        random: fastrand::Rng,
    ) {
        self.needed().await;
        let mut random = random;
        let probes = self.probe(resource, random.fork());
        tokio::select! {
            () = self.read(resource, doubt, random) => {}
            () = probes => {}
        }
    }

    async fn read(&self, resource: Resource, doubt: Option<&Doubt>, random: fastrand::Rng) {
        let mut cursor = Cursor::new(resource, self.wants.clone());
        let mut backoff = Backoff::new(random);
        let mut refusals = Refusals::default();
        loop {
            match self.step(&mut cursor).await {
                Ok(()) => refusals.end(),
                Err(Stop::Anew) => cursor.start_over(),
                Err(Stop::Behind) => cursor.start_over_in_pages(),
                Err(Stop::Unheard) => return,
                Err(Stop::Failed(failure)) => {
                    let failure = match resource.is_secret() {
                        true => failure.unquoted(),
                        false => failure,
                    };
                    let failure = failure.at(&self.client.place(&self.path(resource)));
                    if cursor.failed(&failure) {
                        self.unconfirmed(&failure);
                    }
                    match doubt {
                        Some(doubt) => self.doubt(doubt, &failure, &mut refusals).await,
                        None => self.health.failed(&failure, how(&failure)),
                    }
                    let wait = backoff.after(&failure, Instant::now().into_std());
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Takes in a failure of a watch whose kind is optional.
    async fn doubt(&self, doubt: &Doubt, failure: &Failure, refusals: &mut Refusals) {
        if failure.is_not_found() {
            doubt.raise();
        }
        let info = self.scope.kind.info();
        let (plural, group) = (info.plural, info.group());
        let permission = format!("list and watch of {plural} in the API group {group:?}");
        self.failed(failure, &permission);
        if refusals.persist(failure, Instant::now(), doubt.patience) {
            self.forbidden().await;
        }
    }

    /// Notes a failure of a watch whose kind is optional, and that needs this permission.
    pub(super) fn failed(&self, failure: &Failure, permission: &str) {
        if failure.is_forbidden() {
            let why = format!("{failure}; missing permission: {permission}");
            self.health.failed(&why, how(failure));
        } else {
            self.health.failed(failure, how(failure));
        }
    }

    /// Reports that a permission is missing. If nobody hears it, nothing waits for it either.
    pub(super) async fn forbidden(&self) {
        let _ = self.news.send(Message::Forbidden(self.number)).await;
    }

    /// Sends one request and takes in its answer up to its end.
    async fn step(&self, cursor: &mut Cursor) -> Result<(), Stop> {
        let request = Request::new(self.path(cursor.resource()));
        match cursor.ask() {
            Ask::List { token } => {
                let token = token.map(str::to_owned);
                let news = self.page(&request, token, cursor).await?;
                self.tell(news).await
            }
            Ask::StreamList => self.stream(&request, None, cursor).await,
            Ask::Check { version } => {
                let version = version.to_owned();
                let reached = self.check(&request, version, cursor.resource()).await?;
                Ok(cursor.checked(&reached)?)
            }
            Ask::Watch { version } => {
                let version = version.to_owned();
                self.stream(&request, Some(version), cursor).await
            }
        }
    }

    fn path(&self, resource: Resource) -> String {
        resource.path(self.scope.namespace.as_deref())
    }

    async fn page(
        &self,
        request: &Request,
        token: Option<String>,
        cursor: &mut Cursor,
    ) -> Result<Option<News>, Failure> {
        if token.is_none() {
            self.begin_list();
            self.health.freshness().lists();
        }
        let params = ListParams {
            label_selector: self.selector.clone(),
            field_selector: cursor.resource().fields(),
            limit: Some(cursor.resource().page()),
            continue_token: token,
            ..ListParams::default()
        };
        let request = request.list(&params)?;
        let text = within(self.silence, self.client.whole(request, MAX_PAGE)).await?;
        let page = Page::parse(&text, cursor.resource())?;
        let news = cursor.page(&page)?;
        self.health.heard();
        self.note(cursor, news.as_ref());
        Ok(news)
    }

    /// Asks for one object, of a server that has reached this resourceVersion; returns the one it
    /// has reached.
    ///
    /// # Errors
    /// It has not reached it, or there is no answer.
    async fn check(
        &self,
        request: &Request,
        version: String,
        resource: Resource,
    ) -> Result<String, Failure> {
        let params = ListParams {
            limit: Some(1),
            field_selector: resource.fields(),
            resource_version: Some(version),
            version_match: Some(VersionMatch::NotOlderThan),
            ..ListParams::default()
        };
        let asked = self.client.whole(request.list(&params)?, MAX_OBJECT);
        let text = within(LIST_PAUSE.min(self.silence), asked).await?;
        Ok(Page::parse(&text, resource)?.version)
    }

    /// Logs that the server lets watches begin but does not tell its resourceVersion.
    fn unconfirmed(&self, failure: &Failure) {
        let watch = self.scope.name();
        tracing::warn!(
            source = "kube",
            watch,
            %failure,
            "the API server does not tell its resourceVersion; if it was restored from a backup, restart Seaway"
        );
    }

    /// Reads the lines of a watch or a streaming list until it ends or fails.
    async fn stream(
        &self,
        request: &Request,
        version: Option<String>,
        cursor: &mut Cursor,
    ) -> Result<(), Stop> {
        if version.is_none() {
            self.begin_list();
        }
        let params = self.watch_params(cursor.resource(), version.is_none());
        let request = request.watch(&params, &version.unwrap_or_default())?;
        let opened = Instant::now();
        let body = within(self.silence, self.client.stream(request)).await?;
        cursor.opened();
        self.health.opened();
        if matches!(cursor.ask(), Ask::Check { .. }) {
            return Ok(());
        }
        let mut body = std::pin::pin!(body);
        let (mut line, mut lines) = (Vec::new(), 0_u64);
        loop {
            if !self.next_line(cursor, &mut body, &mut line).await? {
                return ended(cursor, lines, opened.elapsed());
            }
            lines += 1;
            let news = cursor.line(&line)?;
            self.health.heard();
            self.note(cursor, news.as_ref());
            self.tell(news).await?;
        }
    }

    /// Notes how far the watch is.
    fn note(&self, cursor: &Cursor, news: Option<&News>) {
        let freshness = self.health.freshness();
        match (cursor.reached(), news) {
            (None, _) => freshness.lists(),
            (Some(version), Some(News::Reset { items, .. })) => {
                let versions = items.iter().map(|item| item.version.parse());
                freshness.listed(version, versions.flatten().max().unwrap_or_default());
            }
            (Some(version), news) => freshness.streamed(version, news.is_some()),
        }
    }

    async fn tell(&self, news: Option<News>) -> Result<(), Stop> {
        let Some(news) = news else {
            return Ok(());
        };
        if matches!(news, News::Reset { .. }) {
            self.health.synced();
        }
        let told = self.news.send(Message::News(self.number, news)).await;
        told.map_err(|_| Stop::Unheard)
    }

    fn watch_params(&self, resource: Resource, list: bool) -> WatchParams {
        WatchParams {
            label_selector: self.selector.clone(),
            field_selector: resource.fields(),
            timeout: u32::try_from(KEEP.as_secs()).ok(),
            bookmarks: true,
            send_initial_events: list,
        }
    }
}

fn how(failure: &Failure) -> How {
    match failure {
        Failure::Unreachable(_) | Failure::Refused { .. } => How::Away,
        Failure::Silent(_) => How::Silent,
        _ => How::Wrong,
    }
}

/// Takes in the end of a watch, which is a failure if it came too early.
fn ended(cursor: &mut Cursor, lines: u64, lasted: Duration) -> Result<(), Stop> {
    let list = matches!(cursor.ask(), Ask::StreamList);
    if list || (lines == 0 && lasted < TOO_SHORT) {
        let why = if list {
            "in the middle of a list"
        } else {
            "at once"
        };
        let closed = || Failure::Unreachable(format!("the watch was closed {why}"));
        return Err(cursor.unreadable_line().unwrap_or_else(closed).into());
    }
    cursor.ended();
    Ok(())
}

/// Reads the next line into `line`. `false`: the body has ended.
async fn read_line(
    body: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> Result<bool, Failure> {
    line.clear();
    let read = body.take(MAX_LINE).read_until(b'\n', line).await;
    match read.map_err(cut)? {
        0 => Ok(false),
        _ if line.ends_with(b"\n") => Ok(true),
        read if u64::try_from(read).is_ok_and(|read| read >= MAX_LINE) => Err(Failure::Foreign(
            format!("a line of more than {MAX_LINE} bytes"),
        )),
        _ => Err(Failure::Unreachable(
            "the connection was cut in the middle of a line".into(),
        )),
    }
}

fn cut(error: std::io::Error) -> Failure {
    Failure::Unreachable(quote(&format!("the connection was cut: {error}")))
}
