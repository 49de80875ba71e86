//! What goes wrong between a replica and the API server.

use super::*;

#[tokio::test]
async fn an_object_that_others_write_at_the_same_time_is_read_again() -> Result<()> {
    let server = ApiServer::start()?;
    let (edge, status) = gateway(&server)?;
    let replica = Replica::new(&server).await?;
    // Somebody writes between the request and its answer.
    server.inject(Fault::Hang.on("gateways").verb("patch"));
    replica.tell(&edge, Some(status));
    until("it to be patched", || {
        ensure!(requests(&server, "patch", "gateways") == 1);
        Ok(())
    })
    .await?;
    let theirs = json!({"type": "example.com/Paid", "status": "True"});
    server.edit("gateways", "default", "edge", |gateway| {
        gateway["status"]["conditions"] = json!([theirs]);
    })?;
    server.heal();
    replica.counted("written", 1).await?;
    ensure!(requests(&server, "patch", "gateways") == 2);
    let gateway = server
        .get("gateways", "default", "edge")?
        .unwrap_or_default();
    let conditions = &gateway["status"]["conditions"];
    ensure!(conditions[0] == theirs, "{conditions}");
    ensure!(conditions[1]["type"] == "Accepted", "{conditions}");
    Ok(())
}

#[tokio::test]
async fn an_object_in_conflict_for_long_is_left_for_a_while_and_then_written() -> Result<()> {
    let server = ApiServer::start()?;
    let (edge, status) = gateway(&server)?;
    let (shop, object) = ingress("shop");
    server.apply(object)?;
    let replica = Replica::new(&server).await?;
    server.inject(Fault::answer(409).on("gateways").verb("patch").times(6));
    replica.tell(&edge, Some(status));
    replica.counted("conflict", 1).await?;
    replica.tell(&shop, shown("192.0.2.1")?);
    replica.counted("written", 2).await?;
    ensure!(replica.writes("failed")? == 0);
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_while_the_api_server_is_away_and_everything_when_it_is_back()
-> Result<()> {
    let server = ApiServer::start()?;
    let (shop, object) = ingress("shop");
    server.apply(object)?;
    let replica = Replica::new(&server).await?;
    replica.tell(&shop, shown("192.0.2.1")?);
    await_address(&server, "shop", "192.0.2.1").await?;
    server.refuse()?;
    server.kill()?;
    replica.tell(&shop, shown("192.0.2.2")?);
    until("the replica to stop", || {
        ensure!(replica.metric("status_leader")? == 0);
        ensure!(replica.metric("status_queue")? == 0);
        Ok(())
    })
    .await?;
    server.listen()?;
    await_address(&server, "shop", "192.0.2.2").await
}

#[tokio::test]
async fn a_missing_permission_for_one_kind_leaves_the_others() -> Result<()> {
    for verb in ["get", "patch"] {
        let server = ApiServer::start()?;
        let (edge, status) = gateway(&server)?;
        let (shop, object) = ingress("shop");
        server.apply(object)?;
        server.forbid(verb, "gateways");
        let replica = Replica::new(&server).await?;
        replica.tell(&edge, Some(status));
        replica.counted("forbidden", 1).await?;
        replica.tell(&shop, shown("192.0.2.1")?);
        await_address(&server, "shop", "192.0.2.1").await?;
        // The server has it before the replica knows.
        until("the Gateway alone to be left", || {
            let left = replica.metric("status_queue")?;
            ensure!(left == 1, "{left}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_object_that_is_not_there_or_answered_with_something_else_harms_no_other() -> Result<()>
{
    let server = ApiServer::start()?;
    let (edge, status) = gateway(&server)?;
    let replica = Replica::new(&server).await?;
    replica.tell(&ingress("nowhere").0, shown("192.0.2.1")?);
    replica.counted("gone", 1).await?;
    server.inject(Fault::instead("{}").on("gateways").times(1));
    replica.tell(&edge, Some(status));
    replica.counted("failed", 1).await?;
    replica.counted("written", 1).await?;
    Ok(())
}
