//! A worker of Envoy makes its part of a cluster with the first connection that it has for it.
//! Whatever happened to the Service before, that connection is served as any other.

use anyhow::{Result, ensure};
use seaway_testing::{Cluster, Flow, ServiceManifest, Setup, eventually, join};

use crate::{service, with};

crate::all_captures!(
    the_first_connection_of_every_worker_is_answered,
    what_changed_before_the_first_connection_counts,
    the_first_connection_meets_priorities_as_they_are_by_then,
    the_first_datagram_is_answered,
    connections_are_counted_once_per_service,
);

/// Services that nobody asks before the test does.
const UNUSED: u8 = 40;
/// Connections to each: with two workers, hardly one in a hundred Services meets only one of them.
const ASKED: usize = 8;

fn address(number: u8) -> String {
    format!("10.96.1.{number}")
}

fn name(number: u8) -> String {
    format!("web-{number}")
}

/// What is done to every Service of many, in one file.
fn save(
    cluster: &Cluster<'_>,
    pods: &[&str],
    change: impl Fn(ServiceManifest) -> ServiceManifest,
) -> Result<()> {
    let documents: Result<Vec<String>> = (1..=UNUSED)
        .map(|number| {
            let web = change(service(&name(number), &address(number)));
            Ok(with(&web, &cluster.slice(&name(number), pods)?))
        })
        .collect();
    cluster
        .world
        .manifests()
        .save("unused.yaml", &join(documents?))
        .map(drop)
}

/// Asks a Service that is not among the many, which was saved after them: what it answers by, they
/// have too.
fn await_marker(cluster: &Cluster<'_>, pod: &str, revision: u8) -> Result<()> {
    let name = format!("marker-{revision}");
    let ip = format!("10.96.2.{revision}");
    let slice = cluster.slice(&name, &[pod])?;
    let marker = with(&service(&name, &ip), &slice);
    cluster
        .world
        .manifests()
        .save(&format!("{name}.yaml"), &marker)?;
    cluster.expect("client", &format!("{ip}:80"), &[pod])
}

/// Every Service of many is answered by `pod` from the first connection on.
fn first_connections_meet(cluster: &Cluster<'_>, pod: &str) -> Result<()> {
    for number in 1..=UNUSED {
        let seen = cluster.ask("client", &format!("{}:80", address(number)), ASKED)?;
        ensure!(
            seen.len() == 1 && seen.get(pod) == Some(&ASKED),
            "{}: {seen:?}",
            name(number)
        );
    }
    Ok(())
}

/// Nobody has asked these Services when the first connections come to both workers.
fn the_first_connection_of_every_worker_is_answered(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("pod-1", "n1")?;
        cluster.client("client", "n1")?;
        save(cluster, &["pod-1"], |web| web)?;
        await_marker(cluster, "pod-1", 1)?;
        first_connections_meet(cluster, "pod-1")
    })
}

/// Service rules 80, 84: endpoints replaced, then the cluster itself changed, then the Service gone
/// and back, all of it before anybody asks. No connection meets an endpoint of before.
fn what_changed_before_the_first_connection_counts(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        for pod in ["pod-1", "pod-2", "pod-3"] {
            cluster.backend(pod, "n1")?;
        }
        cluster.client("client", "n1")?;
        save(cluster, &["pod-1"], |web| web)?;
        await_marker(cluster, "pod-1", 1)?;
        save(cluster, &["pod-2"], |web| web)?;
        await_marker(cluster, "pod-1", 2)?;
        save(cluster, &["pod-2"], |web| {
            web.spec("sessionAffinity", "ClientIP")
        })?;
        await_marker(cluster, "pod-1", 3)?;
        first_connections_meet(cluster, "pod-2")?;
        cluster.world.manifests().delete("unused.yaml")?;
        cluster.expect("client", &format!("{}:80", address(UNUSED)), &["refused"])?;
        save(cluster, &["pod-2"], |web| web)?;
        await_marker(cluster, "pod-1", 4)?;
        save(cluster, &["pod-3"], |web| web)?;
        await_marker(cluster, "pod-1", 5)?;
        first_connections_meet(cluster, "pod-3")
    })
}

/// Service rules 83, 85: a Service that prefers its node's endpoints has several priorities; fewer
/// and other ones by the time of the first connection.
fn the_first_connection_meets_priorities_as_they_are_by_then(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        cluster.backend("near", "n1")?;
        cluster.backend("far", "n2")?;
        cluster.client("client", "n1")?;
        let prefers = |web: ServiceManifest| {
            web.spec("internalTrafficPolicy", "Local")
                .annotation("seaway.dev/local-fallback", "cluster")
                .annotation("seaway.dev/outlier-detection", "3")
        };
        save(cluster, &["near", "far"], prefers)?;
        await_marker(cluster, "near", 1)?;
        save(cluster, &["far"], prefers)?;
        await_marker(cluster, "near", 2)?;
        first_connections_meet(cluster, "far")?;
        save(cluster, &["far", "near"], prefers)?;
        eventually("the node's own endpoint", || {
            first_connections_meet(cluster, "near")
        })
    })
}

/// Service rule 104: the same for a datagram.
fn the_first_datagram_is_answered(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        for pod in ["pod-1", "pod-2"] {
            cluster.backend(pod, "n1")?;
        }
        cluster.client("client", "n1")?;
        let dns = service("dns", "10.96.0.53").on_port("protocol", "UDP");
        for (pod, revision) in [("pod-1", 1), ("pod-2", 2)] {
            let slice = cluster.slice("dns", &[pod])?.on_port("protocol", "UDP");
            let manifests = cluster.world.manifests();
            manifests.save("dns.yaml", &with(&dns, &slice))?;
            await_marker(cluster, "pod-1", revision)?;
        }
        for _ in 0..ASKED {
            let outcome = Flow::open(cluster.at("client")?, "10.96.0.53:80")?.ask()?;
            ensure!(outcome.word() == "pod-2", "{outcome}");
        }
        Ok(())
    })
}

/// Of its statistics a Service has those that the guide names (docs/scale.md): Envoy's own are a
/// hundred and fifty each, of which most say the same or nothing.
fn connections_are_counted_once_per_service(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("pod-1", "n1")?;
        cluster.client("client", "n1")?;
        let slice = cluster.slice("web", &["pod-1"])?;
        let web = with(&service("web", "10.96.0.10"), &slice);
        cluster.world.manifests().save("web.yaml", &web)?;
        cluster.expect("client", "10.96.0.10:80", &["pod-1"])?;
        let stats = cluster.envoy("n1")?.stats()?;
        let count = |name: &str| stats.get(&format!("cluster.default_web_80.{name}"));
        ensure!(count("upstream_cx_total") >= Some(&1), "{stats:?}");
        ensure!(count("membership_total") == Some(&1), "{stats:?}");
        ensure!(count("update_rejected") == Some(&0), "{stats:?}");
        let of_service = |name: &&String| name.contains("web_80") || name.contains("10.96.0.10_80");
        let names: Vec<_> = stats.keys().filter(of_service).collect();
        ensure!(names.len() < 25, "{names:?}");
        let control_plane = "cluster.seaway_xds.upstream_rq_active";
        ensure!(stats.contains_key(control_plane), "no {control_plane}");
        Ok(())
    })
}
