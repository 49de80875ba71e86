//! What an API server can do wrong: no endpoint is lost, nothing is sent without a change, and a
//! change made afterwards arrives.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    ApiServer, Fault, Record, Rule, ServiceManifest, SliceManifest, Spoil, World,
};
use seaway_testing::{eventually, join};
use serde_json::{Value, json};

use crate::discovery::Proxy;
use crate::{
    OTHER, SERVICES, assignment, await_requests, await_watches, only_this_change, requests, scene,
    slice, slice_name, touch,
};

/// The longest pause after a refusal, and some more.
const AFTER: Duration = Duration::from_secs(15);

/// Lets something go wrong with a Seaway that has everything, then makes one change: it is all that
/// is sent.
fn undisturbed(trouble: impl FnOnce(&mut World, &ApiServer) -> Result<()>) -> Result<()> {
    scene(&[], |world, server, proxy| {
        await_watches(world, server)?;
        let mark = proxy.mark();
        trouble(world, server)?;
        server.heal();
        only_this_change(server, proxy, mark, AFTER)
    })
}

/// From now on something goes wrong; returns when each watch has been asked for so often since.
fn storm(server: &ApiServer, fault: impl Into<Rule>, count: u64) -> Result<()> {
    let resources = ["services", "endpointslices", "nodes"];
    let before = resources.map(|resource| requests(server, "watch", resource));
    server.inject(fault);
    server.end_watches("*");
    touch(server)?;
    for (resource, before) in resources.into_iter().zip(before) {
        await_requests(server, "watch", resource, before + count)?;
    }
    Ok(())
}

#[test]
fn watches_that_always_expire_cost_new_lists_and_nothing_else() -> Result<()> {
    undisturbed(|_, server| storm(server, Fault::Expired, 3))
}

#[test]
fn watches_that_are_always_gone_cost_new_lists_and_nothing_else() -> Result<()> {
    undisturbed(|_, server| storm(server, Fault::answer(410), 3))
}

#[test]
fn a_server_that_is_busy_or_broken_is_asked_again_later() -> Result<()> {
    undisturbed(|world, server| {
        for fault in [Fault::busy(1), Fault::answer(500)] {
            storm(server, fault, 1)?;
            server.heal();
            await_watches(world, server)?;
        }
        Ok(())
    })
}

#[test]
fn answers_that_nobody_can_read_are_asked_for_again() -> Result<()> {
    undisturbed(|world, server| {
        let faults = [
            Fault::NotJson,
            Fault::Truncate { after: 0 },
            Fault::Garble { after: 0 },
            Fault::Cut { after: 0 },
        ];
        for fault in faults {
            // Only of watches: one that was cut asks first, by a list, how far the server is, and
            // that must not go wrong for ever.
            storm(server, fault.verb("watch"), 2)?;
            server.heal();
            // A watch works when it has brought something.
            touch(server)?;
            await_watches(world, server)?;
        }
        Ok(())
    })
}

#[test]
fn what_is_said_twice_is_sent_once() -> Result<()> {
    scene(&[], |world, server, proxy| {
        await_watches(world, server)?;
        let mark = proxy.mark();
        server.inject(Fault::Repeat);
        touch(server)?;
        only_this_change(server, proxy, mark, AFTER)?;
        let sent = proxy.since(mark);
        ensure!(sent.len() == 1, "{sent:?}");
        Ok(())
    })
}

#[test]
fn lists_anew_in_pages_or_from_a_server_without_streaming_lists_change_nothing() -> Result<()> {
    undisturbed(|world, server| {
        server.configure(|settings| settings.streaming_lists = false);
        let before = requests(server, "list", "nodes");
        for round in 1..=2 {
            server.fail_watches("*", 410);
            await_requests(server, "list", "nodes", before + round)?;
            await_watches(world, server)?;
        }
        Ok(())
    })
}

#[test]
fn a_watch_cache_that_lags_turns_nothing_back() -> Result<()> {
    scene(&[], |world, server, proxy| {
        for streaming in [true, false] {
            await_watches(world, server)?;
            let there = if streaming {
                &OTHER[..]
            } else {
                &crate::TWO[..]
            };
            server.apply_yaml(&slice(5, there).document())?;
            proxy.await_endpoints(AFTER, &assignment(5), there)?;
            let mark = proxy.mark();
            server.configure(|settings| {
                settings.lag = 30;
                settings.streaming_lists = streaming;
            });
            let before = requests(server, "watch", "endpointslices");
            server.fail_watches("*", 410);
            await_requests(server, "watch", "endpointslices", before + 1)?;
            await_watches(world, server)?;
            ensure!(proxy.since(mark).is_empty(), "{:?}", proxy.since(mark));
        }
        only_this_change(server, proxy, proxy.mark(), AFTER)
    })
}

#[test]
fn a_list_that_takes_long_removes_nothing_while_it_is_read() -> Result<()> {
    undisturbed(|world, server| {
        for streaming in [true, false] {
            server.configure(|settings| settings.streaming_lists = streaming);
            let (piece, pause) = (2048, Duration::from_millis(100));
            server.inject(Fault::Slow { piece, pause }.on("endpointslices"));
            server.fail_watches("endpointslices", 410);
            await_watches(world, server)?;
            server.heal();
        }
        Ok(())
    })
}

/// Some objects have a field of another shape, in lists and in watches.
fn spoiled(field: &str, value: Value) -> Result<()> {
    undisturbed(|world, server| {
        let spoil = |seed| Spoil::some(10, seed, field, value.clone());
        let seeds = (0..1000).find(|seed| {
            let hits = |number: &usize| spoil(*seed).hits("default", &slice_name(*number));
            (0..SERVICES).filter(hits).count() == 2
        });
        let spoil = spoil(seeds.context("no seed hits a tenth of the slices")?);
        let before = requests(server, "watch", "endpointslices");
        server.inject(Fault::Spoil(spoil));
        server.fail_watches("*", 410);
        await_requests(server, "watch", "endpointslices", before + 1)?;
        eventually("Seaway to say what is wrong", || {
            let problems = world.metric("seaway_problems", "")?;
            ensure!(problems > 0.0, "it says nothing");
            Ok(())
        })?;
        touch(server)?;
        server.heal();
        await_watches(world, server)?;
        server.fail_watches("*", 410);
        eventually("all problems to be gone", || {
            let problems = world.metric("seaway_problems", "")?;
            ensure!(problems == 0.0, "{problems} problems stand");
            Ok(())
        })
    })
}

#[test]
fn slices_with_endpoints_of_another_shape_keep_those_they_had() -> Result<()> {
    spoiled("/endpoints", json!("none"))
}

#[test]
fn objects_with_labels_of_another_shape_keep_what_they_were() -> Result<()> {
    spoiled("/metadata/labels", json!([7]))
}

#[test]
fn objects_without_a_name_are_not_taken_for_deleted() -> Result<()> {
    spoiled("/metadata/name", Value::Null)
}

#[test]
fn objects_that_are_none_are_not_taken_for_deleted() -> Result<()> {
    spoiled("", json!("an object"))
}

#[test]
fn a_permission_that_is_taken_away_is_named_and_shrinks_nothing() -> Result<()> {
    scene(&[], |world, server, proxy| {
        await_watches(world, server)?;
        let mark = proxy.mark();
        server.forbid("watch", "endpointslices");
        server.end_watches("endpointslices");
        let ready = eventually("/readyz to name the watch", || {
            let ready = world.readyz()?;
            ensure!(
                ready.body.contains("watch of endpointslices: failing"),
                "{}",
                ready.body
            );
            Ok(ready)
        })?;
        ensure!(
            ready.status == 200 && ready.body.contains("403"),
            "{ready:?}"
        );
        ensure!(!ready.body.contains("watch of services"), "{ready:?}");
        // Whoever comes now gets everything, too.
        Proxy::complete(world, 0, "node", SERVICES)?;
        server.allow("watch", "endpointslices");
        only_this_change(server, proxy, mark, AFTER)
    })
}

#[test]
fn a_cluster_that_is_restored_to_an_earlier_state_is_followed() -> Result<()> {
    scene(&[], |world, server, proxy| {
        await_watches(world, server)?;
        let earlier = server.revision();
        server.apply_yaml(&slice(5, &OTHER).document())?;
        proxy.await_endpoints(AFTER, &assignment(5), &OTHER)?;
        let mark = proxy.mark();
        server.refuse()?;
        server.kill()?;
        server.restore(earlier)?;
        server.listen()?;
        proxy.await_endpoints(AFTER, &assignment(5), &crate::TWO)?;
        let changed = proxy.changed_since(mark);
        ensure!(
            changed.iter().eq(&[format!("+{}", assignment(5))]),
            "{changed:?}"
        );
        only_this_change(server, proxy, proxy.mark(), AFTER)
    })
}

#[test]
fn traffic_goes_on_whatever_the_api_server_says() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        let _backends = [
            world.backend("web-1", "10.244.1.10")?,
            world.backend("web-2", "10.244.1.11")?,
        ];
        let web = ServiceManifest::new("web")
            .cluster_ip("10.96.0.10")
            .port("", 80);
        let slice = SliceManifest::new("web").port("", 8080);
        let slice = slice.endpoint("10.244.1.10").endpoint("10.244.1.11");
        server.apply_yaml(&join([web.document(), slice.document()]))?;
        world.start_seaway_on(&server, &[])?;
        let n1 = world.start_node("n1", "a")?;
        n1.await_backend("10.96.0.10:80", "web-1")?;
        let counts = || -> Result<_> {
            let stats = n1.stats()?;
            let kept = [
                "cluster_manager.cluster_updated",
                "cluster.default_web_80.membership_change",
            ];
            let kept = kept.map(|name| stats.get(name).copied());
            Ok((n1.changes()?, kept))
        };
        let before = counts()?;
        ensure!(before.1.iter().all(Option::is_some), "{before:?}");
        let load = n1.load("10.96.0.10:80", 100)?;
        let troubles = [
            Fault::Spoil(Spoil::all("/endpoints", "none")),
            Fault::Spoil(Spoil::all("/metadata/name", Value::Null)),
            Fault::NotJson,
            Fault::Expired,
            Fault::answer(403),
        ];
        for trouble in troubles {
            await_watches(world, &server)?;
            let before = requests(&server, "watch", "endpointslices");
            server.inject(trouble);
            server.fail_watches("*", 410);
            await_requests(&server, "watch", "endpointslices", before + 1)?;
            server.heal();
        }
        await_watches(world, &server)?;
        let records = load.stop()?;
        let failures = Record::failures(&records);
        ensure!(
            failures.is_none(),
            "of {} requests: {failures:?}",
            records.len()
        );
        let after = counts()?;
        ensure!(before == after, "before: {before:?}, after: {after:?}");
        server.delete("endpointslices", "default", "web-1")?;
        n1.await_refused("10.96.0.10:80")
    })
}
