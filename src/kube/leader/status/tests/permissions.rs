//! What a replica that writes status may ask of the API server, and needs.

use seaway_testing::{Grants, repository};

use super::definitions::definition;
use super::*;

/// A route and a class, and the definitions of Gateway API.
fn objects(server: &ApiServer) -> Result<()> {
    server.install("httproutes")?;
    server.install("gatewayclasses")?;
    for (kind, name) in [("HTTPRoute", "shop"), ("GatewayClass", "seaway")] {
        server.apply(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"parentRefs": [{"name": "edge"}]},
        }))?;
    }
    for kind in [
        "gatewayclasses",
        "gateways",
        "httproutes",
        "referencegrants",
    ] {
        definition(server, kind, Some("v1.6.1"))?;
    }
    Ok(())
}

/// All that is asked is granted where ingress is deployed, and all of that is needed.
#[tokio::test]
async fn the_manifests_grant_what_is_asked_for_and_nothing_else() -> Result<()> {
    let server = ApiServer::start()?;
    let path = repository().join("deploy/components/ingress/status-rbac.yaml");
    let grants = Grants::read(&std::fs::read_to_string(path)?)?;
    server.authorize(&grants);
    let (edge, status) = gateway(&server)?;
    let (shop, object) = ingress("shop");
    server.apply(object)?;
    objects(&server)?;
    let parent = ParentRef {
        group: None,
        kind: None,
        namespace: None,
        name: "edge".into(),
        section: None,
        port: None,
    };
    let parents = vec![ParentStatus {
        parent,
        controller: GATEWAY_CONTROLLER,
        conditions: accepted(1),
    }];
    let class = ObjectId::new(ObjectKind::GatewayClass, &"".into(), &"seaway".into());
    let replica = Replica::new(&server).await?;
    replica.tell(&edge, Some(status));
    replica.tell(&shop, shown("192.0.2.1")?);
    replica.tell(
        &id(ObjectKind::HTTPRoute, "shop"),
        Some(Status::Route(parents)),
    );
    replica.tell(&class, Some(Status::GatewayClass(accepted(1))));
    replica.counted("written", 4).await?;
    // It is renewed.
    until("the Lease to be renewed", || {
        ensure!(requests(&server, "update", "leases") > 1);
        Ok(())
    })
    .await?;
    replica.tasks.finish().await;
    let activity = server.activity();
    let activity = activity.borrow();
    ensure!(
        activity.forbidden().is_empty(),
        "{:?}",
        activity.forbidden()
    );
    for grant in grants.iter() {
        let resource = grant.resource.trim_end_matches("/status");
        let asked = activity.requests(&grant.verb, resource);
        ensure!(asked > 0, "granted for nothing: {grant}");
    }
    Ok(())
}
