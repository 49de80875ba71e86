//! One watch: the initial events, then every change that its filter sees, with bookmarks in
//! between.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::body::Content;
use super::faults::{Fault, spoiled};
use super::kinds::Kind;
use super::lines::{Lines, Over};
use super::object::{Object, head};
use super::query::{Call, Options};
use super::selector::Filter;
use super::shared::{Bell, Open, Settings, Shared};
use super::status::Refusal;
use super::store::{Change, Store};

/// The annotation of the bookmark that ends the initial events (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";
/// A time that no test lives to see.
const NEVER: Duration = Duration::from_secs(86_400);

/// What a watch begins with.
#[derive(Debug)]
struct Begin {
    initial: Vec<Arc<Object>>,
    /// The revision that is known to the client after the initial events.
    revision: u64,
    /// Whether a bookmark marks the end of the initial events.
    marked: bool,
}

struct Watch {
    shared: Arc<Shared>,
    kind: &'static Kind,
    filter: Filter,
    bookmarks: bool,
    /// Changes up to here have been sent.
    cursor: u64,
    deadline: Instant,
    last_bookmark: Instant,
    lines: Lines,
    /// What the bell said when it was last looked at.
    bell: Bell,
    _open: Open,
}

/// Starts a watch; its stream is written by a task of its own.
pub(super) fn start(
    shared: &Arc<Shared>,
    call: Call,
    taken: Vec<Fault>,
) -> Result<Content, Refusal> {
    let (options, settings) = (call.options()?, shared.settings());
    let begin = shared.read(|store| begin(store, call.kind, &options, &settings));
    let (writer, content) = Content::stream();
    let faults = shared.faults_of(&call, &taken);
    let expired = faults.iter().any(|fault| matches!(fault, Fault::Expired));
    let begin = match begin {
        Ok(_) if expired => Err(too_old(0, 0)),
        Err(refusal) if refusal.code == 410 && settings.gone_as_status => return Err(refusal),
        Err(refusal) if refusal.code != 410 => return Err(refusal),
        begin => begin,
    };
    let now = Instant::now();
    let limit = options.timeout.unwrap_or(settings.watch_timeout);
    let kind = call.kind;
    let open = Open::new(shared.clone(), kind);
    let mut lines = Lines::new(shared.clone(), call, taken, writer);
    match begin {
        Err(refusal) => drop(tokio::spawn(async move {
            let _ = lines.send(refusal.event()).await;
        })),
        Ok(begin) => {
            let watch = Watch {
                shared: shared.clone(),
                kind,
                filter: options.filter,
                bookmarks: options.bookmarks,
                cursor: begin.revision,
                deadline: now + limit.min(settings.watch_timeout),
                last_bookmark: now,
                bell: lines.bell(),
                lines,
                _open: open,
            };
            tokio::spawn(watch.run(begin));
        }
    }
    Ok(content)
}

fn too_old(asked: u64, oldest: u64) -> Refusal {
    Refusal::expired(format!("too old resource version: {asked} ({oldest})"))
}

/// Where a watch begins, by what is asked for.
fn begin(
    store: &Store,
    kind: &'static Kind,
    options: &Options,
    settings: &Settings,
) -> Result<Begin, Refusal> {
    let streaming = options.initial_events == Some(true);
    if options.initial_events.is_some() && !settings.streaming_lists {
        let why =
            "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return Err(Refusal::invalid_option("sendInitialEvents", why));
    }
    let current = store.revision();
    let state = |revision, marked| Begin {
        // A revision that is not compacted can be found.
        initial: store
            .at(kind, revision)
            .unwrap_or_default()
            .into_values()
            .filter(|object| options.filter.matches(object))
            .collect(),
        revision,
        marked,
    };
    let from = |revision| Begin {
        initial: Vec::new(),
        revision,
        marked: false,
    };
    match options.revision {
        Some(asked) if streaming && asked > current => Err(Refusal::too_large(asked, current)),
        Some(asked) if streaming => Ok(state(store.cached(settings.lag, asked), options.bookmarks)),
        None if streaming => Ok(state(current, options.bookmarks)),
        None | Some(0) if options.initial_events == Some(false) => Ok(from(current)),
        None => Ok(state(current, false)),
        Some(0) => Ok(state(store.cached(settings.lag, 0), false)),
        Some(asked) if asked < store.compacted() => Err(too_old(asked, store.compacted())),
        Some(asked) => Ok(from(asked)),
    }
}

impl Watch {
    async fn run(mut self, begin: Begin) {
        // The client went away, or a fault ended the stream: both are an end like any other.
        let _ = self.stream(begin).await;
    }

    async fn stream(&mut self, begin: Begin) -> Result<(), Over> {
        self.lines.gate().await?;
        while begin.marked && self.stuck().is_some() {
            self.lines.changed().await?;
        }
        for object in self.ordered(begin.initial) {
            self.event("ADDED", &object).await?;
        }
        if begin.marked {
            self.bookmark(true).await?;
        }
        loop {
            let heard = self.lines.bell();
            let bell = std::mem::replace(&mut self.bell, heard.clone());
            let failed = heard.failed(self.kind.resource);
            if failed != bell.failed(self.kind.resource) {
                return self.lines.send(Refusal::of_code(failed.1).event()).await;
            }
            self.lines.gate().await?;
            self.changes().await?;
            let ends = heard.ended(self.kind.resource) != bell.ended(self.kind.resource);
            if ends || Instant::now() >= self.deadline {
                return self.close().await;
            }
            if self.bookmarks && (heard.bookmarks != bell.bookmarks || self.is_bookmark_due()) {
                self.bookmark(false).await?;
            }
            let wake = self.deadline.min(self.next_bookmark());
            tokio::select! {
                over = self.lines.changed() => over?,
                () = sleep_until(wake) => {}
            }
        }
    }

    /// The real server sends a last bookmark shortly before it ends a watch.
    async fn close(&mut self) -> Result<(), Over> {
        if self.bookmarks {
            self.bookmark(false).await?;
        }
        Err(Over)
    }

    /// The initial events in their order.
    fn ordered(&self, mut objects: Vec<Arc<Object>>) -> Vec<Arc<Object>> {
        let seed = self
            .lines
            .faults()
            .into_iter()
            .find_map(|fault| match fault {
                Fault::Shuffle { seed } => Some(seed),
                _ => None,
            });
        if let Some(seed) = seed {
            objects.sort_by_key(|object| xxh3_64_with_seed(&object.item, seed));
        }
        objects
    }

    /// Sends everything that has changed.
    async fn changes(&mut self) -> Result<(), Over> {
        let (kind, cursor, filter) = (self.kind, self.cursor, &self.filter);
        let last = self.stuck().unwrap_or(u64::MAX);
        let (events, revision) = self.shared.read(|store| {
            let changes = store.since(kind, cursor);
            let events: Result<Vec<_>, _> = changes.map(|changes| {
                let changes = changes.filter(|change| change.revision <= last);
                changes.filter_map(|change| seen(change, filter)).collect()
            });
            (events, store.revision().min(last))
        });
        // A watch that is too slow for the history is ended, as by the real server.
        for (name, object) in events.map_err(|_| Over)? {
            self.event(name, &object).await?;
        }
        self.cursor = self.cursor.max(revision);
        Ok(())
    }

    async fn event(&mut self, name: &str, object: &Object) -> Result<(), Over> {
        let faults = self.lines.faults();
        let full = match spoiled(&faults, object) {
            Some(value) => Bytes::from(value.to_string()),
            None => object.full(),
        };
        let mut line = format!("{{\"type\":\"{name}\",\"object\":").into_bytes();
        line.extend_from_slice(&full);
        line.extend_from_slice(b"}\n");
        let line = Bytes::from(line);
        if faults.iter().any(|fault| matches!(fault, Fault::Repeat)) {
            self.lines.send(line.clone()).await?;
        }
        self.lines.send(line).await
    }

    async fn bookmark(&mut self, initial_end: bool) -> Result<(), Over> {
        self.last_bookmark = Instant::now();
        // The real server sends none that is older than where the watch began.
        if self.stuck().is_some_and(|at| at < self.cursor) {
            return Ok(());
        }
        let mut metadata =
            json!({"resourceVersion": self.cursor.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let head = head(self.kind);
        let line =
            format!("{{\"type\":\"BOOKMARK\",\"object\":{head}\"metadata\":{metadata}}}}}\n");
        self.lines.send(Bytes::from(line)).await
    }

    /// Where the watch cache stands still, if it does.
    fn stuck(&self) -> Option<u64> {
        self.lines
            .faults()
            .into_iter()
            .find_map(|fault| match fault {
                Fault::Stuck { at } => Some(at),
                _ => None,
            })
    }

    fn next_bookmark(&self) -> Instant {
        let pause = self.shared.settings().bookmarks;
        self.last_bookmark + pause.filter(|_| self.bookmarks).unwrap_or(NEVER)
    }

    fn is_bookmark_due(&self) -> bool {
        Instant::now() >= self.next_bookmark()
    }
}

/// What a change is for a filter: an object that it does not see any more is deleted, for all it
/// knows.
fn seen(change: &Change, filter: &Filter) -> Option<(&'static str, Arc<Object>)> {
    let of = |object: &Option<Arc<Object>>| object.clone().filter(|object| filter.matches(object));
    match (of(&change.before), of(&change.after)) {
        (None, Some(after)) => Some(("ADDED", after)),
        (Some(_), Some(after)) => Some(("MODIFIED", after)),
        (Some(before), None) => Some(("DELETED", Arc::new(before.at(change.revision)))),
        (None, None) => None,
    }
}
