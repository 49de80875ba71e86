//! An Envoy by itself: when it is ready, when it ends, and how it comes back.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seaway_testing::{ServiceManifest, Setup, SliceManifest, join, within};

use crate::{Node, client};

#[test]
fn an_old_envoy_with_nothing_open_ends_before_its_time() -> Result<()> {
    Node::run(&Setup::default(), |node| {
        // More than Envoy takes to count its connections.
        let mut old = node.surge_with(Duration::from_secs(50))?;
        old.await_ready()?;
        let mut new = node.surge()?;
        new.await_ready()?;
        old.delete()?;
        old.await_drain("all connections are closed")?;
        old.ended().map(drop)
    })
}

#[test]
fn a_crashed_envoy_is_back_at_once() -> Result<()> {
    Node::run(&Setup::default(), |node| {
        let mut pod = node.first()?;
        pod.kill()?;
        let began = Instant::now();
        pod.restart(node.namespace()?)?;
        let client = client()?;
        // A second on a quiet machine.
        within(Duration::from_secs(5), "an answer", || {
            let outcome = client.get(node.client()?)?;
            ensure!(outcome.backend().is_some(), "{outcome}");
            Ok(())
        })?;
        println!("back after {:?}", began.elapsed());
        pod.await_ready()
    })
}

/// Envoy says that it is live after the first of several responses with listeners.
#[test]
fn a_pod_is_ready_when_the_last_of_its_listeners_is_in_place() -> Result<()> {
    const SERVICES: usize = 60;
    const PORTS: u16 = 100;
    Node::run(&Setup::default(), |node| {
        let name = "x".repeat(63);
        for number in 0..SERVICES {
            let service = format!("{}{number}", &name[..50]);
            let mut manifest =
                ServiceManifest::new(&service).cluster_ip(&format!("10.96.1.{number}"));
            let mut slice = SliceManifest::new(&service).endpoint("10.244.1.10");
            for port in 0..PORTS {
                let name = format!("port-{port}");
                manifest = manifest.port(&name, 1000 + port);
                slice = slice.port(&name, 8080);
            }
            let documents = join([manifest.document(), slice.document()]);
            let file = format!("{number}.yaml");
            node.cluster.world.manifests().save(&file, &documents)?;
        }
        // Ready means that it has read all of them.
        node.cluster.world.seaway()?.kill()?;
        if node.cluster.world.restart_seaway().is_err() {
            within(Duration::from_secs(120), "Seaway to be ready", || {
                let answer = node.cluster.world.readyz()?;
                ensure!(answer.status == 200, "{}", answer.body);
                Ok(())
            })?;
        }
        let all = SERVICES * usize::from(PORTS);
        let mut pod = node.surge()?;
        pod.await_ready()?;
        let mut ss = Command::new("ss");
        ss.args(["-Hltn", "src", "10.96.1.0/24"]);
        let sockets = node.namespace()?.command(ss)?;
        let bound: BTreeSet<_> = sockets
            .lines()
            .filter_map(|line| line.split_whitespace().nth(3))
            .collect();
        ensure!(bound.len() == all, "{} of {all} listeners", bound.len());
        Ok(())
    })
}
