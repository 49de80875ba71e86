//! What Seaway may ask of an API server: all that it ever asks is granted by `deploy/base`, all of
//! that is needed, and what is missing is named where an operator looks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{ApiServer, Grant, Grants, World, eventually, within};
use tonic::Code;

use crate::discovery::Proxy;
use crate::events::{await_written, sctp};
use crate::{
    SERVICES, WATCHED, await_requests, await_watches, only_this_change, populate, requests, touch,
};

/// The kinds without which nobody is served.
const REQUIRED: [&str; 3] = ["services", "endpointslices", "nodes"];
/// The kinds of Gateway API, each with its version where a server may have several.
const CRDS: [&str; 4] = [
    "gatewayclasses",
    "gateways",
    "httproutes",
    "gateway.networking.k8s.io/v1/referencegrants",
];

/// An Ingress that names a Secret.
const TLS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: tls, namespace: default}
spec: {ingressClassName: other, tls: [{secretName: tls}]}
";

/// A server with some Services and the CRDs of Gateway API.
fn server(world: &World) -> Result<ApiServer> {
    let server = world.api_server()?;
    populate(&server, SERVICES)?;
    for resource in CRDS {
        server.install(resource)?;
    }
    // Without a name no Secret is asked for.
    server.apply_yaml(TLS)?;
    Ok(server)
}

/// What the manifests grant, tokens aside: those are for `tests/identity`.
fn granted() -> Result<Grants> {
    let grants = Grants::of_seaway()?;
    let reviews = grants.iter().find(|grant| grant.resource == "tokenreviews");
    Ok(grants.without(reviews.context("tokenreviews are not granted")?))
}

fn is_asked_for(server: &ApiServer, grant: &Grant) -> bool {
    requests(server, &grant.verb, &grant.resource) > 0
}

#[test]
fn every_permission_is_needed_and_no_other_is_asked_for() -> Result<()> {
    World::run(|world| {
        let (server, grants) = (server(world)?, granted()?);
        server.authorize(&grants);
        // Lists as streams, then page by page.
        world.start_seaway_on(&server, &["--namespace", "default"])?;
        world.start_seaway_on(&server, &[])?;
        let proxy = Proxy::complete(world, 1, "node", SERVICES)?;
        server.configure(|settings| settings.streaming_lists = false);
        world.start_seaway_on(&server, &[])?;
        Proxy::complete(world, 2, "mesh", SERVICES)?;
        sctp(&server, true)?;
        await_written(world, 3)?;
        // Everything is listed anew, and a server that was away is asked how far it is.
        server.compact();
        server.fail_watches("*", 410);
        let before = WATCHED.map(|resource| requests(&server, "list", resource));
        server.refuse()?;
        server.kill()?;
        server.listen()?;
        for (resource, before) in WATCHED.into_iter().zip(before) {
            await_requests(&server, "list", resource, before + 3)?;
        }
        let mark = proxy.mark();
        touch(&server)?;
        only_this_change(&server, &proxy, mark, Duration::from_secs(15))?;
        let activity = server.activity();
        let forbidden = activity.borrow().forbidden().clone();
        ensure!(
            forbidden.is_empty(),
            "asked for what is not granted: {forbidden:?}"
        );
        let unused: Vec<_> = grants
            .iter()
            .filter(|grant| !is_asked_for(&server, grant))
            .collect();
        ensure!(unused.is_empty(), "granted for nothing: {unused:?}");
        Ok(())
    })
}

#[test]
fn each_permission_that_is_missing_is_named() -> Result<()> {
    let grants = granted()?;
    let required = |grant: &&Grant| grant.verb == "create" || REQUIRED.contains(&&*grant.resource);
    for grant in grants.iter().filter(required) {
        World::run(|world| {
            let server = server(world)?;
            server.authorize(&grants.without(grant));
            // A server without lists as streams needs `list`, any other hardly ever.
            server.configure(|settings| settings.streaming_lists = grant.verb != "list");
            match grant.verb.as_str() {
                "create" => without_events(world, &server),
                _ => without_objects(world, &server, grant, &grants),
            }
        })
        .with_context(|| format!("without {grant}"))?;
    }
    Ok(())
}

/// As the API server puts it.
fn missing(grant: &Grant) -> String {
    let Grant { verb, resource, .. } = grant;
    format!("cannot {verb} resource {resource:?}")
}

/// Nobody is served, `/readyz` and the log say why; when it is granted, all is well.
fn without_objects(
    world: &mut World,
    server: &ApiServer,
    grant: &Grant,
    all: &Grants,
) -> Result<()> {
    world.launch_seaway_on(server, &[])?;
    let watch = format!("watch of {}: failing", grant.resource);
    eventually(format!("/readyz to name {grant}"), || {
        let ready = world.readyz()?;
        let named = ready.body.contains(&watch) && ready.body.contains(&missing(grant));
        ensure!(ready.status == 503 && named, "{ready:?}");
        Ok(())
    })?;
    let failing = world.metric("seaway_watch_failing", &format!("\"{}\"", grant.resource))?;
    ensure!(failing == 1.0, "{failing}");
    let log = world.seaway()?.log();
    ensure!(
        log.contains("the watch fails") && log.contains(&grant.resource),
        "{log}"
    );
    let status = Proxy::connect(world, 0, "node")?.await_end()?;
    ensure!(status.code() == Code::Unavailable, "{status}");
    server.authorize(all);
    eventually("Seaway to be ready", || {
        let ready = world.readyz()?;
        ensure!(ready.status == 200, "{ready:?}");
        Ok(())
    })?;
    Proxy::complete(world, 0, "node", SERVICES).map(drop)
}

/// The kinds that a cluster may do without: everybody is served all else, `/readyz` and the log say
/// what is missing; when it is granted, that is watched too.
#[test]
fn a_permission_for_what_a_cluster_may_do_without_keeps_nobody_waiting() -> Result<()> {
    for verb in ["list", "watch"] {
        World::run(|world| without_others(world, verb))
            .with_context(|| format!("without {verb}"))?;
    }
    Ok(())
}

fn without_others(world: &mut World, verb: &str) -> Result<()> {
    let (server, all) = (server(world)?, granted()?);
    let of_verb = all.iter().filter(|grant| grant.verb == verb);
    let others: Vec<&Grant> = of_verb
        .filter(|grant| !REQUIRED.contains(&&*grant.resource))
        .collect();
    ensure!(others.len() == 8, "{others:?}");
    let fewer = others
        .iter()
        .fold(all.clone(), |grants, grant| grants.without(grant));
    // Where nothing is known that names a Secret, none is asked for.
    let others: Vec<&Grant> = others
        .into_iter()
        .filter(|grant| grant.resource != "secrets")
        .collect();
    server.authorize(&fewer);
    server.configure(|settings| settings.streaming_lists = verb != "list");
    world.start_seaway_on(&server, &[])?;
    eventually("/readyz to name them", || {
        let ready = world.readyz()?;
        let named = |grant: &&Grant| {
            let watch = format!("watch of {}: failing", grant.resource);
            ready.body.contains(&watch) && ready.body.contains(&missing(grant))
        };
        ensure!(ready.status == 200 && others.iter().all(named), "{ready:?}");
        Ok(())
    })?;
    let log = world.seaway()?.log();
    for grant in &others {
        let named = format!("missing permission: list and watch of {}", grant.resource);
        ensure!(log.contains(&named), "{log}");
    }
    Proxy::complete(world, 0, "node", SERVICES)?;
    server.authorize(&all);
    within(Duration::from_secs(40), "the watch to work", || {
        let failing = world.metric("seaway_watch_failing", "")?;
        ensure!(failing == 0.0, "{failing} fail");
        Ok(())
    })
}

/// Everything but Events works, and the log says that they do not.
fn without_events(world: &mut World, server: &ApiServer) -> Result<()> {
    world.start_seaway_on(server, &[])?;
    let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
    sctp(server, true)?;
    eventually("the log to say so", || {
        let line = world
            .seaway()?
            .log_line("Events about problems cannot be written")?;
        ensure!(
            line.contains("cannot create resource") && line.contains("events"),
            "{line}"
        );
        let failed = world.metric("seaway_events_total", "outcome=\"failed\"")?;
        ensure!(failed == 1.0, "{failed} failed");
        Ok(())
    })?;
    only_this_change(server, &proxy, proxy.mark(), Duration::from_secs(5))
}

#[test]
fn without_lists_a_server_that_was_away_is_gone_on_with_and_the_log_says_what_that_means()
-> Result<()> {
    World::run(|world| {
        let (server, all) = (world.api_server()?, granted()?);
        populate(&server, SERVICES)?;
        let list = all
            .iter()
            .find(|grant| grant.to_string() == "list services");
        let list = list.context("not granted")?;
        server.authorize(&all.without(list));
        world.start_seaway_on(&server, &[])?;
        let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
        await_watches(world, &server)?;
        server.refuse()?;
        server.kill()?;
        server.listen()?;
        eventually("the log to say so", || {
            let line = world
                .seaway()?
                .log_line("does not tell its resourceVersion")?;
            ensure!(
                line.contains("services") && line.contains("cannot list resource"),
                "{line}"
            );
            Ok(())
        })?;
        await_watches(world, &server)?;
        only_this_change(&server, &proxy, proxy.mark(), Duration::from_secs(5))
    })
}

#[test]
fn a_permission_that_is_taken_away_later_is_named_and_what_was_seen_stays() -> Result<()> {
    World::run(|world| {
        let (server, all) = (world.api_server()?, granted()?);
        populate(&server, SERVICES)?;
        server.authorize(&all);
        world.start_seaway_on(&server, &[])?;
        await_watches(world, &server)?;
        let watches = all.iter().filter(|grant| grant.verb == "watch");
        let fewer = watches.fold(all.clone(), |grants, watch| grants.without(watch));
        server.authorize(&fewer);
        server.end_watches("*");
        eventually("/readyz to name all watches", || {
            let ready = world.readyz()?;
            let named = |resource: &str| {
                ready
                    .body
                    .contains(&format!("watch of {resource}: failing"))
            };
            ensure!(WATCHED.into_iter().all(named), "{ready:?}");
            ensure!(ready.status == 200, "{ready:?}");
            Ok(())
        })?;
        let failing = world.metric("seaway_watch_failing", "")?;
        ensure!(failing == WATCHED.len() as f64, "{failing} watches fail");
        let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
        let mark = proxy.mark();
        server.authorize(&all);
        await_watches(world, &server)?;
        only_this_change(&server, &proxy, mark, Duration::from_secs(5))
    })
}
