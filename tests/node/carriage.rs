//! Annotations about the way to endpoints: what connections begin with, and who is left out for not
//! taking any.

use anyhow::{Result, ensure};
use seaway_testing::{Cluster, ServiceManifest, Setup, join};
use serde_json::json;

use crate::{load_balancer, service, with};

crate::all_captures!(
    a_proxy_header_names_the_client,
    an_endpoint_that_refuses_is_left_out_for_the_next_ones,
);

crate::keeping_sources!(an_endpoint_that_refuses_is_left_out_for_the_next_ones);

/// Service rule 115: endpoints are told the address of the client by either version, from wherever
/// it comes; without the annotation they see the node, unless clients keep their addresses anyway.
fn a_proxy_header_names_the_client(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let web = service("web", "10.96.0.10")
            .spec("type", "LoadBalancer")
            .top("status", load_balancer("203.0.113.10"));
        let save = |web: &ServiceManifest| {
            let slice = cluster.slice("web", &["here"])?;
            let manifests = cluster.world.manifests();
            manifests.save("web.yaml", &with(web, &slice)).map(drop)
        };
        let sees = |from: &str, to: &str, place: &str| {
            let source = cluster.host(place)?.v4;
            cluster.expect_from(from, to, "here", source.into())
        };
        let plain = if setup.keep_source { "client" } else { "n1" };
        save(&web)?;
        sees("client", "10.96.0.10:80", plain)?;
        for version in ["v1", "v2"] {
            save(&web.clone().annotation("seaway.dev/proxy-protocol", version))?;
            sees("client", "10.96.0.10:80", "client")?;
            sees("client", "203.0.113.10:80", "client")?;
            sees("outside", "203.0.113.10:80", "outside")?;
            // In between, so that the second version cannot be taken for the first.
            save(&web)?;
            sees("client", "10.96.0.10:80", plain)?;
        }
        Ok(())
    })
}

/// Service rule 95: the only endpoint hinted for a zone gives way to the others when it refuses
/// connections; with `seaway.dev/outlier-detection: "0"` connections go on failing.
fn an_endpoint_that_refuses_is_left_out_for_the_next_ones(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        // Nothing listens there.
        cluster.client("near", "n1")?;
        cluster.backend("far", "n2")?;
        let hint = |zone: &str| json!({"forZones": [{"name": zone}]});
        let slice = |name: &str| {
            let far = cluster.host("far")?.v4.to_string();
            let slice = cluster.slice(name, &["near"])?;
            let slice = slice.on_endpoint("hints", hint("a"));
            let slice = slice.endpoint_on(&far, "n2", "b");
            anyhow::Ok(slice.on_endpoint("hints", hint("b")))
        };
        let plain = service("plain", "10.96.0.10");
        let never = service("never", "10.96.0.11").annotation("seaway.dev/outlier-detection", "0");
        let all = join([
            with(&plain, &slice("plain")?),
            with(&never, &slice("never")?),
        ]);
        cluster.world.manifests().save("web.yaml", &all)?;
        cluster.expect("n2", "10.96.0.11:80", &["far"])?;
        cluster.expect("n1", "10.96.0.10:80", &["far"])?;
        let ask = |to| cluster.ask("n1", to, 10);
        let failed = ask("10.96.0.11:80")?;
        ensure!(
            failed.keys().eq(["closed"]),
            "with the annotation: {failed:?}"
        );
        Ok(())
    })
}
