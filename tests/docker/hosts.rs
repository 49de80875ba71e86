//! Several hosts: Envoys of role node in networks that do not reach each other, nodes prepared by
//! the image for that, and one Seaway in all of the networks. Each node follows its own place in
//! the cluster.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use seaway_testing::{Folder, repository, within};
use tempfile::TempDir;

use crate::engine::{Compose, SEAWAY, docker, readable};

const FILE: &str = "tests/docker/hosts/compose.yaml";
/// A Service with a Local policy.
const AGENT: &str = "http://10.96.0.20:80/";
/// A Service whose endpoints have hints for zones.
const NEARBY: &str = "http://10.96.0.30:80/";

/// Who answers a client on a node, or why nobody does.
fn ask(compose: &Compose, node: &str, url: &str) -> Result<String> {
    let answer = compose.exec(node, &["timeout", "3", "wget", "-q", "-O", "-", url])?;
    Ok(answer.trim().to_owned())
}

fn await_answer(compose: &Compose, node: &str, url: &str, wanted: &str) -> Result<()> {
    let what = format!("{wanted} to answer {url} on {node}");
    within(Duration::from_secs(20), what, || {
        let answer = ask(compose, node, url)?;
        ensure!(answer == wanted, "{answer}");
        Ok(())
    })
}

/// Waits until nobody answers, for the reason that `wget` gives.
fn await_nobody(compose: &Compose, node: &str, url: &str, reason: &str) -> Result<()> {
    let what = format!("nobody to answer {url} on {node}");
    within(Duration::from_secs(20), what, || {
        match ask(compose, node, url) {
            Err(error) if error.to_string().contains(reason) => Ok(()),
            Err(error) => Err(error),
            Ok(answer) => bail!("{answer} answers"),
        }
    })
}

/// What the Envoy of a node starts from.
fn bootstrap(name: &str) -> Result<String> {
    docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        SEAWAY,
        "bootstrap",
        "--role",
        "node",
        "--node-id",
        name,
        "--node-name",
        name,
        "--xds",
        "seaway:18000",
        "--admin-port",
        "9901",
    ])
}

#[test]
#[ignore = "needs Docker: make test-docker"]
fn envoys_of_two_nodes_in_two_networks_follow_their_own_places() -> Result<()> {
    let folder = TempDir::new()?;
    let manifests = Folder::new(folder.path().join("manifests"))?;
    manifests.copy_from(&repository().join("tests/docker/hosts/manifests"))?;
    let bootstraps = Folder::new(folder.path().join("bootstraps"))?;
    for name in ["a", "b"] {
        bootstraps.save(&format!("{name}.yaml"), &bootstrap(name)?)?;
    }
    for path in [folder.path(), manifests.path(), bootstraps.path()] {
        readable(path)?;
    }
    let shown = [manifests.path(), bootstraps.path()].map(|path| path.display().to_string());
    let environment = [
        ("SEAWAY_MANIFESTS", shown[0].as_str()),
        ("SEAWAY_BOOTSTRAPS", &shown[1]),
    ];
    Compose::up(FILE, &environment, |compose| {
        for (node, backend) in [("node-a", "web-a"), ("node-b", "web-b")] {
            for url in [AGENT, NEARBY] {
                await_answer(compose, node, url, backend)?;
                for _ in 0..10 {
                    let answer = ask(compose, node, url)?;
                    ensure!(answer == backend, "{answer} for {url} on {node}");
                }
            }
            // An address that no Service has.
            await_nobody(compose, node, "http://10.96.0.99:80/", "refused")?;
        }
        // Service rule 74: turned away where there is no local endpoint, whoever has one elsewhere.
        manifests.replace(
            "agent.yaml",
            "172.30.84.11], nodeName: a",
            "172.30.84.11], nodeName: b",
        )?;
        await_nobody(compose, "node-a", AGENT, "error getting response")?;
        await_answer(compose, "node-b", AGENT, "web-b")?;
        manifests.replace(
            "agent.yaml",
            "172.30.84.11], nodeName: b",
            "172.30.84.11], nodeName: a",
        )?;
        await_answer(compose, "node-a", AGENT, "web-a")
    })
}
