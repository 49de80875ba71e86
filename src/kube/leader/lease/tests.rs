//! Candidates for a Lease of a stand-in for the API server.

use anyhow::{Result, ensure};
use seaway_testing::{ApiServer, Fault};
use tokio::task::JoinHandle;

use super::*;
use crate::kube::tests::{client, until};

/// Short ones; an API server counts a Lease in whole seconds.
const SHORT: Times = Times {
    lease: Duration::from_secs(2),
    renew: Duration::from_millis(1500),
    retry: Duration::from_millis(50),
};

/// A process that stands for election.
struct Running {
    seat: Seat,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn new(server: &ApiServer, identity: &str, times: Times) -> Result<Running> {
        let folder = tempfile::tempdir()?;
        let place = Place {
            namespace: "seaway".to_owned(),
            name: "l",
        };
        let client = client(server, folder.path()).await?;
        let (candidate, seat) = candidate(client, place, identity.to_owned(), times);
        let stop = CancellationToken::new();
        let task = tokio::spawn(candidate.run(stop.clone()));
        Ok(Running { seat, stop, task })
    }

    async fn standing(server: &ApiServer, identity: &str, times: Times) -> Result<Running> {
        let running = Running::new(server, identity, times).await?;
        running.seat.stand();
        Ok(running)
    }

    fn leads(&self) -> bool {
        self.seat.until(now()).is_some()
    }

    async fn leading(&self) -> Result<()> {
        until("it to lead", || {
            ensure!(self.leads());
            Ok(())
        })
        .await
    }

    async fn not_leading(&self) -> Result<()> {
        until("it to stop", || {
            ensure!(!self.leads());
            Ok(())
        })
        .await
    }
}

fn lease(server: &ApiServer) -> Result<Value> {
    Ok(server.get("leases", "seaway", "l")?.unwrap_or_default())
}

fn requests(server: &ApiServer, verb: &str) -> u64 {
    server.activity().borrow().requests(verb, "leases")
}

/// Waits until a candidate has looked at the Lease so many times more.
async fn looked(server: &ApiServer, times: u64) -> Result<()> {
    let before = requests(server, "get");
    until("it to look", || {
        ensure!(requests(server, "get") >= before + times);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_follows_when_it_dies() -> Result<()> {
    let server = ApiServer::start()?;
    let one = Running::standing(&server, "a", SHORT).await?;
    one.leading().await?;
    let other = Running::standing(&server, "b", SHORT).await?;
    looked(&server, 3).await?;
    ensure!(one.leads() && !other.leads());
    let died = now();
    one.task.abort();
    other.leading().await?;
    let waited = died.elapsed();
    ensure!(waited >= SHORT.lease - SHORT.retry * 2, "{waited:?}");
    ensure!(!one.leads(), "two lead");
    let spec = &lease(&server)?["spec"];
    ensure!(spec["holderIdentity"] == "b", "{spec}");
    ensure!(spec["leaseTransitions"] == 1, "{spec}");
    Ok(())
}

#[tokio::test]
async fn a_lease_that_is_released_is_taken_without_waiting_for_its_end() -> Result<()> {
    let server = ApiServer::start()?;
    let long = Times {
        lease: Duration::from_secs(60),
        renew: Duration::from_secs(40),
        ..SHORT
    };
    let one = Running::standing(&server, "a", long).await?;
    one.leading().await?;
    let other = Running::standing(&server, "b", long).await?;
    looked(&server, 2).await?;
    one.stop.cancel();
    one.task.await?;
    ensure!(one.seat.until(now()).is_none());
    other.leading().await
}

#[tokio::test]
async fn nobody_asks_for_a_lease_before_there_is_something_to_do() -> Result<()> {
    let server = ApiServer::start()?;
    let idle = Running::new(&server, "a", SHORT).await?;
    let other = Running::standing(&server, "b", SHORT).await?;
    other.leading().await?;
    ensure!(requests(&server, "get") == 1);
    idle.stop.cancel();
    idle.task.await?;
    ensure!(requests(&server, "get") == 1);
    Ok(())
}

#[tokio::test]
async fn a_lease_that_is_edited_stays_and_one_that_is_deleted_is_created_again() -> Result<()> {
    let server = ApiServer::start()?;
    let one = Running::standing(&server, "a", SHORT).await?;
    one.leading().await?;
    let labelled = |lease: &mut Value| lease["metadata"]["labels"] = serde_json::json!({"x": "y"});
    server.edit("leases", "seaway", "l", labelled)?;
    let before = lease(&server)?;
    until("it to be renewed", || {
        let after = lease(&server)?;
        ensure!(after["spec"] != before["spec"], "{after}");
        ensure!(after["metadata"]["labels"]["x"] == "y", "{after}");
        Ok(())
    })
    .await?;
    ensure!(one.leads());
    server.delete("leases", "seaway", "l")?;
    until("it to be created", || {
        ensure!(lease(&server)?["spec"]["holderIdentity"] == "a");
        Ok(())
    })
    .await?;
    one.leading().await
}

#[tokio::test]
async fn a_leader_without_an_api_server_stops_and_goes_on_when_it_is_back() -> Result<()> {
    let server = ApiServer::start()?;
    let one = Running::standing(&server, "a", SHORT).await?;
    one.leading().await?;
    server.refuse()?;
    server.kill()?;
    one.not_leading().await?;
    server.listen()?;
    one.leading().await?;
    // One that answers with errors, or with something else.
    for fault in [Fault::answer(500), Fault::instead("{}")] {
        server.inject(fault.on("leases"));
        one.not_leading().await?;
        server.heal();
        one.leading().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_lease_taken_over_by_hand_is_lost_at_once() -> Result<()> {
    let server = ApiServer::start()?;
    let one = Running::standing(&server, "a", SHORT).await?;
    one.leading().await?;
    server.edit("leases", "seaway", "l", |lease| {
        lease["spec"]["holderIdentity"] = "somebody".into();
        lease["spec"]["leaseDurationSeconds"] = 60.into();
    })?;
    one.not_leading().await?;
    looked(&server, 3).await?;
    ensure!(!one.leads());
    ensure!(lease(&server)?["spec"]["holderIdentity"] == "somebody");
    Ok(())
}

#[tokio::test]
async fn without_a_permission_nobody_leads() -> Result<()> {
    for verb in ["get", "create", "update"] {
        let server = ApiServer::start()?;
        server.forbid(verb, "leases");
        let one = Running::standing(&server, "a", SHORT).await?;
        match verb {
            // The first one creates it, and cannot renew it.
            "update" => one.leading().await?,
            _ => looked(&server, 2).await?,
        }
        one.not_leading().await?;
        server.allow(verb, "leases");
        one.leading().await?;
    }
    Ok(())
}
