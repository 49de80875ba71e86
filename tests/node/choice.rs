//! Which endpoints a node uses: readiness, topology hints, and an even spread.

use anyhow::{Result, ensure};
use seaway_testing::{Cluster, Setup};
use serde_json::{Value, json};

use crate::{service, with};

crate::all_captures!(
    zone_hints_are_followed_by_each_node_for_itself,
    terminating_endpoints_are_used_only_without_a_ready_one,
    load_is_even_per_endpoint,
);

const WEB: &str = "10.96.0.10:80";

fn zone_hint(zone: &str) -> Value {
    json!({"forZones": [{"name": zone}]})
}

/// Service rules 59, 61 to 64, 69, 86: complete hints are followed on every node by itself, an
/// incomplete set is not, and a changed label of the Node is.
fn zone_hints_are_followed_by_each_node_for_itself(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        for (pod, node) in [("pod-1", "n1"), ("pod-2", "n2")] {
            cluster.backend(pod, node)?;
        }
        let hinted = |first: Value, second: Value| -> Result<String> {
            let mut slice = cluster
                .slice("web", &["pod-1"])?
                .on_endpoint("hints", first);
            let other = cluster.host("pod-2")?.v4.to_string();
            slice = slice.endpoint_on(&other, "n2", "b");
            let slice = slice.on_endpoint("hints", second);
            Ok(with(&service("web", "10.96.0.10"), &slice))
        };
        let manifests = cluster.world.manifests();
        let both: &[&str] = &["pod-1", "pod-2"];
        let cases: [(Value, Value, &[&str], &[&str]); 5] = [
            (zone_hint("a"), zone_hint("b"), &["pod-1"], &["pod-2"]),
            // The hint counts, not where the endpoint is.
            (zone_hint("b"), zone_hint("a"), &["pod-2"], &["pod-1"]),
            // One endpoint without a hint, and nobody is hinted for zone b.
            (zone_hint("a"), Value::Null, both, both),
            (zone_hint("a"), zone_hint("a"), both, both),
            (
                json!({"forZones": [{"name": "a"}], "forNodes": [{"name": "n2"}]}),
                json!({"forZones": [{"name": "b"}], "forNodes": [{"name": "n1"}]}),
                &["pod-2"],
                &["pod-1"],
            ),
        ];
        for (first, second, on_n1, on_n2) in cases {
            manifests.save("web.yaml", &hinted(first, second)?)?;
            cluster.expect("n1", WEB, on_n1)?;
            cluster.expect("n2", WEB, on_n2)?;
        }
        manifests.save("web.yaml", &hinted(zone_hint("a"), zone_hint("b"))?)?;
        cluster.expect("n1", WEB, &["pod-1"])?;
        manifests.replace(
            "nodes.yaml",
            r#""topology.kubernetes.io/zone":"a""#,
            r#""topology.kubernetes.io/zone":"b""#,
        )?;
        cluster.expect("n1", WEB, &["pod-2"])
    })
}

/// Service rules 44, 50, 59, 92: ready endpoints are used, without any the serving ones that
/// terminate, never the others.
fn terminating_endpoints_are_used_only_without_a_ready_one(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a"], setup, |cluster| {
        for pod in ["pod-1", "pod-2"] {
            cluster.backend(pod, "n1")?;
        }
        let other = cluster.host("pod-2")?.v4.to_string();
        let ready = json!({"ready": true});
        let published = json!({"ready": true, "serving": false, "terminating": true});
        let terminating = json!({"ready": false, "serving": true, "terminating": true});
        let unready = json!({"ready": false, "serving": false, "terminating": false});
        let mirrored = json!({"ready": false});
        for (first, second, wanted) in [
            (&ready, &ready, &["pod-1", "pod-2"][..]),
            (&ready, &terminating, &["pod-1"]),
            (&ready, &unready, &["pod-1"]),
            (&unready, &terminating, &["pod-2"]),
            (&terminating, &terminating, &["pod-1", "pod-2"]),
            (&mirrored, &unready, &["refused"]),
            (&Value::Null, &unready, &["pod-1"]),
            (&published, &unready, &["pod-1"]),
        ] {
            let slice = cluster
                .slice("web", &["pod-1"])?
                .on_endpoint("conditions", first.clone())
                .endpoint(&other)
                .on_endpoint("conditions", second.clone());
            let all = with(&service("web", "10.96.0.10"), &slice);
            cluster.world.manifests().save("web.yaml", &all)?;
            cluster.expect("n1", WEB, wanted)?;
        }
        Ok(())
    })
}

/// Service rules 42, 75, 88, 90: load is even per endpoint, however they are spread over zones,
/// slices and duplicates.
fn load_is_even_per_endpoint(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "b"], setup, |cluster| {
        // Three in one zone and one in the other.
        for (pod, node) in [("p1", "n1"), ("p2", "n1"), ("p3", "n1"), ("p4", "n2")] {
            cluster.backend(pod, node)?;
        }
        let all = ["p1", "p2", "p3", "p4"];
        let twice = cluster.slice("web", &["p1", "p2"])?.named("web-2");
        let documents = [
            with(&service("web", "10.96.0.10"), &cluster.slice("web", &all)?),
            twice.document(),
        ];
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &seaway_testing::join(documents))?;
        cluster.expect("n1", WEB, &all)?;
        let seen = cluster.ask("n1", WEB, 800)?;
        // 200 each, with a standard deviation of 12: six of them never happen, and a weight per
        // zone would give 400 to one.
        let even = seen.values().all(|count| (130..270).contains(count));
        ensure!(even && seen.len() == 4, "{seen:?}");
        Ok(())
    })
}
