//! Answers that are well-formed and still not what was asked for: nothing is removed on their word,
//! and what came is said.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seaway_testing::{ApiServer, Fault, Rule, Spoil, World, eventually};
use serde_json::{Value, json};

use crate::discovery::Proxy;
use crate::{SERVICES, await_requests, await_watches, only_this_change, populate, requests, scene};

/// More than the longest pause between two attempts.
const AFTER: Duration = Duration::from_secs(5);

/// What comes instead of an answer, and what is said of it.
fn answers() -> Vec<(Value, &'static str)> {
    let metadata = json!({"resourceVersion": "1"});
    vec![
        (
            json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "rows": []}),
            "Table of meta.k8s.io/v1",
        ),
        (
            json!({"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure", "message": "not today"}),
            "not today",
        ),
        (
            json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": []}),
            "PodList of v1",
        ),
        (
            json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1beta1", "metadata": metadata, "items": []}),
            "EndpointSliceList of discovery.k8s.io/v1beta1",
        ),
        (json!({}), "without a kind"),
        (
            json!({"metadata": metadata, "items": null}),
            "without a kind",
        ),
        (
            json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata}),
            "items",
        ),
        (
            json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {}, "items": []}),
            "resourceVersion",
        ),
        (
            json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": "0"}, "items": []}),
            "resourceVersion",
        ),
    ]
}

/// Lists of slices go wrong in this way: nothing is sent, `/readyz` says `what` came and from
/// where, and what comes later arrives.
fn nothing_is_lost(
    world: &World,
    server: &ApiServer,
    proxy: &Proxy,
    rule: Rule,
    what: &str,
) -> Result<()> {
    await_watches(world, server)?;
    let mark = proxy.mark();
    server.inject(rule);
    server.fail_watches("endpointslices", 410);
    eventually(format!("/readyz to say {what:?}"), || {
        let ready = world.readyz()?;
        let mut lines = ready.body.lines();
        let line = lines.find(|line| line.starts_with("watch of endpointslices: failing"));
        let line = line.unwrap_or_default();
        let said = line.contains(what)
            && line.contains("/apis/discovery.k8s.io/v1/endpointslices")
            && line.contains(&server.address().to_string());
        ensure!(said && ready.status == 200, "{ready:?}");
        Ok(())
    })?;
    ensure!(
        proxy.since(mark).is_empty(),
        "{what}: {:?}",
        proxy.since(mark)
    );
    server.heal();
    await_watches(world, server)?;
    ensure!(
        proxy.since(mark).is_empty(),
        "{what}: {:?}",
        proxy.since(mark)
    );
    Ok(())
}

#[test]
fn a_list_of_another_kind_is_no_empty_list() -> Result<()> {
    scene(&[], |world, server, proxy| {
        server.configure(|settings| settings.streaming_lists = false);
        for (answer, what) in answers() {
            let rule = Fault::instead(answer.to_string()).verb("list");
            nothing_is_lost(world, server, proxy, rule.on("endpointslices"), what)?;
        }
        only_this_change(server, proxy, proxy.mark(), AFTER)
    })
}

#[test]
fn a_stream_of_another_kind_is_no_empty_list() -> Result<()> {
    let end = json!({"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}});
    let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "default", "resourceVersion": "5"}});
    let slice = |metadata: &Value| json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata});
    let cases = [
        (
            json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": end}}),
            "Pod of v1",
        ),
        (
            json!({"type": "BOOKMARK", "object": {"metadata": end}}),
            "without a kind",
        ),
        (json!({"type": "ADDED", "object": pod}), "Pod of v1"),
        (
            json!({"type": "BOOKMARK", "object": slice(&json!({"resourceVersion": "", "annotations": end["annotations"]}))}),
            "resourceVersion",
        ),
    ];
    scene(&[], |world, server, proxy| {
        for (line, what) in cases {
            let rule = Fault::instead(format!("{line}\n")).verb("watch");
            nothing_is_lost(world, server, proxy, rule.on("endpointslices"), what)?;
        }
        only_this_change(server, proxy, proxy.mark(), AFTER)
    })
}

#[test]
fn objects_of_another_kind_in_a_list_are_not_taken_for_what_they_are_not() -> Result<()> {
    scene(&[], |world, server, proxy| {
        for streaming in [false, true] {
            server.configure(|settings| settings.streaming_lists = streaming);
            let rule = Rule::from(Fault::Spoil(Spoil::all("/kind", "Pod")));
            nothing_is_lost(world, server, proxy, rule.on("endpointslices"), "Pod of")?;
        }
        only_this_change(server, proxy, proxy.mark(), AFTER)
    })
}

#[test]
fn an_event_that_does_not_say_its_version_or_an_older_one_costs_a_new_list() -> Result<()> {
    scene(&[], |world, server, proxy| {
        for version in ["", "1"] {
            await_watches(world, server)?;
            let (mark, before) = (proxy.mark(), requests(server, "watch", "endpointslices"));
            let spoil = Spoil::all("/metadata/resourceVersion", version);
            server.inject(Fault::Spoil(spoil).verb("watch"));
            crate::touch(server)?;
            await_requests(server, "watch", "endpointslices", before + 1)?;
            server.heal();
            await_watches(world, server)?;
            ensure!(proxy.since(mark).is_empty(), "{:?}", proxy.since(mark));
        }
        only_this_change(server, proxy, proxy.mark(), AFTER)
    })
}

#[test]
fn what_a_portal_answers_is_said_with_what_it_is() -> Result<()> {
    let page = "<html><body>Welcome to the hotel</body></html>\n";
    let portal = |code, headers: &[(&'static str, &'static str)]| Fault::Instead {
        code,
        headers: headers.to_vec(),
        body: page.into(),
    };
    let cases = [
        (portal(200, &[("content-type", "text/html")]), "text/html"),
        (portal(200, &[]), "Welcome to the hotel"),
        (
            portal(302, &[("location", "http://portal.example/")]),
            "http://portal.example/",
        ),
        (portal(200, &[("content-encoding", "gzip")]), "gzip"),
    ];
    scene(&[], |world, server, proxy| {
        for streaming in [true, false] {
            server.configure(|settings| settings.streaming_lists = streaming);
            for (fault, what) in cases.clone() {
                let rule = Rule::from(fault).on("endpointslices");
                nothing_is_lost(world, server, proxy, rule, what)?;
            }
        }
        only_this_change(server, proxy, proxy.mark(), AFTER)
    })
}

#[test]
fn a_portal_that_stays_is_said_once() -> Result<()> {
    scene(&[], |world, server, proxy| {
        await_watches(world, server)?;
        let mark = proxy.mark();
        let asked = |server: &ApiServer| requests(server, "watch", "endpointslices");
        for page in ["<html>Welcome</html>\n", "{\"kind\": \"Table\"}\n"] {
            let (before, log) = (asked(server), world.seaway()?.log().len());
            server.inject(Fault::instead(page).on("endpointslices"));
            server.fail_watches("endpointslices", 410);
            await_requests(server, "watch", "endpointslices", before + 8)?;
            let log = world.seaway()?.log().split_off(log);
            let count = |what: &str| log.matches(what).count();
            // The server says that the old one is too old, begins to answer, and this comes.
            let lines = (count("the watch fails"), count("the watch works again"));
            ensure!(lines.0 <= 3 && lines.1 <= 1, "{lines:?} lines: {log}");
            server.heal();
            await_watches(world, server)?;
        }
        only_this_change(server, proxy, mark, AFTER)
    })
}

#[test]
fn a_list_of_objects_that_are_none_is_a_handful_of_lines() -> Result<()> {
    scene(&[], |world, server, _| {
        await_watches(world, server)?;
        let spoil = Fault::Spoil(Spoil::all("/metadata/name", Value::Null));
        server.inject(spoil.on("services"));
        server.fail_watches("services", 410);
        eventually("the list to be read", || {
            let log = world.seaway()?.log();
            // Beside them the problem is logged, sooner or later.
            let skipped = log.matches("an object of the list is skipped").count();
            ensure!(
                log.contains(&format!("\"more\":{}", SERVICES - 10)),
                "{log}"
            );
            ensure!(skipped == 10, "{skipped} lines");
            Ok(())
        })
    })
}

#[test]
fn refusals_that_take_turns_are_said_once_each() -> Result<()> {
    scene(&[], |world, server, _| {
        await_watches(world, server)?;
        for verb in ["list", "watch"] {
            server.forbid(verb, "services");
        }
        let asked = || requests(server, "watch", "services") + requests(server, "list", "services");
        let before = asked();
        server.refuse()?;
        server.kill()?;
        server.listen()?;
        eventually("both to be asked for again and again", || {
            ensure!(asked() > before + 8, "{} times", asked() - before);
            Ok(())
        })?;
        let log = world.seaway()?.log();
        for verb in ["list", "watch"] {
            let refusal = format!("cannot {verb} resource \\\"services");
            let lines = log.matches(&refusal).count();
            ensure!(lines == 1, "{lines} lines of {verb}: {log}");
        }
        Ok(())
    })
}

#[test]
fn a_list_without_an_end_is_given_up() -> Result<()> {
    scene(&[], |world, server, proxy| {
        server.configure(|settings| settings.streaming_lists = false);
        let endless = Fault::Endless { distinct: false };
        let rule = endless.verb("list").on("endpointslices");
        nothing_is_lost(world, server, proxy, rule, "its own continue token")?;
        only_this_change(server, proxy, proxy.mark(), AFTER)
    })
}

#[test]
fn an_error_page_of_megabytes_is_quoted_in_a_line() -> Result<()> {
    const BYTES: usize = 4 << 20;
    World::run(|world| {
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        world.start_seaway_on(&server, &[])?;
        let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
        await_watches(world, &server)?;
        let mark = proxy.mark();
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "reason": "InternalError",
            "message": "x".repeat(BYTES),
        });
        let status = Fault::Instead {
            code: 500,
            headers: Vec::new(),
            body: status.to_string().into(),
        };
        let event = json!({"type": "x".repeat(BYTES), "object": {}}).to_string() + "\n";
        let named = json!({"kind": "x".repeat(BYTES), "apiVersion": "v1", "items": []}).to_string();
        let faults = [
            Fault::page(502, BYTES),
            status,
            Fault::page(200, BYTES),
            Fault::instead(event),
            Fault::instead(named),
        ];
        for fault in faults {
            server.inject(fault);
            let before = requests(&server, "watch", "nodes") + requests(&server, "list", "nodes");
            server.fail_watches("*", 410);
            eventually("the watches to fail", || {
                let ready = world.readyz()?;
                ensure!(ready.body.len() < 4096, "{} bytes", ready.body.len());
                let failing = ready.body.matches(": failing").count();
                ensure!(failing == crate::WATCHED.len(), "{ready:?}");
                let asked =
                    requests(&server, "watch", "nodes") + requests(&server, "list", "nodes");
                ensure!(asked > before + 1, "asked {asked} times");
                Ok(())
            })?;
            server.heal();
            await_watches(world, &server)?;
        }
        let log = world.seaway()?.log().len();
        ensure!(log < 200_000, "the log has {log} bytes");
        ensure!(proxy.since(mark).is_empty(), "{:?}", proxy.since(mark));
        let began = Instant::now();
        only_this_change(&server, &proxy, mark, AFTER)?;
        ensure!(began.elapsed() < AFTER);
        Ok(())
    })
}
