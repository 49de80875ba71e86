//! What a GatewayClass says of the version of Gateway API (Gateway rule 6).

use seaway_testing::{Grants, repository};

use super::*;

/// The definition of a kind of Gateway API, with its version.
pub(super) fn definition(server: &ApiServer, plural: &str, version: Option<&str>) -> Result<()> {
    let annotations = version.map_or_else(
        || json!({}),
        |version| json!({"gateway.networking.k8s.io/bundle-version": version}),
    );
    server.apply(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.gateway.networking.k8s.io"), "annotations": annotations},
        "spec": {},
    }))?;
    Ok(())
}

fn class(generation: i64) -> (ObjectId, Status) {
    let class = ObjectId::new(ObjectKind::GatewayClass, &"".into(), &"seaway".into());
    (class, Status::GatewayClass(accepted(generation)))
}

/// The conditions of the class, each as `Type=Status/Reason`.
fn conditions(server: &ApiServer) -> Result<Vec<String>> {
    let class = server.get("gatewayclasses", "", "seaway")?;
    let class = class.context("no class")?;
    let all = class["status"]["conditions"].as_array();
    let all = all.context("no conditions")?.iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = all.map(|one| {
        let [kind, status, reason] = ["type", "status", "reason"].map(|field| text(&one[field]));
        format!("{kind}={status}/{reason}")
    });
    Ok(all.collect())
}

/// GW003: without a version, or with an unknown one, the class is accepted all the same.
#[tokio::test]
async fn gw003_a_class_says_whether_the_definitions_are_of_a_known_version() -> Result<()> {
    let server = ApiServer::start()?;
    for kind in ["gatewayclasses", "gateways", "httproutes"] {
        server.install(kind)?;
        definition(&server, kind, Some("v1.5.0"))?;
    }
    server.apply(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": "seaway"}, "spec": {},
    }))?;
    let replica = Replica::new(&server).await?;
    let mut generation = 1;
    for (version, expected) in [
        (Some("v1.6.1"), "SupportedVersion=True/SupportedVersion"),
        (None, "SupportedVersion=False/UnsupportedVersion"),
        (Some("v9.0.0"), "SupportedVersion=False/UnsupportedVersion"),
    ] {
        definition(&server, "httproutes", version)?;
        let (id, status) = class(generation);
        replica.tell(&id, Some(status));
        until(expected, || {
            let found = conditions(&server)?;
            let accepted = "Accepted=True/Accepted";
            ensure!(found == [accepted, expected], "{found:?}");
            Ok(())
        })
        .await?;
        generation += 1;
    }
    // Without the permission nothing is said, and all else is written.
    let path = repository().join("deploy/components/ingress/status-rbac.yaml");
    let grants = Grants::read(&std::fs::read_to_string(path)?)?;
    let denied = grants.iter().cloned();
    let denied: Vec<_> = denied
        .filter(|grant| grant.resource == "customresourcedefinitions")
        .collect();
    let fewer = denied
        .iter()
        .fold(grants, |grants, one| grants.without(one));
    server.authorize(&fewer);
    let (id, status) = class(generation);
    replica.tell(&id, Some(status));
    until("the condition to be gone", || {
        let found = conditions(&server)?;
        ensure!(found == ["Accepted=True/Accepted"], "{found:?}");
        Ok(())
    })
    .await
}
