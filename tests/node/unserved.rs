//! What must not be served: refused where kube-proxy refuses, and one bad object harms nobody else.

use anyhow::Result;
use seaway_testing::{Cluster, Setup, endpoint};
use serde_json::json;

use crate::{load_balancer, service, with};

crate::all_captures!(
    nobody_there_means_refused_from_everywhere,
    a_label_hands_a_service_or_a_slice_to_somebody_else,
    the_better_claim_wins_on_every_node_and_the_loser_keeps_the_rest,
);

crate::keeping_sources!(nobody_there_means_refused_from_everywhere);

/// Service rules 22, 70, 76, 80: without a usable endpoint anywhere, on a port that a Service does
/// not have and on an address that no Service has, connections are refused; the first endpoint ends
/// that.
fn nobody_there_means_refused_from_everywhere(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let service = service("web", "10.96.0.10")
            .spec("type", "LoadBalancer")
            .on_port("nodePort", 30080)
            .top("status", load_balancer("203.0.113.10"));
        let unready = json!({"ready": false, "serving": false, "terminating": true});
        let slice = cluster.slice("web", &["here"])?;
        let gone = slice.clone().on_endpoint("conditions", unready);
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&service, &slice))?;
        let node = endpoint(cluster.host("n1")?.v4, 30080);
        let addresses = ["10.96.0.10:80", "203.0.113.10:80", &node];
        for from in ["client", "n1", "outside"] {
            cluster.expect(from, "10.96.0.10:80", &["here"])?;
            for nobody in ["10.96.0.10:81", "10.96.0.99:80", "203.0.113.99:80"] {
                cluster.expect(from, nobody, &["refused"])?;
            }
        }
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&service, &gone))?;
        for to in addresses {
            for from in ["client", "n1", "outside"] {
                cluster.expect(from, to, &["refused"])?;
            }
        }
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&service, &slice))?;
        for to in addresses {
            cluster.expect("outside", to, &["here"])?;
        }
        Ok(())
    })
}

/// Service rules 2, 3, 37: a label hands a Service or a slice to somebody else, at once and back.
fn a_label_hands_a_service_or_a_slice_to_somebody_else(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        cluster.backend("here", "n1")?;
        let (service, slice) = (
            service("web", "10.96.0.10"),
            cluster.slice("web", &["here"])?,
        );
        let others = service.clone().metadata(
            "labels",
            json!({"service.kubernetes.io/service-proxy-name": ""}),
        );
        let headless = slice.clone().label("service.kubernetes.io/headless", "");
        for (document, wanted) in [
            (with(&service, &slice), "here"),
            (with(&others, &slice), "refused"),
            (with(&service, &slice), "here"),
            (with(&service, &headless), "refused"),
            (with(&service, &slice), "here"),
        ] {
            cluster.world.manifests().save("web.yaml", &document)?;
            cluster.expect("n1", "10.96.0.10:80", &[wanted])?;
        }
        Ok(())
    })
}

/// Service rules 17 to 21: of two claims on one address and port the better one wins, on every
/// node; the loser keeps its other addresses; another port of the same address is nobody's
/// business.
fn the_better_claim_wins_on_every_node_and_the_loser_keeps_the_rest(
    setup: &Setup<'_>,
) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        for (pod, node) in [("owner", "n1"), ("thief", "n2"), ("second", "n1")] {
            cluster.backend(pod, node)?;
        }
        let created = |service: seaway_testing::ServiceManifest, month: u8| {
            service.metadata("creationTimestamp", format!("2025-0{month}-01T00:00:00Z"))
        };
        // The thief is older, but an external IP is a weaker claim than a cluster IP.
        let owner = created(service("owner", "10.96.0.10"), 6)
            .spec("externalIPs", json!(["203.0.113.30", "203.0.113.31"]));
        let thief = created(service("thief", "10.96.0.11"), 1)
            .spec("externalIPs", json!(["10.96.0.10", "203.0.113.30"]));
        let second = created(seaway_testing::ServiceManifest::new("second"), 7)
            .cluster_ip("10.96.0.12")
            .port("http", 81)
            .spec("externalIPs", json!(["203.0.113.30"]));
        let manifests = cluster.world.manifests();
        for (name, manifest) in [("owner", &owner), ("thief", &thief), ("second", &second)] {
            let slice = cluster.slice(name, &[name])?;
            manifests.save(&format!("{name}.yaml"), &with(manifest, &slice))?;
        }
        for node in ["n1", "n2"] {
            cluster.expect(node, "10.96.0.11:80", &["thief"])?;
            cluster.expect(node, "10.96.0.10:80", &["owner"])?;
            // Of two external IPs the older Service's is better.
            cluster.expect(node, "203.0.113.30:80", &["thief"])?;
            cluster.expect(node, "203.0.113.31:80", &["owner"])?;
            cluster.expect(node, "203.0.113.30:81", &["second"])?;
        }
        cluster.world.manifests().delete("thief.yaml")?;
        for node in ["n1", "n2"] {
            cluster.expect(node, "203.0.113.30:80", &["owner"])?;
            cluster.expect(node, "203.0.113.30:81", &["second"])?;
        }
        Ok(())
    })
}
