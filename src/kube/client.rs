//! How the API server is reached, once its configuration is known ([`super::config`]).

use std::time::Duration;

use anyhow::Context;
use kube::Client;

use super::config::config;
use super::wire::Failure;

/// An API server on the same network answers a connection in milliseconds.
const CONNECT: Duration = Duration::from_secs(5);

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
    let client = Client::try_from(config).context("--kube")?;
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
