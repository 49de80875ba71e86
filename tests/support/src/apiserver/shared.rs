//! What the test's side and the connections share.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Book};
use super::faults::{Fault, Faults};
use super::kinds::Kind;
use super::query::Call;
use super::status::Refusal;
use super::store::Store;

/// How the server behaves when nothing is wrong.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time between two bookmarks of a watch that allows them; `None` is never.
    pub bookmarks: Option<Duration>,
    /// Whether `limit` means anything.
    pub paging: bool,
    /// How many revisions the watch cache is behind: what may be answered from it
    /// (`resourceVersion=0`, `NotOlderThan`) is that old, if it is not older than asked for.
    pub lag: u64,
    /// Whether `sendInitialEvents` is known; without, it is refused with 422 as by a server whose
    /// WatchList feature is off.
    pub streaming_lists: bool,
    /// Whether a watch from a revision that is too old is refused with HTTP status 410, instead of
    /// being told in its first event.
    pub gone_as_status: bool,
    /// How long a watch lives that asks for no `timeoutSeconds`, and at most.
    pub watch_timeout: Duration,
    /// How many changes are remembered. Revisions before them are too old.
    pub history: usize,
    /// The bearer token that is asked for; `None` lets everybody in.
    pub token: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bookmarks: Some(Duration::from_secs(60)),
            paging: true,
            lag: 0,
            streaming_lists: true,
            gone_as_status: false,
            watch_timeout: Duration::from_secs(1800),
            history: 100_000,
            token: Some("seaway-test-token".to_owned()),
        }
    }
}

/// What watches are woken by.
#[derive(Clone, Debug, Default)]
pub(super) struct Bell {
    /// Counts commits, and changes of faults and settings.
    pub(super) rings: u64,
    /// Counts the bookmarks that the test asked for.
    pub(super) bookmarks: u64,
    /// Counts, by resource, how often the test ended the watches.
    pub(super) ended: BTreeMap<&'static str, u64>,
    /// Counts, by resource, how often the test let the watches fail, and with which code the last
    /// time.
    pub(super) failed: BTreeMap<&'static str, (u64, u16)>,
}

impl Bell {
    pub(super) fn ended(&self, resource: &str) -> u64 {
        self.ended.get(resource).copied().unwrap_or_default()
    }

    pub(super) fn failed(&self, resource: &str) -> (u64, u16) {
        self.failed.get(resource).copied().unwrap_or_default()
    }
}

/// Answers a POST of a resource that is not stored: review objects.
type Review = Arc<dyn Fn(Value) -> Value + Send + Sync>;

/// Reviews by path.
#[derive(Default)]
pub(super) struct Reviews(BTreeMap<String, Review>);

impl Debug for Reviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

pub(super) struct Shared {
    /// For connections to come; without, they are plain.
    pub(super) tls: watch::Sender<Option<TlsAcceptor>>,
    store: Mutex<Store>,
    /// The kinds that are served now.
    installed: Mutex<BTreeSet<&'static Kind>>,
    settings: Mutex<Settings>,
    faults: Mutex<Faults>,
    book: Mutex<Book>,
    reviews: Mutex<Reviews>,
    pub(super) bell: watch::Sender<Bell>,
    pub(super) activity: watch::Sender<Activity>,
}

impl Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            tls: watch::Sender::default(),
            store: Mutex::new(Store::new(settings.history)),
            installed: Mutex::new(Kind::all().filter(|kind| kind.installed).collect()),
            settings: Mutex::new(settings),
            faults: Mutex::default(),
            book: Mutex::default(),
            reviews: Mutex::default(),
            bell: watch::Sender::default(),
            activity: watch::Sender::default(),
        }
    }

    /// Looks at what is stored.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&lock(&self.store))
    }

    /// Changes what is stored, and wakes every watch.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let result = change(&mut lock(&self.store));
        self.ring();
        result
    }

    /// Whether a kind is served now.
    pub(super) fn is_installed(&self, kind: &'static Kind) -> bool {
        lock(&self.installed).contains(kind)
    }

    pub(super) fn install(&self, kind: &'static Kind) {
        lock(&self.installed).insert(kind);
    }

    /// Ends serving a kind: its objects are gone, and its watches end.
    pub(super) fn uninstall(&self, kind: &'static Kind) {
        lock(&self.installed).remove(kind);
        self.write(|store| store.forget(kind));
        self.bell
            .send_modify(|bell| *bell.ended.entry(kind.resource).or_default() += 1);
    }

    pub(super) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    pub(super) fn configure(&self, change: impl FnOnce(&mut Settings)) {
        let history = {
            let mut settings = lock(&self.settings);
            change(&mut settings);
            settings.history
        };
        self.write(|store| {
            store.history = history;
            store.trim();
        });
    }

    /// Looks at the faults or changes them, and wakes every watch.
    pub(super) fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        let result = change(&mut lock(&self.faults));
        self.ring();
        result
    }

    /// The faults that concern a request: those it has used up, and those that are in force now.
    pub(super) fn faults_of(&self, call: &Call, taken: &[Fault]) -> Vec<Fault> {
        let mut faults = lock(&self.faults).lasting(call);
        faults.extend_from_slice(taken);
        faults
    }

    pub(super) fn take_faults(&self, call: &Call) -> Vec<Fault> {
        lock(&self.faults).take(call)
    }

    pub(super) fn authorize(&self, call: &Call) -> Result<(), Refusal> {
        let authorized = lock(&self.faults).authorize(call);
        if authorized.is_err() {
            self.forbid(format!("{} {}", call.verb, call.kind));
        }
        authorized
    }

    /// The refusal of a discovery document that a fault or [`super::ApiServer::forbid`] asks for.
    pub(super) fn refuse_discovery(&self, path: &str) -> Result<(), Refusal> {
        self.activity.send_modify(Activity::count_discovery);
        let refused = lock(&self.faults).refuse_discovery(path);
        if refused.as_ref().is_err_and(|refusal| refusal.code == 403) {
            self.forbid(format!("GET {path}"));
        }
        refused
    }

    /// Of a path where nothing is. Rules of resources grant none.
    pub(super) fn authorize_path(&self, method: &Method, path: &str) -> Result<(), Refusal> {
        if lock(&self.faults).grants.is_none() {
            return Ok(());
        }
        self.forbid(format!("{method} {path}"));
        Err(Refusal::of_code(403))
    }

    fn forbid(&self, what: String) {
        self.activity.send_modify(|activity| activity.forbid(what));
    }

    pub(super) fn book<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut lock(&self.book))
    }

    pub(super) fn set_review(&self, path: &str, review: Review) {
        lock(&self.reviews).0.insert(path.to_owned(), review);
    }

    pub(super) fn review(&self, path: &str) -> Option<Review> {
        lock(&self.reviews).0.get(path).cloned()
    }

    fn ring(&self) {
        self.bell.send_modify(|bell| bell.rings += 1);
    }
}

/// An open watch, counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Open {
    shared: Arc<Shared>,
    kind: &'static Kind,
}

impl Open {
    pub(super) fn new(shared: Arc<Shared>, kind: &'static Kind) -> Self {
        shared
            .activity
            .send_modify(|activity| activity.opened(kind.resource));
        Self { shared, kind }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared
            .activity
            .send_modify(|activity| activity.closed(self.kind.resource));
    }
}
