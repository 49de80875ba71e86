//! One Envoy after the other under a load of new connections, where listeners are in the node's
//! network and where they are in one of their own, whose clients keep their addresses or not.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{Outcome, Setup};

use crate::{Node, TIME, each_way};

each_way!(
    a_rollout_fails_no_connection_and_cuts_none_before_its_time,
    kill_9_of_a_draining_envoy_fails_no_connection,
    kill_9_of_an_envoy_beside_a_ready_one_breaks_only_what_it_had_accepted,
    seaway_and_envoy_replaced_at_once_fail_no_connection,
);

fn a_rollout_fails_no_connection_and_cuts_none_before_its_time(setup: &Setup<'_>) -> Result<()> {
    Node::run(setup, |node| {
        let mut old = node.first()?;
        let load = node.load()?;
        let mut kept = Vec::new();
        for _ in 0..3 {
            let mut new = node.surge()?;
            kept.push((node.kept()?, None));
            new.await_ready()?;
            old.delete()?;
            old.await_drain("accepts no more connections")?;
            let stopped = Instant::now();
            let ended = old.ended()?;
            ensure!(ended.duration_since(stopped) + Duration::from_millis(500) > TIME);
            if let Some((_, end)) = kept.last_mut() {
                *end = Some(ended);
            }
            old = new;
        }
        node.none_failed(load)?;
        for (loads, ended) in kept {
            let ended = ended.context("no end")?;
            for load in loads {
                let records = load.stop()?;
                let early = records
                    .iter()
                    .find(|record| record.outcome.backend().is_none() && record.end < ended);
                ensure!(early.is_none(), "{early:?}, before {ended:?}");
            }
        }
        Ok(())
    })
}

fn kill_9_of_a_draining_envoy_fails_no_connection(setup: &Setup<'_>) -> Result<()> {
    Node::run(setup, |node| {
        let mut old = node.first()?;
        let load = node.load()?;
        let mut new = node.surge()?;
        new.await_ready()?;
        old.delete()?;
        old.await_drain("accepts no more connections")?;
        // What it had taken by then takes a moment, and that moment is what is waited for.
        std::thread::sleep(Duration::from_millis(500));
        old.kill()?;
        std::thread::sleep(Duration::from_millis(500));
        node.none_failed(load)
    })
}

/// What has not been accepted yet goes to the other one; what has been is lost with its Envoy.
fn kill_9_of_an_envoy_beside_a_ready_one_breaks_only_what_it_had_accepted(
    setup: &Setup<'_>,
) -> Result<()> {
    Node::run(setup, |node| {
        let mut old = node.first()?;
        let load = node.load()?;
        let mut new = node.surge()?;
        new.await_ready()?;
        let killed = Instant::now();
        old.kill()?;
        let dead = Instant::now();
        std::thread::sleep(Duration::from_millis(500));
        let records = load.stop()?;
        for record in records
            .iter()
            .filter(|record| record.outcome.backend().is_none())
        {
            let open = record.start < dead && record.end > killed;
            let outcome = &record.outcome;
            let never_connected = matches!(outcome, Outcome::Refused | Outcome::TimedOut);
            ensure!(open && !never_connected, "{record:?}, killed at {killed:?}");
        }
        Ok(())
    })
}

fn seaway_and_envoy_replaced_at_once_fail_no_connection(setup: &Setup<'_>) -> Result<()> {
    Node::run(setup, |node| {
        let old = node.first()?;
        let load = node.load()?;
        node.cluster.world.seaway()?.kill()?;
        let mut new = node.surge()?;
        // Live or not: without a control plane it has no listeners, and the old one stays.
        std::thread::sleep(Duration::from_secs(1));
        ensure!(new.is_ready().is_err(), "ready without listeners");
        node.cluster.world.restart_seaway()?;
        new.await_ready()?;
        old.delete()?;
        old.await_drain("accepts no more connections")?;
        let _ended = old.ended()?;
        node.none_failed(load)
    })
}
