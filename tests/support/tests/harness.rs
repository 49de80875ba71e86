//! The harness itself: a world with a real Envoy and no Seaway.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{Ask, Client, Connection, EnvoyOptions, Outcome, Record, World};

/// An Envoy that forwards a cluster IP to one backend, without a control plane.
const STATIC: &str = r#"
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
static_resources:
  listeners:
    - name: web
      address: {socket_address: {address: 10.96.0.10, port_value: 80}}
      freebind: true
      filter_chains:
        - filters:
            - name: envoy.filters.network.tcp_proxy
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
                stat_prefix: web
                cluster: web
  clusters:
    - name: web
      connect_timeout: 1s
      load_assignment:
        cluster_name: web
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: 10.244.1.10, port_value: 8080}}}
"#;

#[test]
fn every_outcome_of_a_request_is_told_apart() -> Result<()> {
    World::run(|world| {
        let backend = world.backend("web-1", "10.244.1.10")?;
        let options = EnvoyOptions {
            config: Some(STATIC.to_owned()),
            ..EnvoyOptions::default()
        };
        let envoy = world.start_envoy("n1", &options)?;
        ensure!(envoy.get("10.96.0.10:80")?.backend() == Some("web-1"));
        ensure!(envoy.get("10.96.0.11:80")? == Outcome::Refused);
        ensure!(
            envoy
                .send(&Client::new(([10, 244, 1, 10], 8080)).http2())?
                .backend()
                == Some("web-1")
        );

        let mut held = envoy.hold("10.96.0.10:80")?;
        ensure!(held.get()? == "web-1" && held.get()? == "web-1" && held.is_open()?);
        let load = envoy.load("10.96.0.10:80", 200)?;
        seaway_testing::eventually("forty requests", || {
            ensure!(backend.requests() > 40, "{} requests", backend.requests());
            Ok(())
        })?;
        let records = load.stop()?;
        ensure!(
            Record::failures(&records).is_none(),
            "{:?}",
            Record::failures(&records)
        );
        ensure!(Record::answered_by(&records).keys().eq(["web-1"]));

        drop(backend);
        held.closed_within(Duration::from_secs(2))?;
        ensure!(matches!(envoy.get("10.96.0.10:80")?, Outcome::Closed(_)));
        ensure!(envoy.stat("listener_manager.listener_added")? == 1);
        Ok(())
    })
}

#[test]
fn names_are_answered_and_changed() -> Result<()> {
    World::run(|world| {
        let dns = world.dns()?;
        dns.set("partner.example.com", [10, 244, 9, 1].into());
        let backend = world.backend_at("partner", "10.244.9.1:80")?;
        let config = STATIC.replace(
            "load_assignment:",
            "type: STRICT_DNS\n      load_assignment:",
        );
        let config = config.replace(
            "address: 10.244.1.10, port_value: 8080",
            "address: partner.example.com, port_value: 80",
        );
        let options = EnvoyOptions {
            config: Some(config),
            overlay: Some(World::resolver()),
            ..EnvoyOptions::default()
        };
        let envoy = world.start_envoy("n1", &options)?;
        envoy.await_backend("10.96.0.10:80", backend.name())
    })
}

#[test]
fn both_families_reach_backends_from_a_node() -> Result<()> {
    World::run(|world| {
        let node = world.new_node("n1")?;
        let mut pods = vec!["10.244.1.10"];
        pods.extend(World::has_ipv6().then_some("fd00:10:244::10"));
        for pod in pods {
            let backend = world.backend(pod, pod)?;
            let outcome = Client::new(backend.address()).get(&node)?;
            ensure!(outcome.backend() == Some(pod), "{outcome}");
        }
        Ok(())
    })
}

#[test]
fn an_echoing_backend_tells_the_whole_request_and_does_what_it_asks_for() -> Result<()> {
    World::run(|world| {
        let backend = world.echo_at("echo", "10.244.1.10:8080")?;
        for http2 in [false, true] {
            let mut connection = Connection::open(world.fabric(), backend.address(), http2)?;
            let ask = Ask::get("a.test", "/path?q=1").method("PUT");
            let ask = ask.header("x", "1").header("x", "2");
            let ask = ask
                .header("echo-answer", "y=3")
                .header("echo-status", "418");
            let reply = connection.ask(&ask)?;
            ensure!(
                reply.status == 418 && reply.backend().is_none(),
                "{reply:?}"
            );
            ensure!(reply.header("y").as_deref() == Some("3"), "{reply:?}");
            let echoed = reply.echoed()?;
            ensure!(echoed.header("x").as_deref() == Some("1,2"), "{echoed:?}");
            let line = (&*echoed.method, &*echoed.host, &*echoed.path);
            ensure!(line == ("PUT", "a.test", "/path?q=1"), "{echoed:?}");
            let version = if http2 { "HTTP/2.0" } else { "HTTP/1.1" };
            ensure!(echoed.version == version, "{echoed:?}");

            let slow = Ask::get("a.test", "/").header("echo-delay", "60000");
            let hasty = slow.patience(Duration::from_millis(50));
            ensure!(connection.ask(&hasty).is_err());
        }
        ensure!(backend.requests_for("a.test") == 4 && backend.requests_for("b.test") == 0);
        let mut connection = Connection::open(world.fabric(), backend.address(), false)?;
        let reply = connection.ask(&Ask::get("a.test", "/").header("echo-drip", "1"))?;
        ensure!(reply.backend().as_deref() == Some("echo"), "{reply:?}");
        Ok(())
    })
}
