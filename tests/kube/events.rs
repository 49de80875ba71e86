//! Problems become Events on the objects they are about.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{ApiServer, Fault, World, eventually};
use serde_json::json;

use crate::discovery::Proxy;
use crate::{SERVICES, only_this_change, populate};

/// Gives a Service a port that Seaway does not serve, or takes it away.
pub(crate) fn sctp(server: &ApiServer, there: bool) -> Result<()> {
    server.edit("services", "default", "web-7", |service| {
        let tcp = json!({"name": "", "port": 80, "protocol": "TCP"});
        let sctp = json!({"name": "sctp", "port": 90, "protocol": "SCTP"});
        let ports = if there { vec![tcp, sctp] } else { vec![tcp] };
        service["spec"]["ports"] = ports.into();
    })
}

/// A counter of the first two replicas together.
fn events(world: &World, replicas: usize, outcome: &str) -> Result<f64> {
    let label = format!("outcome=\"{outcome}\"");
    let counts = (0..replicas).map(|number| {
        let replica = world.replica(number)?;
        replica.metric(world.fabric(), "seaway_events_total", &label)
    });
    counts.sum()
}

fn await_problems(world: &World, wanted: f64) -> Result<()> {
    eventually(format!("{wanted} problems"), || {
        let problems = world.metric("seaway_problems", "")?;
        ensure!(problems == wanted, "{problems} stand");
        Ok(())
    })
}

/// Waits until some replica has written an Event.
pub(crate) fn await_written(world: &World, replicas: usize) -> Result<()> {
    eventually("an Event to be written", || {
        let written = events(world, replicas, "written")?;
        ensure!(written > 0.0, "none yet");
        Ok(())
    })
}

#[test]
fn a_problem_is_written_once_by_two_replicas_and_is_not_repeated() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        for _ in 0..2 {
            world.start_seaway_on(&server, &[])?;
        }
        sctp(&server, true)?;
        let told = |world: &World, known: f64| {
            eventually("both replicas to have written", || {
                let counts = (events(world, 2, "written")?, events(world, 2, "known")?);
                ensure!(counts == (1.0, known), "written and known: {counts:?}");
                Ok(())
            })
        };
        told(world, 1.0)?;
        let all = server.objects("events")?;
        ensure!(all.len() == 1, "{all:?}");
        let (event, service) = (&all[0], server.get("services", "default", "web-7")?);
        let service = service.unwrap_or_default();
        ensure!(event["regarding"]["name"] == "web-7", "{event}");
        ensure!(
            event["regarding"]["uid"] == service["metadata"]["uid"],
            "{event}"
        );
        ensure!(
            event["type"] == "Warning" && event["reason"] == "UnsupportedProtocol",
            "{event}"
        );
        // It goes, and comes again: it has been said.
        sctp(&server, false)?;
        await_problems(world, 0.0)?;
        sctp(&server, true)?;
        told(world, 3.0)?;
        ensure!(server.objects("events")?.len() == 1);
        Ok(())
    })
}

#[test]
fn without_permission_for_events_one_line_says_so_and_everything_else_works() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        server.forbid("create", "events");
        world.start_seaway_on(&server, &[])?;
        let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
        sctp(&server, true)?;
        eventually("Seaway to try", || {
            let failed = events(world, 1, "failed")?;
            ensure!(failed == 1.0, "{failed} failed");
            Ok(())
        })?;
        only_this_change(&server, &proxy, proxy.mark(), Duration::from_secs(5))?;
        let log = world.seaway()?.log();
        let lines = log
            .matches("Events about problems cannot be written")
            .count();
        ensure!(lines == 1, "{lines} lines: {log}");
        ensure!(server.objects("events")?.is_empty());
        Ok(())
    })
}

#[test]
fn an_event_that_is_answered_with_something_else_is_not_written() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        let other = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "rows": []});
        server.inject(Fault::instead(other.to_string()).on("events"));
        world.start_seaway_on(&server, &[])?;
        sctp(&server, true)?;
        eventually("Seaway to try", || {
            let failed = events(world, 1, "failed")?;
            ensure!(failed == 1.0, "{failed} failed");
            Ok(())
        })?;
        ensure!(events(world, 1, "written")? == 0.0);
        let line = world
            .seaway()?
            .log_line("Events about problems cannot be written")?;
        let place = format!("{}/apis/events.k8s.io/v1/", server.address());
        ensure!(
            line.contains("Table of meta.k8s.io/v1") && line.contains(&place),
            "{line}"
        );
        Ok(())
    })
}
