//! What an Envoy refuses is in the log of the container beside it, and in its metrics.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{Client, Outcome, ProxyPod, Setup, within};

use crate::{Node, WEB};

/// Where the metrics of `drain` are.
const METRICS: &str = "127.0.0.1:18003";

/// Of more connections than its files are for, it says how many were refused and of whom, and then
/// that it is over.
#[test]
fn a_drain_says_what_its_envoy_refuses() -> Result<()> {
    Node::run(&Setup::default(), |node| {
        // Files for 93 connections of clients.
        let bootstrap = ["--node-name", "n1", "--max-files", "2000"];
        let look = ["--look", "500ms", "--metrics-listen", METRICS];
        let world = &*node.cluster.world;
        let mut pod = ProxyPod::start(world, node.namespace()?, "proxy", &bootstrap, &look)?;
        pod.await_ready()?;
        await_metrics(
            node,
            &[
                LIMITED_NOT,
                "seaway_envoy_refused_total{limit=\"connections\"} 0",
            ],
        )?;
        let web: SocketAddr = WEB.parse()?;
        let held: Vec<_> = node
            .client()?
            .run(move || (0..200).map(|_| TcpStream::connect(web)).collect())?;
        pod.await_drain("\"of\":\"10.96.0.10_80\"")?;
        pod.await_drain(
            "Envoy refuses connections beyond the limit that follows from its open files",
        )?;
        drop(held);
        pod.await_drain("Envoy no longer refuses connections")?;
        await_metrics(
            node,
            &[LIMITED_NOT, "seaway_envoy_refused_total{limit=\"flows\"} 0"],
        )?;
        let refused = metrics(node)?;
        let refused = refused.lines().find_map(|line| {
            line.strip_prefix("seaway_envoy_refused_total{limit=\"connections\"} ")
        });
        let refused: u64 = refused.unwrap_or_default().parse()?;
        ensure!((50..=200).contains(&refused), "{refused} were refused");
        Ok(())
    })
}

/// The problem stands while there are refusals, and the metrics move to the one that takes the
/// place of another.
#[test]
fn what_is_limited_is_a_problem_for_as_long_as_it_is() -> Result<()> {
    Node::run(&Setup::default(), |node| {
        let bootstrap = ["--node-name", "n1", "--max-files", "2000"];
        let look = [
            "--look",
            "1s",
            "--drain-time",
            "1s",
            "--metrics-listen",
            METRICS,
        ];
        let world = &*node.cluster.world;
        let start = |name: &str| ProxyPod::start(world, node.namespace()?, name, &bootstrap, &look);
        let mut old = start("old")?;
        old.await_ready()?;
        await_metrics(node, &[LIMITED_NOT])?;
        let mut new = start("new")?;
        new.await_drain("trying again every second")?;
        new.await_ready()?;
        old.delete()?;
        old.ended()?;
        let web: SocketAddr = WEB.parse()?;
        let all = move || {
            (0..200)
                .map(|_| TcpStream::connect(web))
                .collect::<Vec<_>>()
        };
        within(Duration::from_secs(20), "the problem", || {
            let _held = node.client()?.run(all)?;
            let text = metrics(node)?;
            ensure!(
                text.contains("seaway_problems{reason=\"ConnectionsLimited\"} 1"),
                "{text}"
            );
            Ok(())
        })?;
        await_metrics(node, &[LIMITED_NOT])
    })
}

const LIMITED_NOT: &str = "seaway_problems{reason=\"ConnectionsLimited\"} 0";

fn metrics(node: &Node<'_, '_>) -> Result<String> {
    let client = Client::new(METRICS.parse::<SocketAddr>()?).path("/metrics");
    match client.get(node.namespace()?)? {
        Outcome::Answered(answer) if answer.status == 200 => Ok(answer.body),
        other => anyhow::bail!("metrics of drain: {other}"),
    }
}

fn await_metrics(node: &Node<'_, '_>, lines: &[&str]) -> Result<()> {
    within(Duration::from_secs(20), format!("{lines:?}"), || {
        let text = metrics(node)?;
        ensure!(lines.iter().all(|line| text.contains(line)), "{text}");
        Ok(())
    })
}
