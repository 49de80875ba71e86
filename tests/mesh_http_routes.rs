//! HTTPRoutes that have a Service as their parent, through mesh Envoys (Gateway rules 115 to 121).

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Ask, Backend, Connection, Envoy, MESH, Reply, ServiceManifest, SliceManifest, World,
    eventually, join,
};

/// A Service of namespace `default` with these ports, all of which one pod serves.
fn service(name: &str, ip: &str, ports: &[u16], pod: &str) -> String {
    let (mut service, mut slice) = (ServiceManifest::new(name), SliceManifest::new(name));
    for port in ports {
        service = service.port(&format!("p{port}"), *port);
        slice = slice.port(&format!("p{port}"), 8080);
    }
    let service = service.cluster_ip(ip);
    join([service.document(), slice.endpoint(pod).document()])
}

/// An HTTPRoute of a namespace; `parents` and `rules` are YAML lists.
fn route(namespace: &str, name: &str, parents: &str, rules: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
         metadata: {{namespace: {namespace}, name: {name}}}\n\
         spec: {{parentRefs: {parents}, rules: {rules}}}\n"
    )
}

/// Service `web` as a parent, with more fields.
fn web(more: &str) -> String {
    format!("[{{group: '', kind: Service, name: web, namespace: default{more}}}]")
}

/// A rule that adds a header to the answers of `web`.
fn marked(value: &str) -> String {
    format!(
        "[{{filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{add: \
         [{{name: x-route, value: {value}}}]}}}}], \
         backendRefs: [{{name: web, namespace: default, port: 80}}]}}]"
    )
}

/// A world with Services `web` (ports 80, 8080 and 9000) and `next` (port 80), and a pod for each.
fn play(test: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
    play_with(&[], test)
}

/// [`play`], with further arguments of `seaway serve`.
fn play_with(more: &[&str], test: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
    World::run(|world| {
        let pods = [("web-1", "10.244.1.10"), ("next-1", "10.244.1.11")];
        let backends = pods.map(|(name, ip)| world.echo_at(name, &format!("{ip}:8080")));
        let _backends: Vec<Backend> = backends.into_iter().collect::<Result<_>>()?;
        let services = [
            service("web", "10.96.0.10", &[80, 8080, 9000], pods[0].1),
            service("next", "10.96.0.11", &[80], pods[1].1),
        ];
        world.manifests().save("services.yaml", &join(services))?;
        world.start_seaway(more)?;
        test(world)
    })
}

fn start(world: &mut World, name: &str, more: &[&str]) -> Result<Arc<Envoy>> {
    world.start_envoy(name, &World::mesh_options(more))
}

fn ask(envoy: &Envoy, ask: &Ask) -> Result<Reply> {
    Connection::open(envoy.namespace(), MESH, false)?.ask(ask)
}

/// The backend that answered, or the status.
fn word(reply: &Reply) -> String {
    reply.backend().unwrap_or_else(|| reply.status.to_string())
}

/// Waits until this backend answers, or this is the status.
fn settle(envoy: &Envoy, wanted: &str, request: &Ask) -> Result<()> {
    eventually(format!("{request} to be {wanted}"), || {
        let found = word(&ask(envoy, request)?);
        ensure!(found == wanted, "{found}");
        Ok(())
    })
}

/// GW131, GW136: at the port of the route its rules decide by every name of the Service, and
/// nothing else does; other ports stay.
#[test]
fn gw131_gw136_the_rules_of_a_port_are_for_all_of_its_names() -> Result<()> {
    play(|world| {
        let (canary, only) = (
            "[{backendRefs: [{name: web, port: 80}]}, \
             {matches: [{headers: [{name: x-canary, value: 'yes'}]}], \
             backendRefs: [{name: next, port: 80}]}]",
            "[{matches: [{path: {value: /only}}], backendRefs: [{name: next, port: 80}]}, \
             {matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, \
             requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /new}}}]}]",
        );
        let routes = [
            route("default", "canary", &web(", port: 80"), canary),
            route("default", "only", &web(", sectionName: p8080"), only),
        ];
        world.manifests().save("routes.yaml", &join(routes))?;
        let scopes = start(world, "scopes", &["--pod-namespace", "default"])?;
        let table = start(world, "table", &["--pod-namespace", "default", "--sotw"])?;
        for envoy in [&scopes, &table] {
            settle(envoy, "next-1", &Ask::get("web.default:8080", "/only"))?;
            for (host, path, canary, wanted) in [
                ("web.default", "/", false, "web-1"),
                ("web.default", "/", true, "next-1"),
                ("web.default:80", "/", true, "next-1"),
                ("web.default.svc", "/a", true, "next-1"),
                ("WEB.default.svc.cluster.local.:80", "/", true, "next-1"),
                ("web", "/", true, "next-1"),
                ("10.96.0.10", "/", true, "next-1"),
                ("10.96.0.10:80", "/", false, "web-1"),
                ("web.default:8080", "/", false, "404"),
                ("web.default:8080", "/only/this", false, "next-1"),
                ("10.96.0.10:8080", "/onlythis", false, "404"),
                ("web:8080", "/only", false, "next-1"),
                ("web.default:9000", "/", true, "web-1"),
                ("next.default", "/", false, "next-1"),
            ] {
                let request = Ask::get(host, path);
                let request = match canary {
                    true => request.header("x-canary", "yes"),
                    false => request,
                };
                let found = word(&ask(envoy, &request)?);
                ensure!(found == wanted, "{request}: {found}, not {wanted}");
            }
            // Gateway rule 121: the port of the Service that is asked for.
            let redirect = ask(envoy, &Ask::get("web.default:8080", "/old"))?;
            let location = redirect.header("location");
            ensure!(redirect.status == 302, "{}", redirect.status);
            ensure!(
                location.as_deref() == Some("http://web.default:8080/new"),
                "{location:?}"
            );
        }
        // Without the route the port is as any other.
        world.manifests().delete("routes.yaml")?;
        for envoy in [&scopes, &table] {
            settle(envoy, "web-1", &Ask::get("web.default:8080", "/"))?;
            let canary = Ask::get("web.default", "/").header("x-canary", "yes");
            settle(envoy, "web-1", &canary)?;
        }
        Ok(())
    })
}

/// GW132: without a port all of them are meant. A share that leads nowhere is answered with 500.
#[test]
fn gw132_weights_share_the_requests_of_every_port() -> Result<()> {
    play(|world| {
        let manifests = world.manifests().clone();
        let shares = |weights: [u32; 3]| {
            let [web, next, absent] = weights;
            let rules = format!(
                "[{{backendRefs: [{{name: web, port: 80, weight: {web}}}, \
                 {{name: next, port: 80, weight: {next}}}, \
                 {{name: absent, port: 80, weight: {absent}}}]}}]"
            );
            let text = route("default", "shares", &self::web(""), &rules);
            manifests.save("routes.yaml", &text)
        };
        shares([0, 1, 0])?;
        let envoy = world.start_envoy("mesh", &World::mesh_options(&[]))?;
        settle(&envoy, "next-1", &Ask::get("web.default", "/"))?;
        settle(&envoy, "next-1", &Ask::get("web.default:9000", "/"))?;
        shares([70, 20, 10])?;
        settle(&envoy, "500", &Ask::get("web.default", "/"))?;
        for host in ["web.default", "web.default:8080"] {
            let mut connection = Connection::open(envoy.namespace(), MESH, false)?;
            let mut counts: BTreeMap<String, i32> = BTreeMap::new();
            for _ in 0..1000 {
                let reply = connection.ask(&Ask::get(host, "/"))?;
                *counts.entry(word(&reply)).or_default() += 1;
            }
            // More than five times what chance makes of it.
            for (word, wanted) in [("web-1", 700), ("next-1", 200), ("500", 100)] {
                let found = counts.get(word).copied().context("none")?;
                ensure!((found - wanted).abs() < 80, "{host}: {counts:?}");
            }
        }
        Ok(())
    })
}

/// GW133: the routes of another namespace are for its clients, who have no others at that port.
#[test]
fn gw133_the_routes_of_a_namespace_are_for_its_own_clients() -> Result<()> {
    play(|world| {
        let producer = route("default", "all", &web(", port: 80"), &marked("producer"));
        world.manifests().save("producer.yaml", &producer)?;
        let start = |world: &mut World, name: &str, more: &[&str]| start(world, name, more);
        let envoys = [
            (start(world, "j", &["--pod-namespace", "j"])?, "consumer"),
            (
                start(world, "jt", &["--pod-namespace", "j", "--sotw"])?,
                "consumer",
            ),
            (start(world, "k", &["--pod-namespace", "k"])?, "producer"),
            (
                start(world, "kt", &["--pod-namespace", "k", "--sotw"])?,
                "producer",
            ),
            (start(world, "nowhere", &[])?, "producer"),
        ];
        let has = |envoy: &Envoy, host: &str, wanted: &str| {
            eventually(format!("{host} to have the route of the {wanted}"), || {
                let reply = ask(envoy, &Ask::get(host, "/"))?;
                let found = reply.header("x-route").unwrap_or_default();
                ensure!(reply.status == 200 && found == wanted, "{found}");
                Ok(())
            })
        };
        for (envoy, _) in &envoys {
            has(envoy, "web.default", "producer")?;
        }
        let consumer = route("j", "mine", &web(", port: 80"), &marked("consumer"));
        world.manifests().save("consumer.yaml", &consumer)?;
        for (envoy, wanted) in &envoys {
            for host in [
                "web.default",
                "web.default:80",
                "10.96.0.10",
                "WEB.default.svc",
            ] {
                has(envoy, host, wanted)?;
            }
            // Another port has no route.
            has(envoy, "web.default:8080", "")?;
        }
        // One that comes later has it at once.
        let late = start(world, "late", &["--pod-namespace", "j"])?;
        has(&late, "web.default", "consumer")?;
        world.manifests().delete("producer.yaml")?;
        for (envoy, wanted) in &envoys {
            let wanted = if *wanted == "producer" { "" } else { wanted };
            has(envoy, "web.default", wanted)?;
        }
        world.manifests().delete("consumer.yaml")?;
        for (envoy, _) in &envoys {
            has(envoy, "web.default", "")?;
        }
        Ok(())
    })
}

/// GW134: where connections to addresses are taken over the address decides, and not the Host. A
/// Service without endpoints of its own has such an address, too.
#[test]
fn gw134_at_an_address_its_own_rules_decide() -> Result<()> {
    play_with(&["--capture", "bind"], |world| {
        let front = ServiceManifest::new("front").cluster_ip("10.96.0.12");
        let front = front.port("http", 80).document();
        world.manifests().save("front.yaml", &front)?;
        let envoy = start(world, "mesh", &["--capture", "bind"])?;
        let at = |address: &str, host: &str, path: &str| -> Result<(String, Option<String>)> {
            let mut connection = Connection::open(envoy.namespace(), address.parse()?, false)?;
            let reply = connection.ask(&Ask::get(host, path))?;
            Ok((word(&reply), reply.header("x-route")))
        };
        let is = |address: &str, host: &str, path: &str, wanted: (&str, Option<&str>)| {
            eventually(
                format!("{host}{path} at {address} to be {wanted:?}"),
                || {
                    let (found, route) = at(address, host, path)?;
                    ensure!((&*found, route.as_deref()) == wanted, "{found} {route:?}");
                    Ok(())
                },
            )
        };
        is("10.96.0.11:80", "next.default", "/", ("next-1", None))?;
        let of_web = route("default", "web", &web(", port: 80"), &marked("web"));
        let of_front = "[{group: '', kind: Service, name: front}]";
        let to_next =
            "[{matches: [{path: {value: /only}}], backendRefs: [{name: next, port: 80}]}]";
        let of_front = route("default", "front", of_front, to_next);
        world
            .manifests()
            .save("routes.yaml", &join([of_web, of_front]))?;
        for host in ["web.default", "next.default", "10.96.0.11", "else.where:1"] {
            is("10.96.0.10:80", host, "/", ("web-1", Some("web")))?;
            is("10.96.0.11:80", host, "/", ("next-1", None))?;
            is("10.96.0.12:80", host, "/only", ("next-1", None))?;
            is("10.96.0.12:80", host, "/", ("404", None))?;
        }
        // A port without routes is TCP, as it was.
        is("10.96.0.10:8080", "any", "/", ("web-1", None))?;
        world.manifests().delete("routes.yaml")?;
        is("10.96.0.10:80", "web.default", "/", ("web-1", None))?;
        envoy.await_refused("10.96.0.12:80")
    })
}
