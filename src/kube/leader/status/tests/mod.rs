//! Replicas that write status to a stand-in for the API server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use seaway_testing::{ApiServer, Fault, GatewayManifest};
use seaway_translator::model::ParentRef;
use seaway_translator::status::{
    Condition, GATEWAY_CONTROLLER, GatewayStatus, ParentStatus, Status, StatusAddress,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::kube::leader::lease::Times;
use crate::kube::leader::writing::WriteMetrics;
use crate::kube::leader::{LeaderTasks, StatusContext};
use crate::kube::tests::{client, until};
use crate::process::clock::now;
use crate::writer::{LeaderChanges, StatusSender};

mod definitions;
mod faults;
mod permissions;

/// Short ones, so that another replica follows soon.
const TIMES: Times = Times {
    lease: Duration::from_secs(2),
    renew: Duration::from_millis(1500),
    retry: Duration::from_millis(50),
};

/// A replica, with the channel by which its writer tells what status should say.
struct Replica {
    statuses: StatusSender,
    tasks: LeaderTasks,
    registry: Registry,
}

impl Replica {
    /// One whose source has listed nothing yet.
    async fn starting(server: &ApiServer) -> Result<Replica> {
        let folder = tempfile::tempdir()?;
        let client = client(server, folder.path()).await?;
        let (statuses, news) = StatusSender::channel();
        let mut registry = Registry::default();
        let context = StatusContext {
            news,
            namespace: "seaway".to_owned(),
            metrics: WriteMetrics::register(&mut registry, "status", "status"),
            services: None,
        };
        let tasks = LeaderTasks::with(&client, context, "seaway-1", TIMES);
        Ok(Replica {
            statuses,
            tasks,
            registry,
        })
    }

    async fn new(server: &ApiServer) -> Result<Replica> {
        let replica = Replica::starting(server).await?;
        replica.tasks.synced();
        Ok(replica)
    }

    fn tell(&self, id: &ObjectId, status: Option<Status>) {
        self.statuses
            .tell(LeaderChanges::from([(id.clone(), status)]));
    }

    fn metric(&self, line: &str) -> Result<u64> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        let value = text
            .lines()
            .find_map(|there| there.strip_prefix(line)?.strip_prefix(' '));
        Ok(value
            .with_context(|| format!("no {line}: {text}"))?
            .parse()?)
    }

    fn writes(&self, result: &str) -> Result<u64> {
        self.metric(&format!("status_writes_total{{result=\"{result}\"}}"))
    }

    /// Waits until so many objects have had this result.
    async fn counted(&self, result: &str, count: u64) -> Result<()> {
        until(&format!("{count} {result}"), || {
            let there = self.writes(result)?;
            ensure!(there == count, "{there}");
            Ok(())
        })
        .await
    }

    async fn leading(&self) -> Result<()> {
        until("the replica to lead", || {
            ensure!(self.metric("status_leader")? == 1);
            Ok(())
        })
        .await
    }

    /// As `kill -9` does.
    fn die(&self) {
        self.tasks.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn id(kind: ObjectKind, name: &str) -> ObjectId {
    ObjectId::new(kind, &"default".into(), &name.into())
}

fn ingress(name: &str) -> (ObjectId, Value) {
    let object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ingressClassName": "seaway"},
    });
    (id(ObjectKind::Ingress, name), object)
}

fn shown(address: &str) -> Result<Option<Status>> {
    let address = StatusAddress::Ip(address.parse()?);
    Ok(Some(Status::Ingress(vec![address])))
}

fn addresses(server: &ApiServer, name: &str) -> Result<Value> {
    let object = server.get("ingresses", "default", name)?;
    let object = object.context("no such Ingress")?;
    Ok(object["status"]["loadBalancer"]["ingress"].clone())
}

async fn await_address(server: &ApiServer, name: &str, address: &str) -> Result<()> {
    until(&format!("{name} to show {address}"), || {
        let there = addresses(server, name)?;
        ensure!(there == json!([{"ip": address}]), "{there}");
        Ok(())
    })
    .await
}

fn requests(server: &ApiServer, verb: &str, resource: &str) -> u64 {
    server.activity().borrow().requests(verb, resource)
}

fn accepted(generation: i64) -> Vec<Condition> {
    vec![Condition {
        kind: "Accepted",
        status: true,
        reason: "Accepted",
        message: "".into(),
        generation,
    }]
}

/// The Gateway `edge`, and its status.
fn gateway(server: &ApiServer) -> Result<(ObjectId, Status)> {
    server.install("gateways")?;
    server.apply_yaml(&GatewayManifest::new("edge").document())?;
    let status = Status::Gateway(GatewayStatus {
        addresses: Vec::new(),
        conditions: accepted(1),
        listeners: Vec::new(),
    });
    Ok((id(ObjectKind::Gateway, "edge"), status))
}

#[tokio::test]
async fn one_of_two_replicas_writes_and_the_other_follows_when_it_dies() -> Result<()> {
    let server = ApiServer::start()?;
    let (shop, object) = ingress("shop");
    server.apply(object)?;
    let first = Replica::new(&server).await?;
    first.tell(&shop, shown("192.0.2.1")?);
    first.leading().await?;
    let second = Replica::new(&server).await?;
    second.tell(&shop, shown("192.0.2.1")?);
    await_address(&server, "shop", "192.0.2.1").await?;
    first.counted("written", 1).await?;
    first.die();
    // Only the second one hears of this.
    second.tell(&shop, shown("192.0.2.2")?);
    second.leading().await?;
    await_address(&server, "shop", "192.0.2.2").await?;
    second.counted("written", 1).await?;
    ensure!(requests(&server, "patch", "ingresses") == 2);
    Ok(())
}

#[tokio::test]
async fn a_new_leader_looks_at_every_object_once_and_writes_only_what_differs() -> Result<()> {
    let server = ApiServer::start()?;
    let first = Replica::new(&server).await?;
    for name in ["a", "b", "c"] {
        let (id, object) = ingress(name);
        server.apply(object)?;
        first.tell(&id, shown("192.0.2.1")?);
    }
    first.counted("written", 3).await?;
    let second = Replica::new(&server).await?;
    for name in ["a", "b", "c"] {
        second.tell(&ingress(name).0, shown("192.0.2.1")?);
    }
    server.edit("ingresses", "default", "b", |b| b["status"] = json!({}))?;
    // It gives the Lease back.
    first.tasks.finish().await;
    second.counted("unchanged", 2).await?;
    second.counted("written", 1).await?;
    await_address(&server, "b", "192.0.2.1").await?;
    ensure!(requests(&server, "patch", "ingresses") == 4);
    Ok(())
}

#[tokio::test]
async fn nothing_is_asked_before_the_source_has_listed_everything() -> Result<()> {
    let server = ApiServer::start()?;
    let (shop, object) = ingress("shop");
    server.apply(object)?;
    let starting = Replica::starting(&server).await?;
    starting.tell(&shop, shown("192.0.2.1")?);
    // Another one would be long done.
    let other = Replica::new(&server).await?;
    other.tell(&shop, shown("192.0.2.2")?);
    await_address(&server, "shop", "192.0.2.2").await?;
    ensure!(requests(&server, "create", "leases") == 1);
    ensure!(requests(&server, "get", "leases") == 1);
    other.tasks.finish().await;
    starting.tasks.synced();
    await_address(&server, "shop", "192.0.2.1").await
}

#[tokio::test]
async fn without_an_object_that_has_a_status_nobody_asks_for_the_lease() -> Result<()> {
    let server = ApiServer::start()?;
    let idle = Replica::new(&server).await?;
    // Foreign ones: there is nothing of ours to take away.
    idle.tell(&ingress("other").0, None);
    let (shop, object) = ingress("shop");
    server.apply(object)?;
    let other = Replica::new(&server).await?;
    other.tell(&shop, shown("192.0.2.2")?);
    await_address(&server, "shop", "192.0.2.2").await?;
    ensure!(requests(&server, "get", "leases") == 1);
    idle.tasks.finish().await;
    ensure!(requests(&server, "get", "leases") == 1);
    Ok(())
}

#[tokio::test]
async fn an_ingress_that_goes_to_somebody_else_loses_the_address() -> Result<()> {
    let server = ApiServer::start()?;
    let (shop, object) = ingress("shop");
    server.apply(object)?;
    let replica = Replica::new(&server).await?;
    replica.tell(&shop, shown("192.0.2.1")?);
    await_address(&server, "shop", "192.0.2.1").await?;
    replica.tell(&shop, None);
    until("it to be cleared", || {
        ensure!(addresses(&server, "shop")?.is_null());
        Ok(())
    })
    .await?;
    // What others write then is theirs.
    let theirs = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}});
    server.replace_status("ingresses", "default", "shop", theirs)?;
    replica.tell(&shop, None);
    let (other, object) = ingress("other");
    server.apply(object)?;
    replica.tell(&other, shown("192.0.2.1")?);
    await_address(&server, "other", "192.0.2.1").await?;
    await_address(&server, "shop", "198.51.100.1").await
}

#[tokio::test]
async fn an_object_that_is_created_anew_gets_its_status_again() -> Result<()> {
    let server = ApiServer::start()?;
    let (shop, object) = ingress("shop");
    server.apply(object.clone())?;
    let replica = Replica::new(&server).await?;
    replica.tell(&shop, shown("192.0.2.1")?);
    await_address(&server, "shop", "192.0.2.1").await?;
    server.delete("ingresses", "default", "shop")?;
    server.apply(object)?;
    // The status that it should have is the same.
    replica.tasks.created([shop]);
    await_address(&server, "shop", "192.0.2.1").await
}

/// Entries of other controllers survive as they are.
#[tokio::test]
async fn a_route_keeps_the_entries_of_others() -> Result<()> {
    let server = ApiServer::start()?;
    server.install("httproutes")?;
    let foreign = json!({
        "parentRef": {"name": "edge"}, "controllerName": "example.com/other",
        "conditions": [{"type": "Accepted", "status": "Unknown"}],
    });
    server.apply(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"parentRefs": [{"name": "edge", "port": 80}, {"name": "edge"}]},
        "status": {"parents": [foreign]},
    }))?;
    let parent = ParentRef {
        group: None,
        kind: None,
        namespace: None,
        name: "edge".into(),
        section: None,
        port: 80.try_into().ok(),
    };
    let parent = ParentStatus {
        parent,
        controller: GATEWAY_CONTROLLER,
        conditions: accepted(1),
    };
    let replica = Replica::new(&server).await?;
    let shop = id(ObjectKind::HTTPRoute, "shop");
    replica.tell(&shop, Some(Status::Route(vec![parent])));
    replica.counted("written", 1).await?;
    let parents = || -> Result<Value> {
        let route = server.get("httproutes", "default", "shop")?;
        Ok(route.unwrap_or_default()["status"]["parents"].clone())
    };
    let all = parents()?;
    ensure!(all[0] == foreign, "{all}");
    let ours = &all[1];
    ensure!(
        ours["parentRef"] == json!({"name": "edge", "port": 80}),
        "{all}"
    );
    ensure!(ours["conditions"][0]["status"] == "True", "{all}");
    replica.tell(&shop, None);
    replica.counted("written", 2).await?;
    let all = parents()?;
    ensure!(all == json!([foreign]), "{all}");
    Ok(())
}

#[tokio::test]
async fn a_gateway_to_which_a_thousand_routes_attach_is_written_a_few_times() -> Result<()> {
    let server = ApiServer::start()?;
    let (edge, status) = gateway(&server)?;
    let replica = Replica::new(&server).await?;
    replica.tell(&edge, Some(status.clone()));
    replica.counted("written", 1).await?;
    let begin = now();
    for number in 0..1000 {
        let Status::Gateway(mut status) = status.clone() else {
            continue;
        };
        status.conditions[0].message = format!("{number}").into();
        replica.tell(&edge, Some(Status::Gateway(status)));
        tokio::time::sleep_until((begin + Duration::from_millis(number)).into()).await;
    }
    until("the last one to be written", || {
        let gateway = server
            .get("gateways", "default", "edge")?
            .unwrap_or_default();
        ensure!(
            gateway["status"]["conditions"][0]["message"] == "999",
            "{gateway}"
        );
        Ok(())
    })
    .await?;
    let patches = requests(&server, "patch", "gateways");
    ensure!((3..=20).contains(&patches), "{patches} writes");
    Ok(())
}
