//! The client of the API server. Its configuration, which [`access`] reads,
//! is read again now and then; connections made from then on use the new one. A configuration that
//! cannot be used changes nothing.

mod access;
mod proxy;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use axum::http::{HeaderValue, Request, header};
use futures::{AsyncBufRead, TryStreamExt};
use http_body_util::BodyExt;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::client::{AuthError, Body};
use tokio::time::timeout;

use super::answer;
use super::wire::Failure;
use crate::process::outside::{quote, quote_bytes};
use access::Access;
pub(super) use access::Source;

/// How long connecting may take. An API server on the same network answers a connection in
/// milliseconds.
const CONNECT: Duration = Duration::from_secs(5);
/// How long reading the files, and running a credential plugin, may take at the start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often, at most, the files are read again. The kubelet updates them a minute late anyhow.
const LOOK: Duration = Duration::from_secs(2);
/// How long before they expire the credentials of a plugin are replaced.
const EARLY: SignedDuration = SignedDuration::from_secs(60);

/// A client of the API server that follows changes of its own credentials. Clones share its
/// connections.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

/// The state that clones of a [`Client`] share.
struct Shared {
    address: String,
    /// The namespace that Seaway is in, if it can be known.
    namespace: Option<String>,
    /// The client with the configuration that was read last.
    current: RwLock<kube::Client>,
    looked: Mutex<Instant>,
    every: Duration,
    /// The server answered 401 since the last look.
    unknown: AtomicBool,
    follower: Mutex<Follower>,
}

/// Reads the configuration again and builds a new `kube::Client` when it has changed.
struct Follower {
    source: Source,
    context: Option<String>,
    digest: u128,
    /// Whether the credentials come from an exec plugin.
    plugin: bool,
    /// Why the configuration that is there now cannot be used, as the log has it.
    trouble: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.0.address)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads the configuration for the first time; nothing is sent yet.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(super) async fn open(source: Source) -> anyhow::Result<Client> {
        Client::looking(source, None, LOOK).await
    }

    /// The same for a context of the kubeconfig, instead of the current one.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(super) async fn open_context(
        source: Source,
        context: Option<String>,
    ) -> anyhow::Result<Client> {
        Client::looking(source, context, LOOK).await
    }

    async fn looking(
        source: Source,
        context: Option<String>,
        every: Duration,
    ) -> anyhow::Result<Client> {
        // It waits for a disk, and a plugin may ask who knows whom.
        let opened = tokio::task::spawn_blocking(move || {
            let access = source.load(context.as_deref())?;
            let address = access.config.cluster_url.to_string();
            let namespace = access.namespace.clone();
            let mut follower = Follower {
                source,
                context: access.context.clone(),
                digest: 0,
                plugin: false,
                trouble: None,
            };
            let current = follower.build(access)?;
            anyhow::Ok(Client(Arc::new(Shared {
                address,
                namespace,
                current: RwLock::new(current),
                looked: Mutex::new(Instant::now()),
                every,
                unknown: AtomicBool::new(false),
                follower: Mutex::new(follower),
            })))
        });
        let opened = timeout(PATIENCE, opened).await;
        opened.map_err(|_| anyhow!("it could not be read within a minute"))??
    }

    /// A client around `inner` that never reads a configuration.
    #[cfg(test)]
    pub(super) fn of(inner: kube::Client) -> Client {
        Client(Arc::new(Shared {
            address: String::new(),
            namespace: None,
            current: RwLock::new(inner),
            looked: Mutex::new(Instant::now()),
            every: Duration::from_secs(3600),
            unknown: AtomicBool::new(false),
            follower: Mutex::new(Follower {
                source: Source::Kubeconfig { files: Vec::new() },
                context: None,
                digest: 0,
                plugin: false,
                trouble: None,
            }),
        }))
    }

    /// The namespace of the pod that Seaway runs in, or of the kubeconfig's context.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.0.namespace.as_deref()
    }

    /// The URL of a path, for messages.
    pub(super) fn place(&self, path: &str) -> String {
        format!("{}{path}", self.0.address.trim_end_matches('/'))
    }

    /// Sends a request and reads the whole response, of at most `limit` bytes.
    ///
    /// # Errors
    /// There is no response, it is longer, or it is not an API server's.
    pub(super) async fn whole(
        &self,
        request: Request<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<u8>, Failure> {
        let body = self.send(request).await?;
        answer::whole(body, limit).await
    }

    /// Sends a request and returns the body of the response as a stream.
    ///
    /// # Errors
    /// There is no response, or it is not an API server's.
    pub(super) async fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<impl AsyncBufRead + use<>, Failure> {
        let body = self.send(request).await?;
        let data = body.into_data_stream().map_err(std::io::Error::other);
        Ok(data.into_async_read())
    }

    /// When [`Client::look`] has something to do.
    pub(super) fn due(&self) -> Instant {
        *lock(&self.0.looked) + self.0.every
    }

    /// Has the configuration read again on another thread if that is due: a disk or a plugin may
    /// take its time.
    pub(super) fn look(&self) {
        if self.0.is_due() {
            let shared = self.0.clone();
            tokio::task::spawn_blocking(move || shared.look());
        }
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Body, Failure> {
        let connections = self.connections().await;
        let response = connections.send(request.map(Body::from)).await?;
        let answer = answer::accept(response).await;
        if matches!(answer, Err(Failure::Refused { code: 401, .. })) {
            self.0.unknown.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// The current client, after reading the configuration again if that is due.
    pub(super) async fn connections(&self) -> kube::Client {
        if self.0.is_due() {
            let shared = self.0.clone();
            // If it panics, the last ones stay.
            let _ = tokio::task::spawn_blocking(move || shared.look()).await;
        }
        let current = self.0.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    /// Whether the configuration is due to be read again; the caller that gets `true` has to do it.
    fn is_due(&self) -> bool {
        let mut looked = lock(&self.looked);
        let due = looked.elapsed() >= self.every;
        if due {
            *looked = Instant::now();
        }
        due
    }

    fn look(&self) {
        let mut follower = match self.follower.try_lock() {
            Ok(follower) => follower,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody waits for a plugin.
            Err(TryLockError::WouldBlock) => return,
        };
        let unknown = self.unknown.swap(false, Ordering::Relaxed);
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let ends = *current.valid_until();
        drop(current);
        let ends = ends.is_some_and(|ends| Timestamp::now() + EARLY >= ends);
        let again = ends || (unknown && follower.plugin);
        match follower.look(&self.address, again) {
            Ok(None) => follower.trouble = None,
            Ok(Some(new)) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                follower.trouble = None;
                tracing::info!(
                    source = "kube",
                    "the client configuration of the API server has changed; new connections use it"
                );
            }
            Err(error) => follower.say(&error),
        }
    }
}

impl Follower {
    /// Reads the configuration again and builds a client if it has changed. `again`: also if it has
    /// not, since its credentials are no longer good.
    ///
    /// # Errors
    /// The configuration that is there now cannot be used.
    fn look(&mut self, address: &str, again: bool) -> anyhow::Result<Option<kube::Client>> {
        let access = self.source.load(self.context.as_deref())?;
        if access.digest == self.digest && !again {
            return Ok(None);
        }
        let url = access.config.cluster_url.to_string();
        if url != address {
            bail!("the server is {url} now; to watch another cluster, restart Seaway");
        }
        self.build(access).map(Some)
    }

    fn build(&mut self, access: Access) -> anyhow::Result<kube::Client> {
        let Access {
            mut config, digest, ..
        } = access;
        config.connect_timeout = Some(CONNECT);
        // Waiting and trying again is for the watches: they know what is urgent, and failures have
        // to be seen.
        config.default_retry = false;
        // Who asks, in the server's audit log.
        let agent = HeaderValue::from_static(concat!("seaway/", env!("CARGO_PKG_VERSION")));
        config.headers.push((header::USER_AGENT, agent));
        let plugin = config.auth_info.exec.as_ref();
        let plugin = plugin.map(|exec| exec.command.clone().unwrap_or_default());
        self.plugin = plugin.is_some();
        let client = kube::Client::try_from(config).map_err(|error| unusable(&error, plugin))?;
        self.digest = digest;
        Ok(client)
    }

    fn say(&mut self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        if self.trouble.as_ref() != Some(&error) {
            tracing::error!(
                source = "kube",
                error,
                "the changed client configuration of the API server cannot be used; the previous one stays in use"
            );
        }
        self.trouble = Some(error);
    }
}

/// Explains why a configuration cannot be used, without what a plugin printed to standard output,
/// which may be secret.
fn unusable(error: &kube::Error, plugin: Option<String>) -> anyhow::Error {
    let why = match error {
        kube::Error::Auth(AuthError::AuthExecRun { out, .. }) => {
            format!("{}: {}", out.status, quote_bytes(&out.stderr))
        }
        error => quote(&error.to_string()),
    };
    match plugin {
        Some(plugin) => anyhow!("plugin {plugin:?}: {why}"),
        None => anyhow!(why),
    }
}

/// Locks a mutex, poisoned or not: nothing that holds it can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The configured API server: a client of it, and its address.
pub(crate) struct Server {
    pub(crate) client: Client,
    /// Its URL.
    pub(crate) address: String,
}

/// Opens the API server that is configured (a pod's service account, else a kubeconfig); nothing is
/// sent to it yet.
///
/// # Errors
/// Neither way is configured, or what is configured cannot be used.
pub(crate) async fn server() -> anyhow::Result<Server> {
    let inside = match Source::pod() {
        Ok(source) => Client::open(source).await,
        Err(error) => Err(error),
    };
    let client = match inside {
        Ok(client) => client,
        Err(inside) => {
            let opened = match Source::kubeconfig() {
                Ok(source) => Client::open(source).await,
                Err(error) => Err(error),
            };
            opened.map_err(|error| {
                anyhow!(
                    "--kube: neither inside a cluster ({inside:#}) nor with a kubeconfig ({error:#}); set KUBECONFIG, or use --files DIR"
                )
            })?
        }
    };
    let address = client.0.address.clone();
    Ok(Server { client, address })
}

/// Waits for a response, for at most `limit`.
pub(super) async fn within<T, E: Into<Failure>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Failure::Silent(limit)),
    }
}

#[cfg(test)]
mod tests;
