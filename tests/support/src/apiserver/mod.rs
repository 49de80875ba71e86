//! A stand-in for the Kubernetes API server: the beginning of the way of a change where the source
//! is a cluster.
//!
//! ```no_run
//! # use std::path::Path; use anyhow::Result; use seaway_testing::{ApiServer, Fault, ServiceManifest};
//! # fn test() -> Result<()> {
//! let server = ApiServer::start()?;                       // on a port of 127.0.0.1; start_in() for a namespace of a World
//! server.kubeconfig(Path::new("/tmp/kubeconfig"))?;       // for KUBECONFIG; has the token that the server asks for
//! server.apply_yaml(&ServiceManifest::new("web").document())?;
//! server.edit("services", "default", "web", |service| service["spec"]["type"] = "NodePort".into())?;
//! server.delete("services", "default", "web")?;
//! server.compact();                                       // older revisions are 410 Gone from now on
//! server.inject(Fault::busy(1).on("endpointslices").verb("list").times(2));
//! server.heal();
//! # Ok(()) }
//! ```
//!
//! What a client under test does is in [`ApiServer::activity`] (counters, open watches) and
//! [`ApiServer::seen`] (the requests with their parameters). `activity()` is a channel: an
//! asynchronous test awaits `server.activity().wait_for(|activity| activity.watches("services") ==
//! 1)`, any other test looks at `borrow()` within [`eventually`](crate::eventually).
//!
//! The server runs on a thread of its own and every method may be called from anywhere. It follows
//! the [API concepts] and KEP-3157:
//!
//! - one revision for all kinds; lists and watches at exact or minimal revisions; pages with
//!   `continue`, pinned to the revision of the first; 410 `Expired` for what has been compacted,
//!   and a token to go on with in spite of it;
//! - watches with bookmarks, initial events, `timeoutSeconds`; an object that a selector does not
//!   match any more is `DELETED`; an object with finalizers is `MODIFIED` until the last one goes;
//! - objects get `uid`, `resourceVersion`, `creationTimestamp`, `generation`, `managedFields`; a
//!   write that changes nothing is none;
//! - items of a list have neither `kind` nor `apiVersion`.
//!
//! What it does otherwise: it validates and defaults nothing, asks for no Namespace to exist, keeps
//! a `creationTimestamp` that the test gives (conflicts are decided by it), has events of the two
//! groups apart, and takes a strategic merge patch for a plain one. Everything is the same in every
//! run: times and UIDs come from the revision, chances from a seed.
//!
//! [API concepts]: https://kubernetes.io/docs/reference/using-api/api-concepts/

mod activity;
mod answer;
mod body;
mod discovery;
mod faults;
mod forward;
mod grants;
mod issuer;
mod kinds;
mod lines;
mod list;
mod object;
mod query;
mod selector;
mod serve;
mod shared;
mod status;
mod store;
mod watch;
mod write;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, mpsc as wait};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch as channel};

pub use activity::{Activity, Seen};
pub use faults::{Fault, Rule, Spoil};
pub use grants::{Grant, Grants};
pub use issuer::{Issuer, TokenClaims};
pub use shared::Settings;

use crate::Namespace;
use crate::namespace::Inside;
use kinds::Kind;
use object::Key;
use serve::{Command, Order};
use shared::Shared;

/// Who writes where the test does, in `managedFields`.
const TEST: &str = "test";

/// A running server. Dropping it breaks every connection.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<Thread>,
}

#[derive(Debug)]
enum Thread {
    Outside(JoinHandle<()>),
    Inside(Inside<()>),
}

impl ApiServer {
    /// Listens on a free port of 127.0.0.1.
    pub fn start() -> Result<Self> {
        Self::launch((Ipv4Addr::LOCALHOST, 0).into(), |work| {
            let thread = thread::Builder::new().name("apiserver".to_owned());
            Ok(Thread::Outside(thread.spawn(work)?))
        })
    }

    /// Listens on `address` in `namespace`; port 0 is a free one.
    pub fn start_in(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        Self::launch(address, |work| {
            Ok(Thread::Inside(namespace.thread("apiserver", work)?))
        })
    }

    fn launch(
        address: SocketAddr,
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> Result<Thread>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::new(Settings::default()));
        let (orders, received) = mpsc::unbounded_channel();
        let (ready, listening) = wait::channel();
        let served = shared.clone();
        let thread = spawn(Box::new(move || {
            serve::run(served, address, received, &ready);
        }))?;
        Ok(Self {
            address: listening.recv()??,
            shared,
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Writes a file for `KUBECONFIG`, with the token that the server asks for now.
    pub fn kubeconfig(&self, path: &Path) -> Result<()> {
        let user = match self.shared.settings().token {
            Some(token) => json!({"token": token}),
            None => json!({}),
        };
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
        });
        fs::write(path, config.to_string())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Changes how it behaves, from the next request on; times also for what is open.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.configure(change);
    }
}

/// What is in the cluster. Resources are named by their plural; where two groups have it, with the
/// group: `core/events`.
impl ApiServer {
    /// Creates an object or replaces it as a whole. Without a `status`, that of the object that was
    /// there stays.
    pub fn apply(&self, object: Value) -> Result<()> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (api_version, name) = (text(&object["apiVersion"]), text(&object["kind"]));
        let kind = Kind::of(&api_version, &name)
            .with_context(|| format!("{api_version} {name} is not served: add it to KINDS"))?;
        ensure!(
            self.shared.is_installed(kind),
            "{api_version} {name} is not installed"
        );
        let metadata = &object["metadata"];
        let key = key(
            kind,
            &text(&metadata["namespace"]),
            &text(&metadata["name"]),
        );
        self.shared.write(|store| {
            let old = store.get(kind, &key).map(|old| old.value());
            let object = write::keep_status(old.as_ref().unwrap_or(&Value::Null), object);
            store.put(kind, &key, object, TEST);
        });
        Ok(())
    }

    /// [`Self::apply`] for every document of a YAML text, which may be JSON.
    pub fn apply_yaml(&self, text: &str) -> Result<()> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
        self.load(documents)
    }

    /// [`Self::apply`] for many objects.
    pub fn load(&self, objects: impl IntoIterator<Item = Value>) -> Result<()> {
        objects
            .into_iter()
            .try_for_each(|object| self.apply(object))
    }

    /// Changes an object that is there.
    pub fn edit(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<()> {
        let kind = named(resource)?;
        let key = key(kind, namespace, name);
        self.shared.write(|store| {
            let object = store.get(kind, &key).context("no such object")?;
            let mut value = object.value();
            change(&mut value);
            store.put(kind, &key, value, TEST);
            Ok(())
        })
    }

    /// Gives an object another status.
    pub fn replace_status(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        status: Value,
    ) -> Result<()> {
        self.edit(resource, namespace, name, |object| {
            object["status"] = status
        })
    }

    /// Deletes an object. One with finalizers is marked, and goes when an [`Self::edit`] takes the
    /// last one.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<()> {
        let kind = named(resource)?;
        let key = key(kind, namespace, name);
        let gone = self.shared.write(|store| store.delete(kind, &key));
        gone.map(drop).context("no such object")
    }

    /// An object as clients are shown it.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        let kind = named(resource)?;
        let key = key(kind, namespace, name);
        Ok(self
            .shared
            .read(|store| store.get(kind, &key).map(|object| object.value())))
    }

    /// All objects of a resource, in the order of their names: the Events that a client has
    /// written, for example.
    pub fn objects(&self, resource: &str) -> Result<Vec<Value>> {
        let kind = named(resource)?;
        let all = |store: &store::Store| store.all(kind).map(|object| object.value()).collect();
        Ok(self.shared.read(all))
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.shared.read(store::Store::revision)
    }

    /// Lets revisions pass in which nothing changes that is served here.
    pub fn advance(&self, revisions: u64) {
        self.shared.write(|store| store.advance(revisions));
    }

    /// Forgets the past: from now on every revision but the present one is too old. Open watches go
    /// on.
    pub fn compact(&self) {
        self.shared.write(store::Store::compact);
    }

    /// Goes back to an earlier revision, as a cluster that is restored from a backup: clients know
    /// revisions that are yet to come. Open watches hear nothing of it; a real server's would have
    /// ended, see [`Self::kill`].
    pub fn restore(&self, revision: u64) -> Result<()> {
        let restored = self.shared.write(|store| store.restore(revision));
        restored.map_err(|_| anyhow!("revision {revision} is forgotten"))
    }

    /// Answers POSTs to a path that stores nothing (`/apis/authentication.k8s.io/v1/tokenreviews`)
    /// with what `review` makes of their body. [`Self::issuer`] does so with tokens.
    pub fn review(&self, path: &str, review: impl Fn(Value) -> Value + Send + Sync + 'static) {
        self.shared.set_review(path, Arc::new(review));
    }
}

/// What a client did.
impl ApiServer {
    /// Counters, as a channel that tells of every change.
    pub fn activity(&self) -> channel::Receiver<Activity> {
        self.shared.activity.subscribe()
    }

    /// The last requests of a verb, as in RBAC rules, for a resource (its plural), the newest last.
    pub fn seen(&self, verb: &str, resource: &str) -> Vec<Seen> {
        self.shared.book(|book| book.of(verb, resource))
    }
}

/// What goes wrong.
impl ApiServer {
    /// A fault from now on, for requests to come and, unless it has a number of times, for those
    /// that are being answered.
    pub fn inject(&self, rule: impl Into<Rule>) {
        self.shared.faults(|faults| faults.inject(rule.into()));
    }

    /// Takes away all faults that were injected. What hung goes on.
    pub fn heal(&self) {
        self.shared.faults(faults::Faults::heal);
    }

    /// RBAC with these rules: what they do not grant is refused, paths where nothing is among it.
    /// Discovery is open to everybody, as `system:discovery` makes it. Watches that are open stay.
    pub fn authorize(&self, grants: &Grants) {
        let grants = Some(grants.clone());
        self.shared.faults(|faults| faults.grants = grants);
    }

    /// RBAC without a verb for a resource (its plural, or `discovery`); `*` is all. Watches that
    /// are open stay.
    pub fn forbid(&self, verb: &str, resource: &str) {
        self.shared.faults(|faults| faults.forbid(verb, resource));
    }

    /// Takes back a [`Self::forbid`] of the same words.
    pub fn allow(&self, verb: &str, resource: &str) {
        self.shared.faults(|faults| faults.allow(verb, resource));
    }

    /// Every watch that allows bookmarks gets one now.
    pub fn bookmark(&self) {
        self.shared.bell.send_modify(|bell| bell.bookmarks += 1);
    }

    /// Ends all watches of a resource (its plural; `*` is all) as when their time is up.
    pub fn end_watches(&self, resource: &str) {
        self.shared.bell.send_modify(|bell| {
            for kind in Kind::all().filter(|kind| resource == "*" || kind.resource == resource) {
                *bell.ended.entry(kind.resource).or_default() += 1;
            }
        });
    }

    /// Ends all watches of a resource (its plural; `*` is all) with an error event of this code,
    /// 410 for "relist".
    pub fn fail_watches(&self, resource: &str, code: u16) {
        self.shared.bell.send_modify(|bell| {
            for kind in Kind::all().filter(|kind| resource == "*" || kind.resource == resource) {
                let (count, last) = bell.failed.entry(kind.resource).or_default();
                (*count, *last) = (*count + 1, code);
            }
        });
    }

    /// Stops listening: connections are refused. Those that are open stay; see [`Self::kill`].
    pub fn refuse(&self) -> Result<()> {
        self.order(Command::Refuse)
    }

    /// Listens again, on the same port.
    pub fn listen(&self) -> Result<()> {
        self.order(Command::Listen)
    }

    /// Resets all connections.
    pub fn kill(&self) -> Result<()> {
        self.order(Command::Kill)
    }

    fn order(&self, command: Command) -> Result<()> {
        let (done, result) = wait::channel();
        let orders = self.orders.as_ref().context("the server has ended")?;
        orders
            .send((command, done))
            .ok()
            .context("the server has ended")?;
        result.recv().context("the server has ended")?
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.orders = None;
        match self.thread.take() {
            Some(Thread::Outside(thread)) => drop(thread.join()),
            Some(Thread::Inside(thread)) => drop(thread.join()),
            None => {}
        }
    }
}

fn named(resource: &str) -> Result<&'static Kind> {
    Kind::named(resource).with_context(|| format!("{resource} is not served: add it to KINDS"))
}

/// The key of an object; one without a namespace is in `default` where its kind has namespaces.
fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    let namespace = match (kind.namespaced, namespace) {
        (false, _) => "",
        (true, "") => "default",
        (true, namespace) => namespace,
    };
    (namespace.to_owned(), name.to_owned())
}
