//! Clusters of some size, and namespaces.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use seaway_testing::{ApiServer, Client, World};
use serde_json::{Value, json};

use crate::client::{SERVICES, SLICES, Watch, get};
use crate::{same, service};

/// A slice with a hundred endpoints.
fn slice(number: usize) -> Value {
    let endpoint = |last: usize| {
        json!({
            "addresses": [format!("10.{}.{}.{last}", number / 250, number % 250)], "nodeName": format!("n{}", last % 10),
            "conditions": {"ready": true, "serving": true, "terminating": false},
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("s-{number}"), "labels": {"kubernetes.io/service-name": format!("s-{number}")}},
        "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": (1..=100).map(endpoint).collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn ten_thousand_services_are_loaded_listed_and_watched() -> Result<()> {
    let server = ApiServer::start()?;
    server.load((0..10_000).map(|number| service(&format!("s-{number}"), "web")))?;
    server.load((0..1000).map(slice))?;
    let (_, list) = get(&server, SERVICES).await?;
    same(list["items"].as_array().map(Vec::len), Some(10_000))?;
    let (mut token, mut pages) = (String::new(), 0);
    loop {
        let (_, page) = get(&server, &format!("{SLICES}?limit=100&continue={token}")).await?;
        pages += 1;
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    same(pages, 10)?;
    let mut watch = Watch::open(&server, SERVICES, "").await?;
    for _ in 0..10_000 {
        watch.line().await?.context("the watch has ended")?;
    }
    server.delete("services", "default", "s-77")?;
    same(watch.next().await?, "DELETED s-77".into())
}

#[test]
fn it_serves_inside_a_namespace_too() -> Result<()> {
    World::run(|world| {
        let address: SocketAddr = "172.18.0.1:6443".parse()?;
        let server = ApiServer::start_in(world.fabric(), address)?;
        let node = world.new_node("n1")?;
        let ready = || Client::new(address).path("/readyz").get(&node);
        same(ready()?.backend(), Some("ok"))?;
        server.refuse()?;
        same(ready()?.backend(), None)?;
        server.listen()?;
        same(ready()?.backend(), Some("ok"))
    })
}
