//! Requests that are sent again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seaway_testing::{Ask, IngressManifest, RouteManifest};

use crate::case::Case;
use crate::edge::{Edge, with_gateway};

/// A request that fails with this status so many times before it is answered, the status of the
/// answer, and how often the backend was asked.
fn failing(edge: &Edge<'_>, ask: &Ask, host: &str) -> Result<(u16, u64)> {
    let backend = &edge.backends[0];
    let before = backend.requests_for(host);
    let reply = edge.ask(ask, false)?;
    Ok((reply.status, backend.requests_for(host) - before))
}

fn ask(host: &str, path: &str, status: &str, times: &str) -> Ask {
    let ask = Ask::get(host, path).header("echo-status", status);
    ask.header("echo-times", times)
}

#[test]
fn gw083_retries_are_for_the_codes_that_are_named() -> Result<()> {
    let host = "gw083.test";
    let rule = |path: &str, retry: &str| {
        format!("matches: [{{path: {{value: {path}}}}}], retry: {{{retry}}}")
    };
    let route = RouteManifest::new("gw083").host(host);
    let route = route
        .rule(
            &rule("/three", "codes: [500], attempts: 3, backoff: 10ms"),
            "s1",
        )
        .rule(&rule("/pause", "codes: [500], backoff: 1s"), "s1")
        .rule(&rule("/empty", ""), "s1")
        .prefix("/", "s1");
    let case = Case::new("GW083")
        .with(route.document())
        .rows([crate::case::get("gw083.test/").to("s1")]);
    Edge::run(&[], &with_gateway(vec![case]), |edge| {
        for (path, status, times, expected) in [
            ("/three/1", "500", "2", (200, 3)),
            ("/three/2", "500", "3", (200, 4)),
            ("/three/3", "500", "9", (500, 4)),
            ("/three/4", "503", "1", (503, 1)),
            ("/three/5", "502", "1", (502, 1)),
            ("/empty/1", "500", "1", (500, 1)),
            ("/none", "500", "1", (500, 1)),
        ] {
            let found = failing(edge, &ask(host, path, status, times), host)?;
            ensure!(found == expected, "{path}: {found:?}");
        }
        // A connection that breaks before the answer is no code.
        let broken = |path: &str| {
            let ask = Ask::get(host, path).header("echo-abort", "yes");
            ask.header("echo-times", "1")
        };
        for (path, expected) in [("/three/broken", (200, 2)), ("/none/broken", (503, 1))] {
            let found = failing(edge, &broken(path), host)?;
            ensure!(found == expected, "{path}: {found:?}");
        }
        // The first pause is a random part of the second.
        let begin = Instant::now();
        let mut longest = Duration::ZERO;
        for number in 0..5 {
            let begin = Instant::now();
            let path = format!("/pause/{number}");
            let found = failing(edge, &ask(host, &path, "500", "1"), host)?;
            ensure!(found == (200, 2), "{path}: {found:?}");
            longest = longest.max(begin.elapsed());
        }
        let all = begin.elapsed();
        ensure!(
            longest > Duration::from_millis(100),
            "{longest:?} of {all:?}"
        );
        Ok(())
    })
}

#[test]
fn gw084_each_try_has_its_own_time() -> Result<()> {
    let host = "gw084.test";
    let rule = |path: &str, rest: &str| format!("matches: [{{path: {{value: {path}}}}}], {rest}");
    let route = RouteManifest::new("gw084").host(host);
    let tries = "retry: {attempts: 2}, timeouts: {backendRequest: 200ms}";
    let both = "retry: {attempts: 9}, timeouts: {backendRequest: 200ms, request: 500ms}";
    let route = route.rule(&rule("/tries", tries), "s1");
    let route = route.rule(&rule("/both", both), "s1").prefix("/", "s1");
    let case = Case::new("GW084")
        .with(route.document())
        .rows([crate::case::get("gw084.test/").to("s1")]);
    let slow = |path: &str, times: &str| {
        let ask = Ask::get(host, path).header("echo-delay", "2000");
        ask.header("echo-times", times)
    };
    Edge::run(&[], &with_gateway(vec![case]), |edge| {
        let found = failing(edge, &slow("/tries/1", "2"), host)?;
        ensure!(found == (200, 3), "two slow tries: {found:?}");
        let found = failing(edge, &slow("/tries/2", "3"), host)?;
        ensure!(found == (504, 3), "three slow tries: {found:?}");
        // The limit of the request holds for all tries together.
        let (status, tries) = failing(edge, &slow("/both/1", "9"), host)?;
        ensure!(
            status == 504 && (2..=3).contains(&tries),
            "{status} after {tries}"
        );
        Ok(())
    })
}

/// The annotation of Ingresses asks for the same.
#[test]
fn an_annotation_asks_for_retries() -> Result<()> {
    let host = "again.test";
    let ingress = IngressManifest::new("again").host(host);
    let ingress = ingress.path("Prefix", "/", "s1");
    let retry = "attempts=2; codes=503; backoff=10ms";
    let ingress = ingress.annotation("seaway.dev/retry", retry);
    let case = Case::new("again")
        .with(ingress.document())
        .rows([crate::case::get("again.test/").to("s1")]);
    Edge::run(&[], &[case], |edge| {
        for (path, status, times, expected) in [
            ("/1", "503", "2", (200, 3)),
            ("/2", "503", "9", (503, 3)),
            ("/3", "500", "1", (500, 1)),
        ] {
            let found = failing(edge, &ask(host, path, status, times), host)?;
            ensure!(found == expected, "{path}: {found:?}");
        }
        let post = ask(host, "/post", "503", "1").method("POST").body(1000);
        let found = failing(edge, &post.header("echo-read", "yes"), host)?;
        ensure!(found == (200, 2), "a POST: {found:?}");
        Ok(())
    })
}
