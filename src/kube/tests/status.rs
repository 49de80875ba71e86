//! The source with the writing of status: nothing before every list is read, all that is created,
//! and the Lease given back at the end.

use prometheus_client::registry::Registry;
use seaway_testing::Fault;
use seaway_translator::ObjectId;
use seaway_translator::status::{Status, StatusAddress};
use serde_json::{Value, json};

use super::*;
use crate::writer::{LeaderChanges, StatusSender};

const SHOP: &str =
    "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: shop, namespace: default}}";

fn shown(server: &ApiServer) -> Result<()> {
    let shop = server.get("ingresses", "default", "shop")?;
    let addresses = &shop.unwrap_or_default()["status"]["loadBalancer"]["ingress"];
    ensure!(*addresses == json!([{"hostname": "edge"}]), "{addresses}");
    Ok(())
}

fn lease(server: &ApiServer) -> Result<Option<Value>> {
    server.get("leases", "seaway", "seaway-status")
}

/// A source that writes status, and the writer's end of its channel.
async fn start_writing(
    server: &ApiServer,
    updates: mpsc::Sender<Update>,
) -> Result<(StatusSender, CancellationToken, JoinHandle<()>)> {
    let folder = tempfile::tempdir()?;
    let client = client(server, folder.path()).await?;
    let (statuses, news) = StatusSender::channel();
    let status = StatusContext {
        news,
        namespace: "seaway".to_owned(),
        metrics: WriteMetrics::register(&mut Registry::default(), "status", "status"),
        services: None,
    };
    let around = SourceContext {
        status: Some(status),
        ..surroundings(updates).0
    };
    let events = EventMetrics::register(&mut Registry::default());
    let kube = Kube::start(&client, &wanted(&[]), around, events);
    let stop = CancellationToken::new();
    let task = tokio::spawn(kube.run(stop.clone()));
    Ok((statuses, stop, task))
}

#[tokio::test]
async fn status_is_written_once_all_is_listed_and_to_what_is_created_anew() -> Result<()> {
    let server = ApiServer::start()?;
    server.apply_yaml(SHOP)?;
    server.inject(Fault::Hang.on("nodes"));
    let (updates, mut updated) = mpsc::channel(1024);
    let (statuses, stop, task) = start_writing(&server, updates).await?;
    let id = ObjectId::new(ObjectKind::Ingress, &"default".into(), &"shop".into());
    let status = Status::Ingress(vec![StatusAddress::Hostname("edge".into())]);
    statuses.tell(LeaderChanges::from([(id, Some(status))]));
    until("all else to be watched", || {
        ensure!(server.activity().borrow().watches("ingresses") == 1);
        Ok(())
    })
    .await?;
    ensure!(lease(&server)?.is_none());
    server.heal();
    until("the address to be shown", || shown(&server)).await?;
    // Its status should be as before, so the writer says nothing of it.
    server.delete("ingresses", "default", "shop")?;
    server.apply_yaml(SHOP)?;
    until("the address to be shown again", || shown(&server)).await?;
    ensure!(timeout(LIMIT, updated.recv()).await?.is_some());
    let before = lease(&server)?.unwrap_or_default();
    let holder = before["spec"]["holderIdentity"].as_str();
    ensure!(
        holder.is_some_and(|holder| holder.starts_with("test_")),
        "{before}"
    );
    stop.cancel();
    timeout(LIMIT, task).await??;
    let after = lease(&server)?.unwrap_or_default();
    ensure!(after["spec"]["holderIdentity"] == "", "{after}");
    Ok(())
}
