//! How the API server is reached: from inside the cluster, else as the kubeconfig says. And how it is asked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::http::Request;
use futures::{AsyncBufRead, TryStreamExt};
use http_body_util::BodyExt;
use kube::Config;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::answer;
use super::wire::Failure;

/// An API server on the same network answers a connection in milliseconds.
const CONNECT: Duration = Duration::from_secs(5);

/// Asks an API server; clones share its connections.
#[derive(Clone)]
pub(crate) struct Client {
    inner: kube::Client,
    address: Arc<str>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: Config) -> kube::Result<Client> {
        let address = config.cluster_url.to_string().into();
        let inner = kube::Client::try_from(config)?;
        Ok(Client { inner, address })
    }

    /// Where a path is, for people.
    pub(super) fn place(&self, path: &str) -> String {
        format!("{}{path}", self.address.trim_end_matches('/'))
    }

    /// The whole answer, of at most so many bytes.
    ///
    /// # Errors
    /// There is none, it is longer, or it is none of an API server.
    pub(super) async fn whole(
        &self,
        request: Request<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<u8>, Failure> {
        let body = self.open(request).await?;
        answer::whole(body, limit).await
    }

    /// The answer, as it comes.
    ///
    /// # Errors
    /// There is none, or it is none of an API server.
    pub(super) async fn stream(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<impl AsyncBufRead + use<>, Failure> {
        let body = self.open(request).await?;
        let data = body.into_data_stream().map_err(std::io::Error::other);
        Ok(data.into_async_read())
    }

    async fn open(&self, request: Request<Vec<u8>>) -> Result<Body, Failure> {
        let response = self.inner.send(request.map(Body::from)).await?;
        answer::accept(response).await
    }
}

/// An API server that may be asked.
pub(crate) struct Server {
    pub(crate) client: Client,
    /// Where it is.
    pub(crate) address: String,
}

/// The API server that is configured; nothing is sent to it yet.
///
/// # Errors
/// Neither way is configured, or what is configured cannot be used.
pub(crate) async fn server() -> anyhow::Result<Server> {
    let mut config = config().await?;
    config.connect_timeout = Some(CONNECT);
    // Waiting and trying again is for the watches: they know what is urgent, and failures have to be seen.
    config.default_retry = false;
    // Who asks, in the server's audit log.
    let agent = concat!("seaway/", env!("CARGO_PKG_VERSION"));
    config.headers.push(("user-agent".parse()?, agent.parse()?));
    let address = config.cluster_url.to_string();
    let client = Client::new(config).context("--kube")?;
    Ok(Server { client, address })
}

/// Waits for an answer, but no longer than this.
pub(super) async fn within<T, E: Into<Failure>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Failure::Silent(limit)),
    }
}

async fn config() -> anyhow::Result<Config> {
    let inside = match Config::incluster() {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let kubeconfig = Kubeconfig::read().map_err(|error| {
        anyhow!(
            "--kube: neither inside a cluster ({inside}) nor with a kubeconfig ({error}); set KUBECONFIG, or use --files DIR"
        )
    })?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.context("--kube: the kubeconfig cannot be used")
}
