//! HTTPRoutes of Services, as far as clients do what they ask for (Gateway rules 115 to 117).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use seaway_testing::eventually;
use serde_json::json;

use crate::scene::{Peer, Scene};

const SPEC: &str = "clusterIP: 10.96.0.1, ports: [{name: grpc, port: 80}]";

fn save(scene: &Scene, rules: &str) -> Result<()> {
    let route = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{namespace: d, name: r}}\n\
         spec: {{parentRefs: [{{group: '', kind: Service, name: web, port: 80}}], rules: {rules}}}\n"
    );
    scene.manifests.save("route.yaml", &route).map(drop)
}

/// Who answers a call with header `x-canary: yes`.
fn canary(client: &mut Peer) -> Result<BTreeMap<String, u32>> {
    let order =
        json!({"do": "call", "target": "web.d", "count": 5, "metadata": [["x-canary", "yes"]]});
    let answers = client.order(&order)?;
    serde_json::from_value(answers.clone()).with_context(|| answers.to_string())
}

#[test]
fn rules_share_and_choose_rpcs_and_what_none_takes_fails() -> Result<()> {
    Scene::play(|scene| {
        let (web, next) = (scene.serve(11)?, scene.serve(12)?);
        scene.save("web", SPEC, &[(11, "")])?;
        scene.save("next", &SPEC.replace("0.1", "0.2"), &[(12, "")])?;
        let mut client = scene.client(&[])?;
        client.await_answers("web.d", &[&web])?;

        let shares = "{matches: [{path: {value: /seaway.Echo}}], timeouts: {request: 10s}, \
             retry: {attempts: 1, codes: [503]}, \
             backendRefs: [{name: web, port: 80, weight: 3}, {name: next, port: 80, weight: 1}]}";
        let header = "{matches: [{headers: [{name: x-canary, value: 'yes'}]}], \
             backendRefs: [{name: next, port: 80}]}";
        save(scene, &format!("[{shares}]"))?;
        client.await_answers("web.d", &[&web, &next])?;
        let answers = client.call("web.d", 400)?;
        // More than four times what chance makes of it.
        ensure!((65..135).contains(&answers[&next]), "{answers:?}");

        // The longer path goes first, as at an Envoy.
        let everywhere = shares.replace("/seaway.Echo", "/");
        save(scene, &format!("[{everywhere}, {header}]"))?;
        eventually("the header to decide", || {
            let answers = canary(&mut client)?;
            ensure!(answers.keys().eq([&next]), "{answers:?}");
            Ok(())
        })?;
        client.await_answers("web.d", &[&web, &next])?;

        // What gRPC does not do is not skipped, what leads nowhere fails at once, and what no rule
        // takes does, too.
        let filter =
            "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}]";
        for rule in [
            format!("{{{filter}, backendRefs: [{{name: web, port: 80}}]}}"),
            "{backendRefs: [{name: absent, port: 80}]}".to_owned(),
            "{matches: [{path: {value: /other}}], backendRefs: [{name: web, port: 80}]}".to_owned(),
        ] {
            save(scene, &format!("[{rule}]"))?;
            eventually(format!("{rule} to fail"), || {
                let error = client.error("web.d")?;
                ensure!(error.starts_with("UNAVAILABLE"), "{error}");
                Ok(())
            })?;
            save(scene, &format!("[{shares}]"))?;
            client.await_answers("web.d", &[&web, &next])?;
        }
        scene.manifests.delete("route.yaml")?;
        client.await_answers("web.d", &[&web])?;
        ensure!(scene.metric("seaway_xds_nacks_total", "")? == 0.0);
        Ok(())
    })
}
