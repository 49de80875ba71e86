//! Health checks of load balancers and of the proxy itself: what a checker on a kept connection is
//! told, and when.

use anyhow::{Result, ensure};
use seaway_testing::{Cluster, Held, ServiceManifest, Setup, endpoint, eventually};
use serde_json::{Value, json};

use crate::{load_balancer, service, with};

crate::all_captures!(
    a_checker_on_a_kept_connection_is_told_every_change,
    the_proxys_own_health_follows_its_node,
);

const VIP: &str = "203.0.113.10:80";
const PORT: u16 = 31000;

/// Two ports, so that endpoints are counted by address (Service rule 33).
fn web(policy: &str) -> ServiceManifest {
    service("web", "10.96.0.10")
        .port("admin", 81)
        .spec("type", "LoadBalancer")
        .spec("externalTrafficPolicy", policy)
        .spec("healthCheckNodePort", PORT)
        .top("status", load_balancer("203.0.113.10"))
}

/// Saves the Service with these endpoints on these nodes.
fn save(
    cluster: &Cluster<'_>,
    service: &ServiceManifest,
    endpoints: &[(&str, &str, Value)],
) -> Result<()> {
    let slice = cluster.slice("web", &[])?.port("admin", 8080);
    let slice =
        endpoints
            .iter()
            .try_fold(slice, |slice, (pod, node, conditions)| -> Result<_> {
                let address = cluster.host(pod)?.v4.to_string();
                let slice = slice.endpoint_on(&address, node, "a");
                Ok(slice.on_endpoint("conditions", conditions.clone()))
            })?;
    let manifests = cluster.world.manifests();
    manifests.save("web.yaml", &with(service, &slice)).map(drop)
}

/// A checker on a kept connection is told this number of endpoints, and the status that belongs to
/// it.
fn told(checker: &mut Held, count: u64) -> Result<()> {
    let (head, body) = checker.ask("/any/path")?;
    let status = if count > 0 { "200" } else { "503" };
    ensure!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    let head = head.to_ascii_lowercase();
    for line in [
        format!("x-load-balancing-endpoint-weight: {count}"),
        "content-type: application/json".to_owned(),
        "x-content-type-options: nosniff".to_owned(),
    ] {
        ensure!(head.lines().any(|own| own == line), "no {line} in {head}");
    }
    let wanted = json!({
        "service": {"namespace": "default", "name": "web"}, "localEndpoints": count, "serviceProxyHealthy": true,
    });
    let told: Value = serde_json::from_str(&body)?;
    ensure!(told == wanted, "{told}");
    Ok(())
}

fn eventually_told(checker: &mut Held, count: u64) -> Result<()> {
    eventually(format!("{count} endpoints in the answer"), || {
        told(checker, count)
    })
}

/// Service rules 31 to 34: each node answers for itself, by addresses of ready endpoints; a checker
/// that keeps its connection sees every change over it, also while the Service has no frontend at
/// all.
fn a_checker_on_a_kept_connection_is_told_every_change(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        for (pod, node) in [("first", "n1"), ("second", "n1"), ("there", "n2")] {
            cluster.backend(pod, node)?;
        }
        let ready = || json!({"ready": true});
        let terminating = || json!({"ready": false, "serving": true, "terminating": true});
        let all = [
            ("first", "n1", ready()),
            ("second", "n1", ready()),
            ("there", "n2", ready()),
        ];
        save(cluster, &web("Local"), &all)?;
        cluster.expect("outside", VIP, &["first", "second"])?;
        let check = |node: &str| -> Result<Held> {
            let address = (cluster.host(node)?.v4, PORT);
            Held::open(cluster.at("outside")?, address)
        };
        let (mut n1, mut n2) = (check("n1")?, check("n2")?);
        told(&mut n1, 2)?;
        told(&mut n2, 1)?;
        // Published although not ready counts; terminating does not, while traffic to it still
        // works.
        let published = json!({"ready": true, "serving": false, "terminating": true});
        let going = [("first", "n1", terminating()), ("second", "n1", published)];
        save(cluster, &web("Local"), &going)?;
        eventually_told(&mut n1, 1)?;
        eventually_told(&mut n2, 0)?;
        save(cluster, &web("Local"), &[("first", "n1", terminating())])?;
        eventually_told(&mut n1, 0)?;
        cluster.expect("outside", VIP, &["first"])?;
        save(cluster, &web("Local"), &[("there", "n2", ready())])?;
        eventually_told(&mut n2, 1)?;
        told(&mut n1, 0)?;
        // No endpoint anywhere: the addresses refuse, the check goes on saying no.
        save(cluster, &web("Local"), &[])?;
        cluster.expect("outside", VIP, &["refused"])?;
        eventually_told(&mut n2, 0)?;
        told(&mut check("n1")?, 0)?;
        save(cluster, &web("Local"), &all)?;
        eventually_told(&mut n1, 2)?;

        // On node port addresses only, and only with a Local policy.
        let own = endpoint(cluster.host("n1")?.v4, PORT);
        for ip in ["10.96.0.10", "203.0.113.10"] {
            cluster.expect("n1", &format!("{ip}:{PORT}"), &["refused"])?;
        }
        // A wildcard listener takes it, to close it.
        let loopback = if setup.namespace { "refused" } else { "closed" };
        cluster.expect("n1", &format!("127.0.0.1:{PORT}"), &[loopback])?;
        save(cluster, &web("Cluster"), &all)?;
        cluster.expect("outside", &own, &["refused"])
    })
}

/// Service rule 35: the proxy says that it takes new connections until its Node is about to go; it
/// lives all the same.
fn the_proxys_own_health_follows_its_node(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        let address = (cluster.host("n1")?.v4, 10256);
        let mut checker = eventually("the listener", || {
            Held::open(cluster.at("outside")?, address)
        })?;
        let mut status = |path: &str, wanted: &str| {
            eventually(format!("{wanted} at {path}"), || {
                let (head, _) = checker.ask(path)?;
                ensure!(head.starts_with(&format!("HTTP/1.1 {wanted} ")), "{head}");
                Ok(())
            })
        };
        status("/healthz", "200")?;
        status("/livez", "200")?;
        let mut other = Held::open(cluster.at("outside")?, address)?;
        for (path, fields) in [("/healthz", 3), ("/livez", 2)] {
            let (head, body) = other.ask(path)?;
            let told: Value = serde_json::from_str(&body)?;
            let is_time = |field: &str| {
                let time = told[field].as_str().unwrap_or_default();
                time.starts_with("20") && time.ends_with(" +0000 UTC")
            };
            let times = is_time("lastUpdated") && is_time("currentTime");
            let json = head
                .to_ascii_lowercase()
                .contains("\r\ncontent-type: application/json\r\n");
            ensure!(
                times && json && told.as_object().map(|all| all.len()) == Some(fields),
                "{head}{body}"
            );
        }
        let (head, body) =
            Held::open(cluster.at("n1")?, ([127, 0, 0, 1], 10249))?.ask("/proxyMode")?;
        ensure!(
            head.starts_with("HTTP/1.1 200 ") && body == "seaway",
            "{head}{body}"
        );
        let manifests = cluster.world.manifests();
        let nodes = manifests.read("nodes.yaml")?;
        let taint =
            r#""spec":{"taints":[{"key":"ToBeDeletedByClusterAutoscaler","effect":"NoSchedule"}],"#;
        manifests.replace("nodes.yaml", r#""spec":{"#, taint)?;
        status("/healthz", "503")?;
        status("/livez", "200")?;
        manifests.save("nodes.yaml", &nodes)?;
        status("/healthz", "200")?;
        let deleted = r#""metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z","#;
        manifests.replace("nodes.yaml", r#""metadata":{"#, deleted)?;
        status("/healthz", "503")
    })
}
