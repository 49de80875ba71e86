//! The access log, and whom a request is from.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{Ask, RouteManifest, within};
use serde_json::Value;

use crate::case::{Case, get};
use crate::edge::{Edge, with_gateway};

/// `--access-log`, `--trusted-hops`: each request is a line of JSON. Of what a client says of those
/// before it, the last is believed where one proxy is trusted.
#[test]
fn each_request_is_a_line_with_the_client_that_a_trusted_proxy_names() -> Result<()> {
    let route = RouteManifest::new("logged").host("logged.test");
    let cases = with_gateway(vec![
        Case::new("logged")
            .with(route.prefix("/", "s1").document())
            .rows([get("logged.test/").to("s1")]),
    ]);
    Edge::run(&["--access-log", "--trusted-hops", "1"], &cases, |edge| {
        let ask = Ask::get("logged.test", "/a%20path?q=1")
            .header("x-forwarded-for", "192.0.2.1, 198.51.100.7")
            .header("user-agent", "the \"test\"");
        ensure!(edge.ask(&ask, false)?.status == 200);
        // Envoy writes its log every ten seconds.
        let limit = Duration::from_secs(30);
        let line = within(limit, "the line of the request", || {
            let log = edge.envoy.log();
            let mut lines = log.lines().filter(|line| line.contains("/a%20path"));
            let line = lines.next_back().context("no line")?;
            Ok(serde_json::from_str::<Value>(line)?)
        })?;
        for (field, wanted) in [
            ("method", Value::from("GET")),
            ("host", "logged.test".into()),
            ("path", "/a%20path?q=1".into()),
            ("protocol", "HTTP/1.1".into()),
            ("status", 200.into()),
            ("client", "198.51.100.7:0".into()),
            ("agent", "the \"test\"".into()),
            ("cluster", "default/s1/8080".into()),
            ("endpoint", "10.244.1.1:8080".into()),
            ("sni", Value::Null),
        ] {
            ensure!(line[field] == wanted, "{field}: {line}");
        }
        Ok(())
    })
}
