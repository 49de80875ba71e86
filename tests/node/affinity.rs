//! `sessionAffinity: ClientIP`: the same client meets the same endpoint, on every node, for as long
//! as it should.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use seaway_testing::{Cluster, Held, ServiceManifest, Setup, endpoint, eventually};
use serde_json::json;

use crate::{load_balancer, service, with};

crate::all_captures!(
    a_client_stays_with_its_endpoint_on_every_node,
    affinity_is_switched_without_ending_a_connection,
    a_short_timeout_lets_go_of_a_client,
);

crate::keeping_sources!(
    a_client_stays_with_its_endpoint_on_every_node,
    affinity_is_switched_without_ending_a_connection,
);

const WEB: &str = "10.96.0.10:80";
const VIP: &str = "203.0.113.10:80";
const PODS: [&str; 3] = ["pod-1", "pod-2", "pod-3"];

fn web() -> ServiceManifest {
    service("web", "10.96.0.10")
        .spec("type", "LoadBalancer")
        .top("status", load_balancer("203.0.113.10"))
}

fn sticky(seconds: u32) -> ServiceManifest {
    let timeout = json!({"clientIP": {"timeoutSeconds": seconds}});
    web()
        .spec("sessionAffinity", "ClientIP")
        .spec("sessionAffinityConfig", timeout)
}

fn save(cluster: &Cluster<'_>, service: &ServiceManifest, pods: &[&str]) -> Result<()> {
    let slice = cluster.slice("web", pods)?;
    let manifests = cluster.world.manifests();
    manifests.save("web.yaml", &with(service, &slice)).map(drop)
}

/// The one endpoint that a client meets.
fn own(cluster: &Cluster<'_>, from: &str, to: &str) -> Result<String> {
    let seen = cluster.ask(from, to, 20)?;
    let mut names = seen.into_keys();
    let only = names.next().context("nobody")?;
    let other = names.next();
    ensure!(other.is_none(), "{from} met {only} and {other:?} at {to}");
    ensure!(PODS.contains(&only.as_str()), "{from} was {only} at {to}");
    Ok(only)
}

/// Service rules 97, 98, 101: a client keeps its endpoint, whichever node it comes to; when an
/// endpoint goes its clients alone move, and they come back with it.
fn a_client_stays_with_its_endpoint_on_every_node(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        let clients: Vec<String> = (0..6).map(|number| format!("client-{number}")).collect();
        for pod in PODS {
            cluster.backend(pod, "n1")?;
        }
        for client in &clients {
            cluster.client(client, "n1")?;
        }
        save(cluster, &sticky(10_800), &PODS)?;
        eventually("an answer", || own(cluster, "client-0", WEB))?;
        let choices = || -> Result<BTreeMap<&String, String>> {
            let each = clients.iter();
            each.map(|client| Ok((client, own(cluster, client, WEB)?)))
                .collect()
        };
        let before = choices()?;
        let used: BTreeSet<&String> = before.values().collect();
        ensure!(used.len() > 1, "all clients have one endpoint: {before:?}");

        let outside = own(cluster, "outside", VIP)?;
        cluster.route("n2", "203.0.113.0/24")?;
        ensure!(own(cluster, "outside", VIP)? == outside, "n2 chose another");

        // The endpoint of the first client goes.
        let gone = before[&clients[0]].clone();
        let rest: Vec<&str> = PODS.into_iter().filter(|pod| *pod != gone).collect();
        save(cluster, &sticky(10_800), &rest)?;
        eventually("the first client to move", || {
            let now = own(cluster, "client-0", WEB)?;
            ensure!(now != gone, "it did not");
            Ok(())
        })?;
        for (client, now) in choices()? {
            let was = &before[client];
            ensure!(now == *was || *was == gone, "{client} left {was} for {now}");
        }
        save(cluster, &sticky(10_800), &PODS)?;
        eventually("everybody to be back", || {
            let now = choices()?;
            ensure!(now == before, "{now:?}");
            Ok(())
        })
    })
}

/// Service rule 100: affinity begins and ends with new connections; those that are open stay.
fn affinity_is_switched_without_ending_a_connection(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        for pod in PODS {
            cluster.backend(pod, "n1")?;
        }
        save(cluster, &web(), &PODS)?;
        cluster.expect("client", WEB, &PODS)?;
        let mut held = Held::open(cluster.at("client")?, WEB.parse::<std::net::SocketAddr>()?)?;
        let endpoint = held.get()?;
        save(cluster, &sticky(10_800), &PODS)?;
        eventually("one endpoint only", || own(cluster, "client", WEB))?;
        save(cluster, &web(), &PODS)?;
        cluster.expect("client", WEB, &PODS)?;
        ensure!(held.get()? == endpoint);
        Ok(())
    })
}

/// Service rule 99: a short timeout lets go of a client, and the Service has a problem that says
/// how.
fn a_short_timeout_lets_go_of_a_client(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        for pod in PODS {
            cluster.backend(pod, "n1")?;
        }
        save(cluster, &sticky(1).on_port("nodePort", 30080), &PODS)?;
        let port = endpoint(cluster.host("n1")?.v4, 30080);
        for to in [WEB, &port] {
            let first = eventually("an answer", || {
                let outcome = cluster.get("client", to)?;
                outcome.backend().map(str::to_owned).context("none")
            })?;
            eventually("another endpoint", || {
                let outcome = cluster.get("client", to)?;
                ensure!(outcome.backend().is_some_and(|now| now != first));
                Ok(())
            })?;
        }
        let problems = cluster.world.metric("seaway_problems", "")?;
        ensure!(problems >= 1.0, "no problem says that the timeout is fixed");
        Ok(())
    })
}
