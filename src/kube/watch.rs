//! The thin shell around a [`Cursor`]: asks what it wants asked, hands it what comes, waits when the server does not answer.

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use kube::api::{ListParams, Request, VersionMatch, WatchParams};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::client::{Client, within};
use super::cluster_state::Scope;
use super::cursor::{Ask, Cursor, News};
use super::wire::{Failure, Page, quote};
use crate::admin::watch_status::{self, How};

/// Objects asked for at once. Small pages keep memory small: of 250 slices with a hundred endpoints each it takes 8 MB.
const PAGE: u32 = 250;
/// No object is nearly as large: etcd takes 1.5 MiB.
const MAX_LINE: u64 = 16 << 20;
/// No page is as large: [`PAGE`] objects of which none is nearly as large as a line.
const MAX_PAGE: usize = 512 << 20;
/// Nor is one object, with the list around it.
const MAX_OBJECT: usize = 16 << 20;
/// For how long the server is asked to keep a watch: as long as its own clients ask for at least.
const KEEP: Duration = Duration::from_secs(290);
/// How long the server may take to send the next line of a streaming list. An old one never says that the list is complete.
const LIST_PAUSE: Duration = Duration::from_secs(10);
/// A watch that ends sooner, and without a word, is one that the server cannot keep.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// What a watch says, and which one.
pub(super) type Message = (usize, News);

/// One watch.
pub(super) struct Watch {
    pub number: usize,
    pub scope: Scope,
    pub client: Client,
    /// Only objects with these labels.
    pub selector: Option<String>,
    /// A watch that has been silent for so long is asked for anew.
    pub silence: Duration,
    pub health: Arc<watch_status::Watch>,
    pub news: mpsc::Sender<Message>,
}

/// Why a step ended.
enum Stop {
    Failed(Failure),
    /// Nobody listens any longer.
    Unheard,
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Watch {
    /// Watches until nobody listens.
    pub(super) async fn run(self, random: fastrand::Rng) {
        let mut cursor = Cursor::new(self.scope.resource);
        let mut backoff = Backoff::new(random);
        loop {
            match self.step(&mut cursor).await {
                Ok(()) => {}
                Err(Stop::Unheard) => return,
                Err(Stop::Failed(failure)) => {
                    let failure = failure.at(&self.client.place(&self.path()));
                    if cursor.failed(&failure) {
                        self.unconfirmed(&failure);
                    }
                    self.health.failed(&failure, how(&failure));
                    let wait = backoff.after(&failure, Instant::now().into_std());
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// One request, up to the end of its answer.
    async fn step(&self, cursor: &mut Cursor) -> Result<(), Stop> {
        let request = Request::new(self.path());
        match cursor.ask() {
            Ask::List { token } => {
                let token = token.map(str::to_owned);
                let news = self.page(&request, token, cursor).await?;
                self.tell(news).await
            }
            Ask::StreamList => self.follow(&request, None, cursor).await,
            Ask::Check { version } => {
                let version = version.to_owned();
                let reached = self.check(&request, version).await?;
                Ok(cursor.checked(&reached)?)
            }
            Ask::Watch { version } => {
                let version = version.to_owned();
                self.follow(&request, Some(version), cursor).await
            }
        }
    }

    fn path(&self) -> String {
        self.scope.resource.path(self.scope.namespace.as_deref())
    }

    async fn page(
        &self,
        request: &Request,
        token: Option<String>,
        cursor: &mut Cursor,
    ) -> Result<Option<News>, Failure> {
        let params = ListParams {
            label_selector: self.selector.clone(),
            limit: Some(PAGE),
            continue_token: token,
            ..ListParams::default()
        };
        let request = request.list(&params)?;
        let text = within(self.silence, self.client.whole(request, MAX_PAGE)).await?;
        let page = Page::parse(&text, self.scope.resource)?;
        let news = cursor.page(&page)?;
        self.health.heard();
        Ok(news)
    }

    /// Asks for one object, of a server that has reached this version. Which one it has reached.
    ///
    /// # Errors
    /// It has not, or there is no answer.
    async fn check(&self, request: &Request, version: String) -> Result<String, Failure> {
        let params = ListParams {
            limit: Some(1),
            resource_version: Some(version),
            version_match: Some(VersionMatch::NotOlderThan),
            ..ListParams::default()
        };
        let asked = self.client.whole(request.list(&params)?, MAX_OBJECT);
        let text = within(LIST_PAUSE.min(self.silence), asked).await?;
        Ok(Page::parse(&text, self.scope.resource)?.version)
    }

    /// The server lets us watch, but does not say how far it is.
    fn unconfirmed(&self, failure: &Failure) {
        let watch = self.scope.name();
        tracing::warn!(
            source = "kube",
            watch,
            %failure,
            "the server does not say how far it is; if it was restored from a backup, restart Seaway"
        );
    }

    /// Reads the lines of a watch, or of a list as a stream, until it ends or fails.
    async fn follow(
        &self,
        request: &Request,
        version: Option<String>,
        cursor: &mut Cursor,
    ) -> Result<(), Stop> {
        let params = self.watch_params(version.is_none());
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
            let pause = match cursor.ask() {
                Ask::StreamList => LIST_PAUSE.min(self.silence),
                _ => self.silence,
            };
            if !within(pause, read_line(&mut body, &mut line)).await? {
                return ended(cursor, lines, opened.elapsed());
            }
            lines += 1;
            let news = cursor.line(&line)?;
            self.health.heard();
            self.tell(news).await?;
        }
    }

    async fn tell(&self, news: Option<News>) -> Result<(), Stop> {
        let Some(news) = news else {
            return Ok(());
        };
        if matches!(news, News::Reset { .. }) {
            self.health.synced();
        }
        let told = self.news.send((self.number, news)).await;
        told.map_err(|_| Stop::Unheard)
    }

    fn watch_params(&self, list: bool) -> WatchParams {
        WatchParams {
            label_selector: self.selector.clone(),
            timeout: u32::try_from(KEEP.as_secs()).ok(),
            bookmarks: true,
            send_initial_events: list,
            ..WatchParams::default()
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

/// The end of a watch is nothing unusual, except too early.
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

/// Reads the next line into `line`. `false`: there is none.
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
