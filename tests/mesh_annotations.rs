//! What annotations of Services ask for, through a mesh Envoy; limits of connections through that
//! of a node, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Ask, Backend, Connection, Envoy, EnvoyOptions, MESH, Outcome, Reply, ServiceManifest,
    SliceManifest, World, eventually, join,
};

/// The pods of all Services.
const PODS: [&str; 4] = ["10.244.1.10", "10.244.1.11", "10.244.1.12", "10.244.1.13"];

fn annotated(service: ServiceManifest, annotations: &[(&str, &str)]) -> ServiceManifest {
    annotations.iter().fold(service, |service, (name, value)| {
        service.annotation(&format!("seaway.dev/{name}"), value)
    })
}

/// A Service with these annotations and so many of the pods as endpoints.
fn service(name: &str, annotations: &[(&str, &str)], pods: usize) -> String {
    let service = annotated(ServiceManifest::new(name).port("http", 80), annotations);
    let slice = SliceManifest::new(name).port("http", 8080);
    let slice = PODS[..pods]
        .iter()
        .fold(slice, |slice, ip| slice.endpoint(ip));
    join([service.document(), slice.document()])
}

/// Plays with a mesh Envoy that has these Services, before the first so many of the pods, which
/// echo.
fn play(
    services: &[String],
    pods: usize,
    test: impl FnOnce(&World, &Arc<Envoy>, &[Backend]) -> Result<()>,
) -> Result<()> {
    World::run(|world| {
        let backends = PODS[..pods].iter();
        let backends = backends.map(|ip| world.echo_at(ip, &format!("{ip}:8080")));
        let backends: Vec<Backend> = backends.collect::<Result<_>>()?;
        let all = join(services.iter().cloned());
        world.manifests().save("all.yaml", &all)?;
        world.start_seaway(&[])?;
        let options = EnvoyOptions {
            // Each has its own turn, and may have a connection whatever the limit.
            concurrency: Some(1),
            ..World::mesh_options(&[])
        };
        let envoy = world.start_envoy("mesh", &options)?;
        test(world, &envoy, &backends)
    })
}

fn connect(envoy: &Envoy) -> Result<Connection> {
    Connection::open(envoy.namespace(), MESH, false)
}

/// Waits until a Service is served.
fn settle(envoy: &Envoy, host: &str) -> Result<()> {
    eventually(format!("{host} to be served"), || {
        let reply = connect(envoy)?.ask(&Ask::get(host, "/settle"))?;
        ensure!(reply.status == 200, "{}", reply.status);
        Ok(())
    })
}

/// A request that is slow, or fails, so many times before it is answered: the status of its answer,
/// and how often the backend was asked.
fn failing(envoy: &Envoy, backend: &Backend, ask: &Ask, host: &str) -> Result<(u16, u64)> {
    let before = backend.requests_for(host);
    let reply = connect(envoy)?.ask(ask)?;
    Ok((reply.status, backend.requests_for(host) - before))
}

#[test]
fn requests_end_in_time_and_are_sent_again() -> Result<()> {
    let services = [
        service("plain", &[], 1),
        service("timed", &[("timeout", "300ms")], 1),
        service(
            "tried",
            &[("try-timeout", "200ms"), ("retry", "attempts=2")],
            1,
        ),
        service("once", &[("try-timeout", "200ms")], 1),
        service(
            "again",
            &[("retry", "attempts=2; codes=503; backoff=10ms")],
            1,
        ),
    ];
    play(&services, 1, |_, envoy, backends| {
        for name in ["plain", "timed", "tried", "once", "again"] {
            settle(envoy, &format!("{name}.default"))?;
        }
        for (number, (name, header, value, times, expected)) in [
            ("plain", "echo-delay", "1000", "1", (200, 1)),
            ("timed", "echo-delay", "2000", "1", (504, 1)),
            ("tried", "echo-delay", "2000", "2", (200, 3)),
            ("tried", "echo-delay", "2000", "3", (504, 3)),
            ("once", "echo-delay", "2000", "1", (504, 1)),
            ("plain", "echo-status", "503", "1", (503, 1)),
            ("again", "echo-status", "503", "2", (200, 3)),
            ("again", "echo-status", "503", "3", (503, 3)),
            ("again", "echo-status", "500", "1", (500, 1)),
            ("again", "echo-abort", "yes", "1", (200, 2)),
            ("plain", "echo-abort", "yes", "1", (503, 1)),
        ]
        .into_iter()
        .enumerate()
        {
            let host = format!("{name}.default");
            let ask = Ask::get(&host, &format!("/{number}"));
            let ask = ask.header(header, value).header("echo-times", times);
            let found = failing(envoy, &backends[0], &ask, &host)?;
            ensure!(found == expected, "{name} {header} {value}: {found:?}");
        }
        Ok(())
    })
}

/// Which backends answered these requests, one after the other over one connection.
fn answered(envoy: &Envoy, asks: impl IntoIterator<Item = Ask>) -> Result<Vec<String>> {
    let mut connection = connect(envoy)?;
    let answer = |ask: Ask| {
        let reply = connection.ask(&ask)?;
        reply.backend().with_context(|| format!("{}", reply.status))
    };
    asks.into_iter().map(answer).collect()
}

fn unlike(backends: &[String]) -> usize {
    backends
        .iter()
        .collect::<std::collections::BTreeSet<_>>()
        .len()
}

/// The cookie that an answer sets, as a request shows it.
fn cookie(reply: &Reply) -> Option<String> {
    let set = reply.header("set-cookie")?;
    Some(set.split(';').next()?.to_owned())
}

#[test]
fn a_header_or_a_cookie_decides_on_the_endpoint() -> Result<()> {
    let services = [
        service("header", &[("balance", "header=X-User")], 4),
        service("cookie", &[("balance", "cookie=user")], 4),
    ];
    play(&services, 4, |_, envoy, _| {
        settle(envoy, "header.default")?;
        settle(envoy, "cookie.default")?;
        let of = |user: &str| Ask::get("header.default", "/").header("x-user", user);
        let mut all = Vec::new();
        for user in 0..20 {
            let asks = (0..8).map(|_| of(&user.to_string()));
            let found = answered(envoy, asks)?;
            ensure!(unlike(&found) == 1, "user {user}: {found:?}");
            all.extend(found);
        }
        ensure!(unlike(&all) > 1, "all users go to {}", all[0]);
        let without = (0..50).map(|_| Ask::get("header.default", "/"));
        let without = answered(envoy, without)?;
        ensure!(unlike(&without) > 1, "{without:?}");

        let mut of_clients = Vec::new();
        for _ in 0..20 {
            let first = connect(envoy)?.ask(&Ask::get("cookie.default", "/"))?;
            let given = cookie(&first).context("no cookie")?;
            let asks = (0..8).map(|_| Ask::get("cookie.default", "/").header("cookie", &given));
            let mut found = answered(envoy, asks)?;
            found.extend(first.backend());
            ensure!(unlike(&found) == 1, "{given}: {found:?}");
            of_clients.extend(found);
        }
        ensure!(
            unlike(&of_clients) > 1,
            "all clients go to {}",
            of_clients[0]
        );
        Ok(())
    })
}

/// In turn two endpoints are asked alternately, and each as often as the other.
#[test]
fn endpoints_are_chosen_at_random_or_by_what_they_have_to_do() -> Result<()> {
    let services = [
        service("turn", &[("balance", "round-robin")], 2),
        service("random", &[("balance", "random")], 2),
        service("least", &[("balance", "least-request")], 2),
    ];
    play(&services, 2, |world, envoy, backends| {
        for host in ["turn.default", "random.default", "least.default"] {
            settle(envoy, host)?;
        }
        let ask = |host: &str| {
            let asks = (0..200).map(|_| Ask::get(host, "/fast"));
            answered(envoy, asks.collect::<Vec<_>>())
        };
        let repeated = |found: &[String]| found.windows(2).any(|pair| pair[0] == pair[1]);
        let turn = ask("turn.default")?;
        ensure!(unlike(&turn) == 2 && !repeated(&turn), "{turn:?}");
        let random = ask("random.default")?;
        ensure!(unlike(&random) == 2 && repeated(&random), "{random:?}");

        let host = "least.default";
        let asked = || backends.iter().map(|b| b.requests_for(host)).sum::<u64>();
        let before = asked();
        let slow = world.fabric().thread("slow", {
            let mut connection = connect(envoy)?;
            move || connection.ask(&Ask::get(host, "/slow").header("echo-delay", "4000"))
        })?;
        eventually("the slow request to arrive", || {
            ensure!(asked() == before + 1);
            Ok(())
        })?;
        let found = ask(host)?;
        let busy = slow.join()??.backend().context("no backend")?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for backend in found {
            *counts.entry(backend).or_default() += 1;
        }
        // Both of the two that are looked at are the busy one for a quarter of the requests.
        let of_busy = counts.get(&busy).copied().unwrap_or_default();
        ensure!(of_busy < 85, "{busy} of {counts:?}");
        Ok(())
    })
}

#[test]
fn limits_turn_away_what_is_more() -> Result<()> {
    let one = ("max-connections", "1");
    let services = [
        service("queue", &[one, ("max-pending-requests", "1")], 1),
        service(
            "streams",
            &[("max-requests", "1"), ("protocol", "http2")],
            1,
        ),
    ];
    play(&services, 1, |world, envoy, backends| {
        settle(envoy, "queue.default")?;
        settle(envoy, "streams.default")?;
        let slow = |host: &'static str| {
            let mut connection = connect(envoy)?;
            let ask = Ask::get(host, "/slow").header("echo-delay", "1500");
            world.fabric().thread("slow", move || connection.ask(&ask))
        };
        let arrived = |host: &str, count: u64| {
            eventually("a request to arrive", || {
                ensure!(backends[0].requests_for(host) == count);
                Ok(())
            })
        };
        let host = "queue.default";
        let before = backends[0].requests_for(host);
        let first = slow(host)?;
        arrived(host, before + 1)?;
        // One of them waits, and there is no room for the other.
        let more = [slow(host)?, slow(host)?];
        let mut statuses = vec![first.join()??.status];
        for one in more {
            statuses.push(one.join()??.status);
        }
        statuses.sort_unstable();
        ensure!(statuses == [200, 200, 503], "{statuses:?}");

        let host = "streams.default";
        let before = backends[0].requests_for(host);
        let first = slow(host)?;
        arrived(host, before + 1)?;
        let second = connect(envoy)?.ask(&Ask::get(host, "/"))?;
        ensure!(second.status == 503, "{}", second.status);
        let reply = first.join()??;
        ensure!(reply.status == 200, "{}", reply.status);
        // Service rule 108: where a port says nothing, the annotation does.
        let version = reply.echoed()?.version;
        ensure!(version == "HTTP/2.0", "{version}");
        Ok(())
    })
}

/// Role `node` has the limit of connections, and what is for requests alone harms nothing there.
#[test]
fn connections_of_a_node_are_limited_and_otherwise_as_ever() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let with = |name: &str, ip: &str, annotations: &[(&str, &str)]| {
            let service = ServiceManifest::new(name).cluster_ip(ip).port("http", 80);
            let service = annotated(service, annotations);
            let slice = SliceManifest::new(name).port("http", 8080);
            join([service.document(), slice.endpoint("10.244.1.10").document()])
        };
        let all = join([
            with("few", "10.96.0.10", &[("max-connections", "1")]),
            with(
                "http",
                "10.96.0.11",
                &[
                    ("timeout", "1ms"),
                    ("retry", "attempts=2"),
                    ("balance", "header=x-user"),
                    ("max-requests", "1"),
                    ("outlier-5xx", "1"),
                    ("protocol", "http2"),
                ],
            ),
        ]);
        world.manifests().save("all.yaml", &all)?;
        world.start_seaway(&["--capture", "bind"])?;
        let node = world.start_node("n1", "za")?;
        node.await_backend("10.96.0.10:80", "web-1")?;
        node.await_backend("10.96.0.11:80", "web-1")?;
        let mut one = None;
        eventually("the connection before to have ended", || {
            let mut held = node.hold("10.96.0.10:80")?;
            held.get()?;
            one = Some(held);
            Ok(())
        })?;
        let more = node.get("10.96.0.10:80")?;
        ensure!(!matches!(more, Outcome::Answered(_)), "{more}");
        drop(one);
        node.await_backend("10.96.0.10:80", "web-1")?;
        let mut held = [node.hold("10.96.0.11:80")?, node.hold("10.96.0.11:80")?];
        for held in &mut held {
            held.get()?;
        }
        Ok(())
    })
}

#[test]
fn an_endpoint_that_answers_with_errors_is_left_out() -> Result<()> {
    let services = [
        service("calm", &[], 2),
        service(
            "strict",
            &[
                ("outlier-5xx", "2"),
                ("ejection-time", "300s"),
                ("max-ejected", "50"),
            ],
            2,
        ),
    ];
    play(&services, 2, |_, envoy, _| {
        settle(envoy, "calm.default")?;
        settle(envoy, "strict.default")?;
        let errors = |host: &str, count: usize| -> Result<()> {
            let mut connection = connect(envoy)?;
            for _ in 0..count {
                let ask = Ask::get(host, "/bad").header("echo-status", "500");
                let reply = connection.ask(&ask)?;
                ensure!(reply.status == 500, "{}", reply.status);
            }
            Ok(())
        };
        let good = |host: &str| {
            let asks = (0..20).map(|_| Ask::get(host, "/good"));
            answered(envoy, asks.collect::<Vec<_>>())
        };
        // In turn, so that one of them fails twice in a row.
        errors("strict.default", 3)?;
        let stat = |name: &str| {
            envoy.stat(&format!(
                "cluster.default_strict_80.outlier_detection.{name}"
            ))
        };
        eventually("an endpoint to be left out", || {
            let found = stat("ejections_active")?;
            ensure!(found == 1, "{found}");
            Ok(())
        })?;
        let found = good("strict.default")?;
        ensure!(unlike(&found) == 1, "{found:?}");
        // The other one stays.
        errors("strict.default", 2)?;
        eventually("the other one to be spared", || {
            ensure!(stat("ejections_overflow")? > 0);
            Ok(())
        })?;
        ensure!(good("strict.default")? == found);
        errors("calm.default", 8)?;
        let found = good("calm.default")?;
        ensure!(unlike(&found) == 2, "{found:?}");
        Ok(())
    })
}
