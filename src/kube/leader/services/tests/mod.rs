//! Services of Gateways that a replica writes to a stand-in for the API server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use seaway_testing::{ApiServer, Fault, GatewayManifest, Grants, repository};
use seaway_translator::model::{GatewayService, ServiceKey, ServiceWrite, StrayService};
use serde_json::{Value, json};

use super::*;
use crate::kube::leader::lease::Times;
use crate::kube::leader::writing::WriteMetrics;
use crate::kube::leader::{LeaderTasks, ServicesContext, StatusContext};
use crate::kube::tests::{client, until};
use crate::writer::{LeaderChanges, ServiceSender, StatusSender};

mod merge;

/// Short ones, so that another replica follows soon.
const TIMES: Times = Times {
    lease: Duration::from_secs(2),
    renew: Duration::from_millis(1500),
    retry: Duration::from_millis(50),
};

/// A replica that leads soon, with the channel by which its writer tells of Services.
struct Replica {
    services: ServiceSender,
    tasks: LeaderTasks,
    registry: Registry,
    _statuses: StatusSender,
}

impl Replica {
    async fn new(server: &ApiServer) -> Result<Replica> {
        let folder = tempfile::tempdir()?;
        let client = client(server, folder.path()).await?;
        let (statuses, status_news) = StatusSender::channel();
        let (services, news) = ServiceSender::channel();
        let mut registry = Registry::default();
        let services_context = ServicesContext {
            news,
            metrics: WriteMetrics::register(&mut registry, "gateway_service", "Services"),
        };
        let context = StatusContext {
            news: status_news,
            namespace: "seaway".to_owned(),
            metrics: WriteMetrics::register(&mut registry, "status", "status"),
            services: Some(services_context),
        };
        let tasks = LeaderTasks::with(&client, context, "seaway-1", TIMES);
        tasks.synced();
        Ok(Replica {
            services,
            tasks,
            registry,
            _statuses: statuses,
        })
    }

    fn tell(&self, name: &str, write: ServiceWrite) {
        let id = ObjectId::of_service(&key(name));
        self.services.tell(LeaderChanges::from([(id, Some(write))]));
    }

    /// Waits until so many objects have had this result, or more.
    async fn counted(&self, result: &str, count: u64) -> Result<()> {
        until(&format!("{count} {result}"), || {
            let mut text = String::new();
            encode(&mut text, &self.registry)?;
            let line = format!("gateway_service_writes_total{{result=\"{result}\"}} ");
            let there = text.lines().find_map(|there| there.strip_prefix(&line));
            let there: u64 = there.with_context(|| text.clone())?.parse()?;
            ensure!(there >= count, "{text}");
            Ok(())
        })
        .await
    }
}

fn key(name: &str) -> ServiceKey {
    ServiceKey {
        namespace: "seaway".into(),
        name: name.into(),
    }
}

/// The Service of Gateway `default/<gateway>` with this port of the proxies, which had `seen`.
fn made(gateway: &str, target: u16, seen: Option<u16>) -> Result<GatewayService> {
    let seen = seen.map(|seen| anyhow::Ok((80.try_into()?, Some(seen.try_into()?))));
    let seen = seen.transpose()?;
    Ok(GatewayService {
        gateway: ("default".into(), gateway.into()),
        selector: "app=edge,tier=front".into(),
        is_local: true,
        ports: [(80.try_into()?, target.try_into()?)].into(),
        seen: Arc::new(seen.into_iter().collect()),
    })
}

fn make(gateway: &str, target: u16, seen: Option<u16>) -> Result<ServiceWrite> {
    made(gateway, target, seen).map(ServiceWrite::Make)
}

fn remove(gateway: &str, generation: Option<i64>) -> ServiceWrite {
    ServiceWrite::Remove(StrayService {
        gateway: ("default".into(), gateway.into()),
        generation,
    })
}

fn service(server: &ApiServer, name: &str) -> Result<Option<Value>> {
    server.get("services", "seaway", name)
}

fn requests(server: &ApiServer, verb: &str, resource: &str) -> u64 {
    server.activity().borrow().requests(verb, resource)
}

#[tokio::test]
async fn a_service_is_made_followed_and_taken_away() -> Result<()> {
    let server = ApiServer::start()?;
    server.install("gateways")?;
    let replica = Replica::new(&server).await?;
    replica.tell("gw", make("g", 20_000, None)?);
    replica.counted("written", 1).await?;
    let made = service(&server, "gw")?.context("it is not there")?;
    let spec = &made["spec"];
    ensure!(
        spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local",
        "{made}"
    );
    ensure!(
        spec["selector"] == json!({"app": "edge", "tier": "front"}),
        "{made}"
    );
    ensure!(spec["ports"][0]["targetPort"] == 20_000, "{made}");
    let labels = json!({
        "app.kubernetes.io/managed-by": "seaway", "gateway.networking.k8s.io/gateway-name": "g",
    });
    ensure!(made["metadata"]["labels"] == labels, "{made}");
    let annotation = &made["metadata"]["annotations"]["seaway.dev/gateway"];
    ensure!(annotation == "default/g", "{made}");
    // As the watch tells it.
    replica.tell("gw", make("g", 20_000, Some(20_000))?);
    replica.counted("unchanged", 1).await?;
    replica.tell("gw", make("g", 20_001, Some(20_000))?);
    replica.counted("written", 2).await?;
    replica.tell("gw", remove("g", None));
    replica.counted("written", 3).await?;
    ensure!(service(&server, "gw")?.is_none());
    Ok(())
}

#[tokio::test]
async fn what_others_made_or_changed_meanwhile_is_not_touched() -> Result<()> {
    let server = ApiServer::start()?;
    server.install("gateways")?;
    let object = |labels: Value, of: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "gw", "namespace": "seaway", "labels": labels,
                "annotations": {"seaway.dev/gateway": of},
            },
            "spec": {"ports": [{"port": 80, "targetPort": 20_007}]},
        })
    };
    let ours = json!({"app.kubernetes.io/managed-by": "seaway"});
    for (labels, of) in [(json!({}), "default/g"), (ours.clone(), "default/other")] {
        let replica = Replica::new(&server).await?;
        server.apply(object(labels, of))?;
        let before = service(&server, "gw")?;
        replica.tell("gw", make("g", 20_000, Some(20_007))?);
        replica.counted("conflict", 1).await?;
        replica.tell("gw", remove("g", None));
        replica.counted("unchanged", 1).await?;
        ensure!(service(&server, "gw")? == before);
        replica.tasks.finish().await;
    }
    // Its own, with other ports than those that this was decided on.
    let replica = Replica::new(&server).await?;
    server.apply(object(ours, "default/g"))?;
    for seen in [None, Some(20_000)] {
        replica.tell("gw", make("g", 20_000, seen)?);
    }
    replica.counted("conflict", 1).await?;
    ensure!(requests(&server, "patch", "services") == 0);
    ensure!(requests(&server, "delete", "services") == 0);
    replica.tell("gw", make("g", 20_000, Some(20_007))?);
    replica.counted("written", 1).await
}

/// An address is not given up for what a replica does not know.
#[tokio::test]
async fn a_service_goes_only_while_its_gateway_is_as_was_decided() -> Result<()> {
    let server = ApiServer::start()?;
    server.install("gateways")?;
    server.apply_yaml(&GatewayManifest::new("g").document())?;
    let replica = Replica::new(&server).await?;
    replica.tell("gw", make("g", 20_000, None)?);
    replica.counted("written", 1).await?;
    // It is there after all, or has changed since.
    replica.tell("gw", remove("g", None));
    replica.counted("conflict", 1).await?;
    replica.tell("gw", remove("g", Some(7)));
    replica.counted("conflict", 2).await?;
    server.forbid("get", "gateways");
    replica.tell("gw", remove("g", Some(1)));
    replica.counted("failed", 1).await?;
    // Others are written.
    replica.tell("other", make("h", 20_001, None)?);
    replica.counted("written", 2).await?;
    ensure!(service(&server, "gw")?.is_some());
    server.allow("get", "gateways");
    replica.counted("written", 3).await?;
    ensure!(service(&server, "gw")?.is_none());
    Ok(())
}

/// As a quota does.
#[tokio::test]
async fn a_service_that_is_refused_for_itself_keeps_no_other_from_being_made() -> Result<()> {
    let server = ApiServer::start()?;
    let replica = Replica::new(&server).await?;
    server.inject(Fault::answer(403).on("services").verb("create").times(1));
    replica.tell("gw", make("g", 20_000, None)?);
    replica.counted("failed", 1).await?;
    replica.tell("other", make("h", 20_001, None)?);
    replica.counted("written", 2).await?;
    ensure!(service(&server, "gw")?.is_some());
    Ok(())
}

#[tokio::test]
async fn the_manifests_grant_what_is_asked_for_and_each_of_it_is_needed() -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(repository().join(path));
    let status = read("deploy/components/ingress/status-rbac.yaml")?;
    let own = read("deploy/components/gateway-services/rbac.yaml")?;
    let all = Grants::read(&format!("{status}---\n{own}"))?;
    for missing in Grants::read(&own)?.iter() {
        let server = ApiServer::start()?;
        server.install("gateways")?;
        server.authorize(&all.without(missing));
        let replica = Replica::new(&server).await?;
        // Each verb is needed in its turn.
        let turns = [
            ("create", make("g", 20_000, None)?),
            ("patch", make("g", 20_001, Some(20_000))?),
            ("delete", remove("g", None)),
        ];
        let first = turns.iter().position(|(verb, _)| *verb == missing.verb);
        let first = first.unwrap_or_default();
        for (number, (_, write)) in turns.into_iter().take(first + 1).enumerate() {
            replica.tell("gw", write);
            if number < first {
                replica.counted("written", number as u64 + 1).await?;
            }
        }
        replica.counted("forbidden", 1).await?;
        let forbidden = server.activity().borrow().forbidden().clone();
        ensure!(forbidden.len() == 1, "{missing}: {forbidden:?}");
        replica.tasks.finish().await;
    }
    Ok(())
}
