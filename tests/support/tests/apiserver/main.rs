//! The stand-in for the API server, asked by a plain HTTP client and, for a second opinion, by
//! kube-rs.

mod client;
mod discovery;
mod faults;
mod grants;
mod kube_rs;
mod lists;
mod scale;
mod watches;
mod writes;

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, Result};
use seaway_testing::{Activity, ApiServer};
use serde_json::{Value, json};

/// A Service of the namespace `default` with one label.
fn service(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
        "spec": {"ports": [{"port": 80}]},
    })
}

/// A server with Services of these names, all with the label `app: web`.
fn server(names: &[&str]) -> Result<ApiServer> {
    let server = ApiServer::start()?;
    server.load(names.iter().map(|name| service(name, "web")))?;
    Ok(server)
}

/// Waits for what a client does.
async fn until(server: &ApiServer, what: impl Fn(&Activity) -> bool) -> Result<()> {
    let mut activity = server.activity();
    soon(activity.wait_for(what)).await??;
    Ok(())
}

/// The result of something that is to happen at once.
async fn soon<T>(future: impl Future<Output = T>) -> Result<T> {
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, future)
        .await
        .context("nothing happened for ten seconds")
}

/// Fails with both sides.
fn same<T: PartialEq + Debug>(is: T, should: T) -> Result<()> {
    anyhow::ensure!(is == should, "{is:?} is not {should:?}");
    Ok(())
}
