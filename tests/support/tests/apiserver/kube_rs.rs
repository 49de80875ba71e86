//! kube-rs, which many controllers use, must find nothing unusual.

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, ResourceExt};
use seaway_testing::ApiServer;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::{same, server, service, soon, until};

async fn client(server: &ApiServer) -> Result<Client> {
    let folder =
        std::env::temp_dir().join(format!("seaway-kubeconfig-{}", server.address().port()));
    server.kubeconfig(&folder)?;
    let config = Kubeconfig::read_from(&folder)?;
    std::fs::remove_file(&folder)?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// A watcher that runs by itself, and what it tells, in short.
struct Told {
    told: mpsc::UnboundedReceiver<String>,
    /// The task ends with this.
    _task: JoinSet<()>,
}

impl Told {
    fn by(client: &Client, config: watcher::Config) -> Self {
        let mut events = Box::pin(watcher(Api::<Service>::all(client.clone()), config));
        let (tell, told) = mpsc::unbounded_channel();
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(event) = events.next().await {
                let text = match event {
                    Ok(Event::Init) => "init".to_owned(),
                    Ok(Event::InitApply(service)) => format!("({})", service.name_any()),
                    Ok(Event::InitDone) => "done".to_owned(),
                    Ok(Event::Apply(service)) => format!("+{}", service.name_any()),
                    Ok(Event::Delete(service)) => format!("-{}", service.name_any()),
                    Err(error) => format!("error: {error}"),
                };
                if tell.send(text).is_err() {
                    return;
                }
            }
        });
        Self { told, _task: task }
    }

    /// So many events that are no errors.
    async fn next(&mut self, count: usize) -> Result<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let text = soon(self.told.recv()).await?.context("the watcher ended")?;
            if !text.starts_with("error") {
                texts.push(text);
            }
        }
        Ok(texts.join(" "))
    }
}

#[tokio::test]
async fn a_watcher_lists_in_pages_or_as_a_stream_and_follows() -> Result<()> {
    let server = server(&["a", "b", "c"])?;
    let client = client(&server).await?;
    let config = watcher::Config::default;
    for config in [
        config().page_size(2),
        config().streaming_lists(),
        config().any_semantic(),
    ] {
        let mut told = Told::by(&client, config);
        same(told.next(5).await?, "init (a) (b) (c) done".into())?;
        server.apply(service("d", "web"))?;
        server.delete("services", "default", "d")?;
        same(told.next(2).await?, "+d -d".into())?;
        // It begins again where it was when the server ends the watch, and from the start when that
        // is too late.
        let begun = server.activity().borrow().requests("watch", "services");
        server.end_watches("services");
        until(&server, |activity| {
            activity.requests("watch", "services") > begun && activity.watches("services") == 1
        })
        .await?;
        server.apply(service("d", "web"))?;
        same(told.next(1).await?, "+d".into())?;
        server.fail_watches("services", 410);
        same(told.next(6).await?, "init (a) (b) (c) (d) done".into())?;
        server.delete("services", "default", "d")?;
        same(told.next(1).await?, "-d".into())?;
        drop(told);
        until(&server, |activity| activity.watches("services") == 0).await?;
    }
    let pages = server.seen("list", "services");
    ensure!(
        pages
            .iter()
            .any(|seen| seen.parameter("limit") == "2" && !seen.parameter("continue").is_empty())
    );
    Ok(())
}

#[tokio::test]
async fn a_watcher_goes_on_after_an_outage() -> Result<()> {
    let server = server(&["a"])?;
    let mut told = Told::by(&client(&server).await?, watcher::Config::default());
    same(told.next(3).await?, "init (a) done".into())?;
    until(&server, |activity| activity.watches("services") == 1).await?;
    server.refuse()?;
    server.kill()?;
    server.apply(service("b", "web"))?;
    server.listen()?;
    same(told.next(1).await?, "+b".into())
}

#[tokio::test]
async fn the_objects_have_the_shape_of_the_api() -> Result<()> {
    let server = server(&[])?;
    server.apply(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a", "finalizers": ["x/y"]},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}],
    }))?;
    server.delete("endpointslices", "default", "a")?;
    let api = Api::<EndpointSlice>::namespaced(client(&server).await?, "default");
    let slice = api.get("a").await?;
    same(slice.metadata.generation, Some(1))?;
    ensure!(slice.metadata.deletion_timestamp.is_some() && slice.metadata.managed_fields.is_some());
    let list = api
        .list(&kube::api::ListParams::default().labels("!app"))
        .await?;
    same(list.items.len(), 1)?;
    let refused = api.get("b").await;
    ensure!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.code == 404),
        "{refused:?}"
    );
    let watch = kube::api::WatchParams::default();
    let mut events = Box::pin(api.watch(&watch, "0").await?);
    ensure!(soon(events.try_next()).await??.is_some());
    Ok(())
}
