//! What others wrote into a Service survives.

use super::super::merge::{fresh, may_write, patch};
use super::*;

/// A Service with what an API server, a cloud and a user have added.
fn there() -> Value {
    json!({
        "metadata": {
            "resourceVersion": "7",
            "labels": {"app.kubernetes.io/managed-by": "seaway", "team": "a"},
            "annotations": {"seaway.dev/gateway": "default/g", "example.com/lb": "x"},
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.5", "loadBalancerClass": "a.b/c",
            "externalTrafficPolicy": "Cluster",
            "selector": {"app": "edge", "old": "b"},
            "ports": [
                {"name": "udp", "protocol": "UDP", "port": 80, "targetPort": 80},
                {"name": "port-81", "protocol": "TCP", "port": 81, "targetPort": 20_001},
                {"name": "http", "port": 80, "targetPort": 20_000, "nodePort": 30_080},
            ],
        },
    })
}

#[test]
fn only_ports_labels_and_selector_are_patched() -> Result<()> {
    let mut made = made("g", 20_005, None)?;
    made.ports.insert(443.try_into()?, 20_006.try_into()?);
    let patch = patch(&there(), &made).context("nothing differs")?;
    let expected = json!({
        "metadata": {"labels": {"gateway.networking.k8s.io/gateway-name": "g"}},
        "spec": {
            "selector": {"app": "edge", "tier": "front", "old": null},
            "ports": [
                {"name": "udp", "protocol": "UDP", "port": 80, "targetPort": 80},
                {"name": "http", "port": 80, "targetPort": 20_005, "nodePort": 30_080},
                {"name": "port-443", "protocol": "TCP", "port": 443, "targetPort": 20_006},
            ],
        },
    });
    ensure!(patch == expected, "{patch:#}");
    Ok(())
}

#[test]
fn what_was_made_is_as_it_should_be_whatever_others_add() -> Result<()> {
    let made = made(&"g".repeat(100), 20_000, None)?;
    let mut service = fresh(&key("gw"), &made);
    ensure!(service["metadata"]["labels"] == json!({"app.kubernetes.io/managed-by": "seaway"}));
    ensure!(patch(&service, &made).is_none());
    service["metadata"]["annotations"]["example.com/lb"] = "x".into();
    service["spec"]["ports"][0]["nodePort"] = 30_080.into();
    service["spec"]["type"] = "NodePort".into();
    ensure!(patch(&service, &made).is_none());
    Ok(())
}

#[test]
fn a_service_is_written_only_as_it_was_seen() -> Result<()> {
    let mut made = made("g", 20_000, None)?;
    ensure!(!may_write(&there(), &made));
    made.seen = Arc::new(
        [
            (80.try_into()?, Some(20_000.try_into()?)),
            (81.try_into()?, Some(20_001.try_into()?)),
        ]
        .into(),
    );
    ensure!(may_write(&there(), &made));
    for (field, value) in [
        ("/metadata/labels", json!({})),
        ("/metadata/annotations", json!({})),
        ("/spec/ports/1/targetPort", json!("http")),
    ] {
        let mut other = there();
        *other.pointer_mut(field).context(field)? = value;
        ensure!(!may_write(&other, &made), "{field}");
    }
    let mut going = there();
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    ensure!(!may_write(&going, &made));
    Ok(())
}
